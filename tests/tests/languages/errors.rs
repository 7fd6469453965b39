//! What goes wrong in a component, and what people are told of it in each language.

use std::sync::LazyLock;

use darkroom_contract::Ending;
use darkroom_runtime::{CallError, Failure, Runtime};
use darkroom_tests::fixtures::{self, LANGUAGES};

use crate::golden::{Scenario, scenario};
use crate::play::{impatient, play, runtime};

/// A builder that ends in the way that its argument `fail` names.
fn failing(how: &str) -> Scenario {
    Scenario {
        arguments: format!(r#"{{"fail":"{how}"}}"#),
        ..scenario("a builder that ends with an error")
    }
}

/// The words of the component's own error, or what ended the call.
async fn ended(runtime: &Runtime, language: &str, how: &str) -> Result<String, CallError> {
    let component = fixtures::load(runtime, language);
    match play(runtime, &component, &failing(how)).await?.last.ending {
        Ending::Returned(Err(words)) => Ok(words),
        other => panic!("{language}: {other:?}"),
    }
}

/// A mistake against the contract ends every language with the same words: none of them
/// can catch it.
#[tokio::test]
async fn mistakes_against_the_contract_are_told_alike() {
    let mistakes = [
        (
            "late",
            r#"timeout(0, 60): step 0 ("look around") has been carried out"#,
        ),
        (
            "type",
            r#"text("count"): the parameter "count" is of type integer, not string"#,
        ),
        (
            "undeclared",
            r#"text("nothing"): the description declares no parameter "nothing"; there are "greeting","#,
        ),
        (
            "negative",
            "output(4294967295): there is no step 4294967295; the last one is 1",
        ),
    ];
    for language in LANGUAGES {
        for (how, words) in mistakes {
            let error = ended(runtime(), language, how).await.unwrap_err();
            assert!(matches!(error.failure(), Failure::Fault(_)), "{error:?}");
            let text = error.to_string();
            let wanted = format!(
                "{language} (sha256 {}), builder.build: {words}",
                &error.digest()[..12]
            );
            assert!(text.starts_with(&wanted), "{text}");
        }
    }
}

/// What each language's own way to crash must tell: what it was, and where.
const CRASHES: [(&str, &[&str]); 5] = [
    // Without WASI there is no standard error: only the names of functions are left.
    (
        "rust",
        &["it trapped", "    at core::option::expect_failed"],
    ),
    (
        "rust-wasip2",
        &["it trapped", "src/lib.rs:", "the flux capacitor is missing"],
    ),
    (
        "python",
        &[
            "it trapped",
            "component.py\", line ",
            "in fail",
            "KeyError: 'seconds'",
        ],
    ),
    (
        "go",
        &[
            "it trapped",
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "export_darkroom_component_builder.fail",
            "builder.go:",
        ],
    ),
    (
        "c",
        &["it trapped", "component.c: the flux capacitor is missing"],
    ),
];

#[tokio::test]
async fn a_crash_says_in_its_languages_words_what_happened_and_where() {
    for (language, wanted) in CRASHES {
        let error = ended(runtime(), language, "crash").await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Trapped(_)), "{error:?}");
        let text = error.to_string();
        for part in wanted {
            assert!(text.contains(part), "{language}: {part}\n{text}");
        }
        // Nobody's time is taken with frames of interpreters or without names.
        for noise in ["at function ", "libpython", "PyObject_Call", "at adapter "] {
            assert!(!text.contains(noise), "{language}: {noise}\n{text}");
        }
        assert!(text.lines().count() < 60, "{text}");
        println!("{text}");
    }
    // What JavaScript throws is its error, like one that it returns.
    let words = ended(runtime(), "javascript", "crash").await.unwrap();
    assert_eq!(words, "cannot read property 'seconds' of null");
}

#[tokio::test]
async fn what_never_ends_is_ended() {
    static SHORT: LazyLock<Runtime> = LazyLock::new(impatient);
    for language in LANGUAGES {
        let error = ended(&SHORT, language, "endless").await.unwrap_err();
        let failure = error.failure();
        assert!(matches!(failure, Failure::OutOfTime(_)), "{error:?}");
    }
}

/// Each language dies of it in a way of its own; all of them are told the limit.
#[tokio::test]
async fn what_takes_all_memory_is_told_how_much_there_is() {
    for language in LANGUAGES {
        match ended(runtime(), language, "greedy").await {
            Err(error) => assert!(
                matches!(error.failure(), Failure::OutOfMemory(_)),
                "{error:?}"
            ),
            // QuickJS throws, and what is thrown is the component's own error.
            Ok(words) => assert_eq!((language, &*words), ("javascript", "out of memory")),
        }
    }
}
