//! Components that loop, allocate, trap, recurse, return garbage, or answer differently at
//! a replay: a named error, the machine cleaned up, and the next build unharmed.

use std::process::Stdio;
use std::time::Duration;

use darkroom_engine::Status;
use darkroom_runtime::{Config, Limits};
use darkroom_tests::house::{House, kill, sandbox_can_run, wait_for};
use darkroom_tests::laboratory::Laboratory;

use crate::guests;
use crate::support::{billed, run};

/// A step is carried out first, so that there is a machine to be cleaned up, then this.
fn after_a_step(body: &str) -> Vec<u8> {
    guests::builder(&format!(
        "(local $s i32) (local.set $s (call $one)) (call $output (local.get $s) (i32.const 0)) {body}"
    ))
}

/// Bad components by their names, with what must be said of each.
fn bad() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    vec![
        (
            "trap",
            after_a_step("unreachable"),
            &["`unreachable`", "at "],
        ),
        (
            "greedy",
            after_a_step(
                "(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 1024)) (i32.const 0)))) unreachable",
            ),
            &["out of memory: 256 MiB are allowed"],
        ),
        (
            "huge",
            guests::with_pages(65536),
            &["out of memory: 256 MiB are allowed"],
        ),
        (
            "deep",
            guests::packed(
                r#"(func $down (param i64) (result i64)
                  (i64.add (i64.const 1) (call $down (i64.add (local.get 0) (i64.const 1)))))
                (func (export "darkroom:component/builder@0.1.0#build") (result i32)
                  (drop (call $down (i64.const 1))) (call $ok))"#,
            ),
            &["stack"],
        ),
        (
            "garbage",
            after_a_step("(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)"),
            &["garbage"],
        ),
        (
            "talkative",
            after_a_step("(loop $l (drop (call $one)) (br $l)) (call $ok)"),
            &["more than 256 steps"],
        ),
        (
            "endless",
            after_a_step("(loop $l (br $l)) (call $ok)"),
            &["did not end within"],
        ),
    ]
}

fn template(name: &str) -> String {
    format!(
        "name: {name}\nsource: {{ family: debian-12 }}\ncheckpoint: false\nrepair: none\nbuild:\n  - uses: ./{name}.wasm\n"
    )
}

#[test]
fn each_is_named_and_its_machine_is_cleaned_up() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    for (name, bytes, wanted) in bad() {
        house.write("image.yaml", &template(name));
        std::fs::write(house.path(&format!("{name}.wasm")), bytes).unwrap();
        let told = run(&house, &["build"]).exits(4);
        let (component, export) = (format!("{name}.wasm"), "builder.build");
        told.says(&[&component, export, "sha256"]).says(wanted);
        assert_eq!(billed(&house), [""; 0], "{name}");
        let manifest = house.manifest();
        assert_eq!(manifest["status"], "FAILED", "{name}");
        assert_eq!(manifest["left"], serde_json::json!([]), "{name}");
    }
}

/// One engine in one process, before and after.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_build_of_the_same_process_is_unharmed() {
    let limits = Limits {
        wall_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let lab = Laboratory::with(Config {
        limits,
        ..Config::default()
    })
    .await;
    std::fs::write(lab.path("good.wasm"), after_a_step("(call $ok)")).unwrap();
    for (name, bytes, wanted) in bad() {
        std::fs::write(lab.path(&format!("{name}.wasm")), bytes).unwrap();
        let (outcome, _) = lab.build(&template(name)).await;
        assert_eq!(outcome.manifest.status, Status::Failed, "{name}");
        let error = outcome.manifest.error.unwrap();
        assert!(wanted.iter().all(|text| error.contains(text)), "{error}");
        let (outcome, _) = lab.build(&template("good")).await;
        assert_eq!(outcome.manifest.status, Status::Success, "after {name}");
    }
    let ledger = lab.admin("GET", "/-/ledger", serde_json::Value::Null).await;
    let kinds = ledger["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["kind"]);
    assert!(
        kinds
            .clone()
            .all(|kind| kind == "image" || kind == "snapshot"),
        "{ledger}"
    );
}

/// A component that throws dice: it declares another step when the output of the first is
/// another one. The output is in the journal, so that is where it is changed.
#[test]
fn one_that_answers_differently_at_a_replay_is_named() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let dice = guests::builder(
        r#"(local $s i32)
        (local.set $s (call $shell (i32.const 0x40) (i32.const 3) (i32.const 0x80) (i32.const 11)))
        (call $output (local.get $s) (i32.const 0))
        (if (i32.load (i32.const 4)) (then (drop (call $one))))
        (call $ok))
        (data (i32.const 0x80) "echo thrown")
        (func (drop (i32.const 0))"#,
    );
    std::fs::write(house.path("dice.wasm"), dice).unwrap();
    house.write(
        "image.yaml",
        &(template("dice") + "  - run: exec sleep 600\n"),
    );
    let mut command = house.command(&["build"]);
    let build = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut build = build.unwrap();
    wait_for("the second item", || {
        let events = run(&house, &["runs", "logs", "last", "--events"]).out;
        events.contains("\"build/2-run/0\"").then_some(())
    });
    kill(build.id());
    build.wait().unwrap();

    let journal = rusqlite::Connection::open(house.path("state/journal.sqlite")).unwrap();
    let changed = journal.execute(
        r#"UPDATE entries SET outcome = replace(outcome, '"output":"dGhyb3duCg=="', '"output":""')
           WHERE outcome LIKE '%"output":"dGhyb3duCg=="%'"#,
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    drop(journal);
    let told = run(&house, &["resume", "last"]).exits(4);
    told.says(&["./dice.wasm", "not deterministic", "3 calls", "2"]);
    assert_eq!(billed(&house), [""; 0]);
}
