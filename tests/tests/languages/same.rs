//! All languages do the same, and it is what the list says.

use std::path::{Path, PathBuf};
use std::process::Command;

use darkroom_contract::{Ending, Role};
use darkroom_engine::plan;
use darkroom_runtime::{Component, pack};
use darkroom_tests::fixtures::{self, LANGUAGES};
use darkroom_tests::laboratory::Laboratory;
use serde_json::Value;

use crate::golden::{self, Scenario, scenarios, without_defaults};
use crate::play::{Played, config, play, runtime};

/// Compares one role that was played with the list.
fn compare(language: &str, scenario: &Scenario, played: &Played) {
    let of = format!("{language}: {}", scenario.name);
    let (first, last) = (&played.first, &played.last);
    let Ending::Suspended { question } = &first.ending else {
        panic!("{of}: it asks nothing");
    };
    assert_eq!(question.to_string(), scenario.question, "{of}");
    assert_eq!(first.steps.len(), scenario.planned, "{of}");
    assert_eq!(played.took.len(), scenario.rounds, "{of}");
    let returned = match &last.ending {
        Ending::Returned(Err(words)) => words,
        _ => "",
    };
    assert_eq!(returned, scenario.returned, "{of}");
    let report = &last.report;
    let lines = |texts: Vec<String>| texts.join("\n");
    assert_eq!(
        lines(report.messages.iter().map(golden::message).collect()),
        scenario.messages.join("\n"),
        "{of}"
    );
    assert_eq!(
        lines(report.cases.iter().map(golden::case).collect()),
        scenario.cases.join("\n"),
        "{of}"
    );
    assert_eq!(
        lines(report.items.iter().map(golden::item).collect()),
        scenario.items.join("\n"),
        "{of}"
    );
    if let Some(published) = &scenario.published {
        assert_eq!(report.published, golden::object(published), "{of}");
    }
    if let Some(calls) = &scenario.calls {
        let made = last.transcript.0.iter().map(ToString::to_string);
        assert_eq!(lines(made.collect()), calls.join("\n"), "{of}");
    }
    if let Some(steps) = &scenario.steps {
        assert_eq!(last.steps.len(), steps.len(), "{of}");
        for (made, wanted) in last.steps.iter().zip(steps) {
            let wanted: Value = serde_json::from_str(wanted).unwrap();
            assert_eq!(without_defaults(made), wanted, "{of}");
        }
    }
}

async fn follows_the_list(language: &str, component: &Component) {
    for scenario in scenarios() {
        let played = play(runtime(), component, &scenario).await.unwrap();
        compare(language, &scenario, &played);
    }
}

#[tokio::test]
async fn every_kept_component_follows_the_list() {
    for language in LANGUAGES {
        follows_the_list(language, &fixtures::load(runtime(), language)).await;
    }
}

/// A description is text of each language's own making.
#[test]
fn every_kept_component_describes_itself_alike() {
    let path = fixtures_sources().join("describe.json");
    let text = std::fs::read_to_string(path).unwrap();
    let wanted = darkroom_contract::Description::parse(&text).unwrap();
    for language in LANGUAGES {
        let bytes = fixtures::bytes(language);
        let component = runtime().load(&bytes, language).unwrap();
        assert_eq!(*component.description(), wanted, "{language}");
        assert_eq!(component.roles(), Role::ALL, "{language}");
        let (name, text) = fixtures::ASSET;
        assert_eq!(component.asset(name), Some(text.as_bytes()), "{language}");
        let check = pack::check(runtime(), &bytes, language).unwrap();
        assert_eq!(check, pack::Check::Same, "{language}");
    }
}

