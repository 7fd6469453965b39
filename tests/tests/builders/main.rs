//! Builders, each on a real instance: applied twice, the second application says that
//! nothing changed; what it was for is looked at on the machine; and values that a shell
//! would take for orders arrive as they are.
#![expect(
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]

mod managers;
mod packages;
mod system;
mod texts;

use darkroom_contract::{CaseStatus, Role};
use darkroom_tests::bench::{Bench, Tried};
use serde_json::Value;

/// Everything that a quoting mistake would trip over; no line end, which paths and lists
/// can't have everywhere.
const HOSTILE: &str =
    "it's \"q\" $(touch /srv/pwned) `touch /srv/pwned` \\n $HOME * ; & | > < # ~ é 镜像";

/// Applies a builder, and says whether it changed something.
async fn apply(bench: &Bench, name: &str, with: &Value) -> bool {
    let component = bench.component(name);
    let tried = bench
        .run(&component, Role::Builder, with.clone(), "/")
        .await
        .ok();
    let changed = tried.published("changed").and_then(Value::as_bool);
    changed.unwrap_or_else(|| panic!("{name} does not publish `changed`: {:#?}", tried.report))
}

/// Applies a builder twice: the first time it changes something, the second time nothing.
async fn twice(bench: &Bench, name: &str, with: Value) {
    assert!(apply(bench, name, &with).await, "{name} {with}");
    assert!(
        !apply(bench, name, &with).await,
        "{name} {with}: not the second time"
    );
    assert_eq!(
        bench.try_sh("ls /srv/pwned").await.0,
        2,
        "{name} ran a value"
    );
}

/// What a builder that can't go through says.
async fn refusal(bench: &Bench, name: &str, with: Value) -> String {
    let component = bench.component(name);
    let tried = bench.run(&component, Role::Builder, with, "/").await;
    tried.error.unwrap_or_else(|| panic!("{name} went through"))
}

/// Tests with the arguments of the builder.
async fn test(bench: &Bench, name: &str, with: Value) -> Tried {
    let component = bench.component(name);
    bench.run(&component, Role::Tester, with, "/").await.ok()
}

/// How many cases there are, all of which must have passed.
fn passed(tried: &Tried) -> usize {
    let not = tried
        .report
        .cases
        .iter()
        .find(|case| case.status != CaseStatus::Passed);
    assert!(not.is_none(), "{not:?} {:#?}", tried.steps);
    tried.report.cases.len()
}
