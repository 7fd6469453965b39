//! A plan is what a build does, byte for byte, as far as it can be known; and it does
//! nothing itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::{Value, json};

use crate::guests;
use crate::support::{billed, command, of_action, param, requests, run};

/// A component whose first batch is a file of three slices and a script too long for one
/// command, and which asks then.
fn large() -> Vec<u8> {
    guests::builder(
        r#"(local $one i32)
        (memory.fill (i32.const 0x2000) (i32.const 0x23) (i32.const 60000))
        (memory.copy (i32.const 0x1000) (i32.const 0x80) (i32.const 10))
        (drop (call $write (i32.const 0x40) (i32.const 3) (i32.const 0x80) (i32.const 10)
          (i32.const 0x2000) (i32.const 60000)))
        (drop (call $shell (i32.const 0x43) (i32.const 4) (i32.const 0x2000) (i32.const 20000)))
        (local.set $one (call $one))
        (call $output (local.get $one) (i32.const 0))
        (drop (call $one))
        (call $ok))
        (data (i32.const 0x80) "/srv/large")
        (func (drop (i32.const 0))"#,
    )
}

const TEMPLATE: &str = r#"
name: planned
source: { family: debian-12 }
parameters: { word: { type: string, default: "it's $HOME" } }
checkpoint: false
build:
  - uses: darkroom:shell
    with: { name: say, script: 'echo "$WORD"', env: { WORD: '${{ parameters.word }}' }, timeout: 33 }
  - uses: darkroom:files
    with: { path: /etc/planned.conf, text: 'word = ${{ parameters.word }}' }
  - uses: ./large.wasm
  - reboot: {}
  - run: echo "$WORD"
    env: { WORD: '${{ parameters.word }}' }
test:
  - uses: darkroom:service
    with: { name: dbus, enabled: false }
  - uses: darkroom:shell
    with: { test: test -e /srv/large }
"#;

/// A recorded request in the form of a plan's, with the run's id replaced.
fn as_planned(request: &Value, run: &str) -> Value {
    let number = |name: &str| param(request, name).parse::<u64>().unwrap();
    match request["action"].as_str().unwrap() {
        "RunCommand" => json!({
            "action": "RunCommand",
            "content": command(request).replace(run, "RUN"),
            "timeout": number("Timeout"),
        }),
        "SendFile" => {
            let content = &request["params"]["Content"];
            json!({
                "action": "SendFile",
                "target_dir": param(request, "TargetDir").replace(run, "RUN"),
                "name": param(request, "Name"),
                "length": content["length"],
                "sha256": content["sha256"],
            })
        }
        action => json!({ "action": action }),
    }
}

/// A planned request in the same form: what is recorded is the length as sent, in base64.
fn as_sent(planned: &Value) -> Value {
    let mut planned = planned.clone();
    if let Some(length) = planned["length"].as_u64() {
        let bytes = vec![0; usize::try_from(length).unwrap()];
        planned["length"] = STANDARD.encode(bytes).len().into();
    }
    planned
}

/// Slices travel at the same time: in the order of their names within their file.
fn in_order(mut batch: Vec<Value>) -> Vec<Value> {
    let mut from = 0;
    while from < batch.len() {
        let same = |one: &&Value| {
            one["action"] == "SendFile" && one["target_dir"] == batch[from]["target_dir"]
        };
        let count = batch[from..].iter().take_while(same).count();
        batch[from..from + count].sort_by_key(|one| one["name"].to_string());
        from += count.max(1);
    }
    batch
}

#[test]
fn a_plan_does_nothing_and_says_what_a_build_sends() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    house.write("image.yaml", TEMPLATE);
    std::fs::write(house.path("large.wasm"), large()).unwrap();

    let planned = run(&house, &["plan", "--json"]).exits(0).json();
    let for_people = run(&house, &["plan", "--scripts"]).exits(0).out;
    let asked = requests(&house);
    assert!(!asked.is_empty());
    for one in &asked {
        let action = one["action"].as_str().unwrap();
        assert!(action.starts_with("Describe"), "{action}");
        assert_eq!(one["code"], Value::Null, "{one}");
    }
    assert_eq!(house.admin("/-/ledger?all=true")["entries"], json!([]));
    assert_eq!(
        run(&house, &["runs", "list"]).exits(0).out,
        "",
        "no run is begun"
    );

    let parts = planned[0]["parts"].as_array().unwrap();
    let paths: Vec<_> = parts
        .iter()
        .map(|part| part["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "repair/linux",
            "build/1-shell",
            "build/2-files",
            "build/3-large",
            "build/4-reboot",
            "build/5-run",
            "image/generalize",
            // A builder that brings a tester is tested with its own arguments.
            "test/1-shell",
            "test/2-service",
            "test/3-shell"
        ]
    );
    let asks = |path: &str| {
        let part = parts.iter().find(|part| part["path"] == path).unwrap();
        part["then_asks"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(
        asks("build/3-large").as_deref(),
        Some("the output of \"one\"")
    );
    assert_eq!(asks("build/1-shell"), None);

    run(&house, &["build"]).exits(0);
    let built = house.manifest()["run"].as_str().unwrap().to_owned();
    let sent: Vec<_> = requests(&house)[asked.len()..]
        .iter()
        .filter(|one| {
            let action = one["action"].as_str().unwrap();
            ["RunCommand", "SendFile", "RebootInstance"].contains(&action)
        })
        .map(|one| as_planned(one, &built))
        .collect();
    let sent = in_order(sent);
    let mut at = 0;
    let mut may_skip = false;
    for part in parts {
        let path = part["path"].as_str().unwrap();
        let steps = part["steps"].as_array().unwrap().iter();
        let batch: Vec<_> = steps
            .flat_map(|step| step["requests"].as_array().unwrap())
            .map(as_sent)
            .collect();
        if path == "test/1-shell" {
            assert!(batch.is_empty(), "it was given no test");
            continue;
        }
        // What a part sent after its questions, or until a reboot was over, was not
        // planned; anything else is.
        let found = sent[at..].iter().position(|one| *one == batch[0]);
        let skipped = found.unwrap_or_else(|| panic!("{path}: {} was not sent", batch[0]));
        assert!(
            may_skip || skipped == 0,
            "{path}: {:?} was sent before",
            sent[at]
        );
        at += skipped;
        assert_eq!(sent[at..at + batch.len()], batch, "{path}");
        at += batch.len();
        may_skip =
            part["then_asks"].is_string() || path.contains("reboot") || path.contains("generalize");
        // What people are shown is the same.
        for one in &batch {
            for line in one["content"].as_str().unwrap_or_default().lines() {
                assert!(
                    for_people.contains(&format!("    | {line}\n")),
                    "{path}: {line}"
                );
            }
        }
    }
    assert!(
        of_action(&requests(&house), "SendFile").len() >= 4,
        "slices and a long script"
    );
    assert!(
        billed(&house)
            .iter()
            .all(|one| !one.starts_with("instance")),
        "{:?}",
        billed(&house)
    );
}