/// What they need of the host: the contract, and nothing but WASI 0.2 beside it.
#[test]
fn every_kept_component_imports_the_contract_and_the_empty_wasi() {
    for language in LANGUAGES {
        let bytes = fixtures::bytes(language);
        let imports = imports(&bytes);
        let ours = |name: &&String| name.starts_with("darkroom:component/");
        assert_eq!(
            imports.iter().filter(ours).count(),
            4,
            "{language}: {imports:?}"
        );
        let others = imports.iter().filter(|name| !ours(name));
        let others: Vec<_> = others.collect();
        assert!(
            others
                .iter()
                .all(|name| name.starts_with("wasi:") && name.contains("@0.2.")),
            "{language}: {others:?}"
        );
        // The Rust one for wasm32-unknown-unknown is the one that needs none.
        assert_eq!(
            others.is_empty(),
            language == "rust",
            "{language}: {others:?}"
        );
    }
}

/// The imports of the outermost component.
fn imports(component: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            wasmparser::Payload::ComponentImportSection(section) => {
                found.extend(
                    section
                        .into_iter()
                        .map(|one| one.unwrap().name.name.to_owned()),
                );
            }
            // What follows is nested.
            wasmparser::Payload::ModuleSection { .. }
            | wasmparser::Payload::ComponentSection { .. } => break,
            _ => {}
        }
    }
    found
}

fn fixtures_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests")
}

/// The plan of a template that uses one of each language as builder and as tester.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_every_language_alike() {
    let lab = Laboratory::with(config()).await;
    for language in LANGUAGES {
        std::fs::write(
            lab.path(&format!("{language}.wasm")),
            fixtures::bytes(language),
        )
        .unwrap();
    }
    let uses = LANGUAGES
        .map(|language| format!("  - {{ uses: ./{language}.wasm, with: {{ greeting: hi }} }}\n"));
    let uses = uses.concat();
    let template = format!(
        "name: all\nsource: {{ family: debian-12 }}\nrepair: none\nbuild:\n{uses}test:\n{uses}"
    );
    let checked = lab.check(&template).unwrap();
    let client = lab.client(0);
    let plan = plan::plan(lab.engine.runtime(), &client, &checked)
        .await
        .unwrap();
    let roles = [
        (
            Role::Builder,
            ["look around", "write the page"],
            "the output of \"look around\"",
        ),
        (
            Role::Tester,
            ["the page greets", "look for a swap file"],
            "the exit code of \"look for a swap file\"",
        ),
    ];
    for (role, names, asks) in roles {
        for language in LANGUAGES {
            let component = format!("./{language}.wasm");
            let mut parts = plan.parts.iter();
            let part =
                parts.find(|part| part.component == component && part.role == Some(role.name()));
            let part = part.unwrap_or_else(|| panic!("no {role} {component} in {:#?}", plan.parts));
            let planned: Vec<_> = part.steps.iter().map(|step| &*step.name).collect();
            assert_eq!(planned, names, "{}", part.path);
            assert_eq!(part.then_asks.as_deref(), Some(asks), "{}", part.path);
            assert_eq!(part.error, None, "{}", part.path);
        }
    }
}

/// Writes what `tests/guests/build` has made into the tree: `make fixtures`.
#[test]
#[ignore = "it writes into the tree, for `make fixtures`"]
fn keep_what_was_built() {
    for language in LANGUAGES {
        let made = built().join(format!("{language}.wasm"));
        if made.exists() {
            fixtures::keep(language, &fixtures::packed(runtime(), &made, language));
            println!("kept {}", fixtures::kept(language).display());
        }
    }
}

fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fixtures/out")
}

/// The sources still are what the kept components were made of, as far as behaviour goes;
/// most of the toolchains don't make the same bytes twice.
#[tokio::test]
async fn components_built_anew_follow_the_list() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: components_built_anew_follow_the_list");
        return;
    }
    for language in LANGUAGES {
        let made = Command::new(fixtures_sources().join("build"))
            .arg(language)
            .output()
            .unwrap();
        if !made.status.success() {
            let error = String::from_utf8_lossy(&made.stderr);
            println!("not run: {language} can't be built here: {error}");
            continue;
        }
        let path = built().join(format!("{language}.wasm"));
        let packed = fixtures::packed(runtime(), &path, language);
        follows_the_list(language, &runtime().load(&packed, language).unwrap()).await;
    }
}
