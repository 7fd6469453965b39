//! What a component costs in each language: to load, with and without compiled code that
//! was kept, and to replay. The figures are printed; what is asserted are the limits.

use std::time::{Duration, Instant};

use darkroom_runtime::{Config, Runtime};
use darkroom_tests::fixtures::{self, LANGUAGES};
use serde_json::json;

use crate::golden::{Answer, Scenario, scenario};
use crate::play::{play, runtime};

/// Answers so large that a component has to take nearly all that one may ask for, in
/// slices of the largest size: 3.5 MiB of 4.
const LOG: usize = 7 << 19;

fn full() -> Scenario {
    scenario("a builder on another distribution")
}

/// Whether this is the long tier.
fn long() -> bool {
    std::env::var_os("DARKROOM_LONG").is_some()
}

fn total(took: &[Duration]) -> Duration {
    took.iter().sum()
}

#[tokio::test]
async fn large_answers_reach_every_language() {
    let mut scenario = full();
    scenario.arguments = json!({ "slice": 1 << 20, "count": 0 }).to_string();
    let log: String = std::iter::repeat_n("0123456789abcdef", LOG / 16).collect();
    let sum: u64 = log.bytes().map(u64::from).sum();
    let answer = Answer {
        output: log,
        exit_code: 0,
    };
    scenario.answers.insert("keep the log".into(), answer);
    for language in LANGUAGES {
        let component = fixtures::load(runtime(), language);
        let played = play(runtime(), &component, &scenario).await.unwrap();
        let published = &played.last.report.published;
        assert_eq!(published["bytes"], LOG, "{language}");
        assert_eq!(published["sum"], sum, "{language}");
        println!("{language}: 3.5 MiB in {:?}", played.took.last().unwrap());
    }
}

#[tokio::test]
async fn many_questions_are_replayed_in_time() {
    // Nearly as many steps as a component may have; a tenth of the time for a quarter.
    let items = if long() { 200 } else { 50 };
    let mut scenario = full();
    scenario.arguments = json!({ "count": items }).to_string();
    for item in 1..=items {
        let answer = Answer {
            output: item.to_string(),
            exit_code: 0,
        };
        scenario.answers.insert(format!("item {item}"), answer);
    }
    for language in LANGUAGES {
        let component = fixtures::load(runtime(), language);
        let played = play(runtime(), &component, &scenario).await.unwrap();
        assert_eq!(played.took.len(), items + 4, "{language}");
        let (first, last) = (played.took[0], played.took[items + 3]);
        let all = total(&played.took);
        println!(
            "{language}: first call {first:?}, last {last:?}, all {} {all:?}",
            items + 4
        );
        // Quadratic on paper; a build has minutes for this many steps.
        assert!(all < Duration::from_secs(30), "{language}: {all:?}");
    }
}

/// Compiling is what a first build waits for; kept code is mapped.
#[test]
fn compiled_code_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        cwasm_cache: Some(folder.path().join("cwasm")),
        ..Config::default()
    };
    // The large ones take seconds each, and are loaded in other tests.
    let small = |language: &&str| ["rust", "rust-wasip2", "c"].contains(language);
    for language in LANGUAGES.into_iter().filter(|one| long() || small(one)) {
        let bytes = fixtures::bytes(language);
        let load = || {
            let runtime = Runtime::new(config()).unwrap();
            let begun = Instant::now();
            let component = runtime.load(&bytes, language).unwrap();
            (component.reused(), begun.elapsed())
        };
        let ((cold, compiled), (warm, reused)) = (load(), load());
        assert_eq!((cold, warm), (false, true), "{language}");
        let size = bytes.len();
        println!("{language}: {size} bytes, compiled in {compiled:?}, kept code in {reused:?}");
    }
}
