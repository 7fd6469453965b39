//! The verbs that look: runs, logs, images, the local cloud and its instances; for people,
//! and as JSON, one value a line.

use std::io::Write as _;
use std::process::Stdio;

use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::Value;

use crate::support::{HERE, Machine, THERE, Told, built, image_in, run};

const TEMPLATE: &str = "\
name: looked-at
source: { family: debian-12 }
build:
  - run: echo hello; echo again >&2
  - uses: darkroom:files
    with: { path: /srv/file, text: in it }
test:
  - uses: darkroom:shell
    with: { test: grep in /srv/file, name: the file is there }
image: { family: looked-at, tags: { team: web } }
distribute: { regions: [cn-hangzhou, ap-southeast-1], accounts: ['2000000000000002'] }
";

/// A house in which one image has been built, and its manifest.
fn one_built() -> Option<(House, Value)> {
    if !sandbox_can_run() {
        return None;
    }
    let house = House::sandbox();
    let manifest = built(&house, TEMPLATE);
    Some((house, manifest))
}

#[test]
fn a_run_its_manifest_its_logs_and_its_images() {
    let Some((house, manifest)) = one_built() else {
        return;
    };
    let id = manifest["run"].as_str().unwrap();
    let (here, there) = (image_in(&manifest, HERE), image_in(&manifest, THERE));
    let said = |arguments: &[&str], wanted: &[&str]| {
        let told = run(&house, arguments).exits(0);
        for text in wanted {
            assert!(
                told.out.contains(text),
                "{arguments:?}: missing {text} in\n{}",
                told.out
            );
        }
        // The same as JSON: every line is a value.
        let json: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        let json = run(&house, &json).exits(0);
        assert!(!json.json().is_empty(), "{arguments:?}");
        assert_eq!(json.err, "", "{arguments:?}");
        json.json()
    };
    let list = said(
        &["runs", "list"],
        &[id, "looked-at", "SUCCESS", &here, &there],
    );
    assert_eq!(list[0]["images"].as_array().unwrap().len(), 2);
    let steps = [
        "build/1-run/0",
        "build/2-files/1",
        "image/generalize/0",
        "test/1-shell/0",
    ];
    let shown = said(
        &["runs", "show", id],
        &[&["SUCCESS", &here, &there][..], &steps].concat(),
    );
    assert_eq!(shown[0]["manifest"], manifest);
    said(&["runs", "show", "last"], &[id]);
    said(&["runs", "show", &id[..12]], &[id]);
    said(&["runs", "logs", "last", "--list"], &steps);
    assert_eq!(
        run(&house, &["runs", "logs", "last", "build/1-run/0"])
            .exits(0)
            .out,
        "hello\nagain\n"
    );
    let missing = run(&house, &["runs", "logs", "last", "build/9"]).exits(2);
    missing.says(&["no log of build/9", "--list"]);
    let events = run(&house, &["runs", "logs", "last", "--events"])
        .exits(0)
        .json();
    assert!(
        events
            .iter()
            .all(|event| event["v"] == 1 && event["run"] == id)
    );
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    assert_eq!(
        said_of_stages(&events),
        [
            "prepare",
            "repair",
            "build",
            "image",
            "test",
            "distribute",
            "release"
        ]
    );

    let images = said(&["image", "list"], &[&here, "looked-at"]);
    assert!(
        images.iter().all(|one| !one.to_string().contains(&there)),
        "{images:?}"
    );
    said(&["image", "list", "--region", THERE], &[&there]);
    let shown = said(
        &["image", "show", &here],
        &[
            &here,
            "looked-at",
            "team=web",
            "2000000000000002",
            "local cn-hangzhou",
            "snapshot",
        ],
    );
    assert_eq!(
        shown[0]["accounts"],
        serde_json::json!(["2000000000000002"])
    );
    run(&house, &["image", "show", &there])
        .exits(2)
        .says(&["there is no image", "--region"]);
}

fn said_of_stages(events: &[Value]) -> Vec<&str> {
    let finished = events.iter().filter(|one| one["event"] == "stage-finished");
    finished.map(|one| one["path"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_cloud_and_a_shell_in_an_instance() {
    let Some((house, manifest)) = one_built() else {
        return;
    };
    let machine = Machine::boot(house.client(0), HERE, &image_in(&manifest, HERE)).await;
    let id = machine.instance.clone();
    let status = run(&house, &["local", "status"]).exits(0).out;
    let server = house.server();
    for text in [
        &server.url,
        &server.pid.to_string(),
        "sandbox",
        "1 Running",
        &id,
    ] {
        assert!(status.contains(text), "missing {text} in\n{status}");
    }
    let status = run(&house, &["local", "status", "--json"]).exits(0).json();
    assert_eq!(status[0]["status"]["instances"]["Running"], 1);

    let one = run(
        &house,
        &["local", "shell", &id, "--", "cat /srv/file; exit 7"],
    )
    .exits(7);
    assert_eq!(one.out, "in it");
    let mut command = house.command(&["local", "shell", &id]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = command.spawn().unwrap();
    let lines = b"cd /srv\npwd\ncd nowhere\ncat file\nfalse\n";
    shell.stdin.take().unwrap().write_all(lines).unwrap();
    let told = Told::of(shell.wait_with_output().unwrap()).exits(1);
    assert!(
        told.out.starts_with("/srv\n") && told.out.ends_with("in it"),
        "{}",
        told.out
    );
    assert!(told.out.contains("nowhere"), "{}", told.out);

    // Another account has no such instance.
    let stranger = ["local", "shell", &id, "--account", "second", "--", "true"];
    run(&house, &stranger)
        .exits(2)
        .says(&["there is no instance"]);
    // A server that is asked to leave leaves its instances, and the next one finds them.
    run(&house, &["local", "stop"]).exits(0);
    let gone = run(&house, &["local", "status"]).exits(0).out;
    assert!(gone.contains("isn't running"), "{gone}");
    run(&house, &["local", "shell", &id, "--", "true"]).exits(0);
    assert_ne!(house.server().pid, server.pid);
    run(&house, &["local", "reset", "--yes"])
        .exits(5)
        .says(&["--force"]);
    run(&house, &["local", "reset", "--yes", "--force"]).exits(0);
    let empty = run(&house, &["local", "status", "--json"]).exits(0).json();
    assert_eq!(empty[0]["ledger"]["entries"], serde_json::json!([]));
    assert_eq!(empty[0]["status"]["instances"], serde_json::json!({}));
}
