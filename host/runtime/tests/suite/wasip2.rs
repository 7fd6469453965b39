//! A component of a stock toolchain on the empty WASI: `tests/guests/plain-wasip2`,
//! built here by plain `cargo build --target wasm32-wasip2`.
//!
//! Where that target is not installed the test says so and is not run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use darkroom_contract::{Ended, Ending, History, Role, StepKind};
use darkroom_runtime::{Call, CallError, Component, Config, Failure, Runtime, pack};
use serde_json::{Map, json};

use crate::support::{done, first};

const TARGET: &str = "wasm32-wasip2";

/// Builds the guest; `None` where this machine can't.
fn built() -> Option<Vec<u8>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()?;
    let libraries = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
    if !libraries.is_dir() {
        return None;
    }
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/plain-wasip2");
    // Beside what the host is built in, so that it is built once for all.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../guests");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--quiet", "--target", TARGET])
        .env("CARGO_TARGET_DIR", &folder)
        .current_dir(guest)
        .status()
        .unwrap();
    assert!(built.success(), "the guest can't be built");
    let path = folder.join(TARGET).join("debug/plain_wasip2.wasm");
    Some(std::fs::read(path).unwrap())
}

async fn call(
    runtime: &Runtime,
    component: &Component,
    panics: bool,
) -> (Ended, Result<Ended, CallError>) {
    let arguments = Map::from_iter([("panic".to_owned(), json!(panics))]);
    let with = |call: Call| Call {
        inputs: component.description().inputs(&arguments).unwrap(),
        ..call
    };
    let suspended = runtime
        .call(component, with(first(component, Role::Builder)))
        .await
        .unwrap();
    let results = vec![done("answer"); suspended.steps.len()];
    let again = Call {
        history: Arc::new(History { results }),
        previous: Some(suspended.transcript.clone()),
        ..with(first(component, Role::Builder))
    };
    let ended = runtime.call(component, again).await;
    (suspended, ended)
}

#[tokio::test]
async fn a_plain_guest_runs_alike_each_time_and_reaches_nothing() {
    let Some(bytes) = built() else {
        println!("not run: rustup target add {TARGET}");
        return;
    };
    let runtime = Runtime::new(Config::default()).unwrap();
    let packed = pack::pack(&runtime, &bytes, &[], "plain-wasip2").unwrap();
    let component = runtime.load(&packed, "plain-wasip2").unwrap();

    // The second call is compared with the first, and a third with both.
    let begun = std::time::Instant::now();
    let (suspended, ended) = call(&runtime, &component, false).await;
    let ended = ended.unwrap();
    assert_eq!(ended.ending, Ending::Returned(Ok(())));
    let (repeated, _) = call(&runtime, &component, false).await;
    assert_eq!(suspended, repeated);
    // It slept for an hour, three times over.
    assert!(begun.elapsed().as_secs() < 60);

    let script = |name: &str| match ended.steps.iter().find(|step| step.name == name) {
        Some(step) => match &step.kind {
            StepKind::Shell { script, .. } => script.as_str(),
            other => panic!("{other:?}"),
        },
        None => panic!("there is no step {name}"),
    };
    assert_eq!(script("clock"), "echo Ok(1767225600s) 3660s");
    assert_eq!(script("tcp"), "refused PermissionDenied");
    assert_eq!(script("udp"), "refused PermissionDenied");
    assert!(script("name").starts_with("refused "), "{}", script("name"));
    for file in ["read", "write"] {
        assert_eq!(script(file), "refused NotFound");
    }
    assert_eq!(script("environment"), "echo 0");
    assert_eq!(ended.report.messages[0].text, "answer");

    let (_, ended) = call(&runtime, &component, true).await;
    let error = ended.unwrap_err();
    assert!(matches!(error.failure(), Failure::Trapped(_)), "{error}");
    let text = error.to_string();
    for part in [
        "builder.build: it trapped",
        "standard error:",
        "about to fail",
        "the flux capacitor is missing",
        "src/lib.rs:",
        "    at abort (",
        "    at <plain_wasip2::Plain as ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("nobody reads this"), "{text}");
    // And the process goes on.
    let (_, ended) = call(&runtime, &component, false).await;
    ended.unwrap();
}
