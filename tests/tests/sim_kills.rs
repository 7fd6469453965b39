//! A build is killed anywhere and resumed, in the local cloud's simulation.
//!
//! A real process builds from a component written as WebAssembly text, and is killed by
//! SIGKILL at the nth intent, effect or outcome of its journal. After the resume the
//! cloud must look as after a build that nobody killed.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::collections::BTreeMap;
use std::process::Command;

use darkroom_runtime::{Config, Runtime};
use darkroom_tests::guests;
use darkroom_tests::house::{Driver, House, is_dead, kill, wait_for};
use serde_json::{Value, json};

const TEMPLATE: &str = "\
name: web
source: { family: debian-12 }
build:
  - uses: darkroom:all-roles
    with: { greeting: good day }
  - run: echo hello
  - reboot: {}
image: { family: web }
distribute: { regions: [cn-hangzhou, cn-beijing], accounts: ['2000000000000002'] }
";

/// A house whose cloud is simulated and whose components are the guest's.
fn house() -> House {
    house_of(TEMPLATE)
}

fn house_of(template: &str) -> House {
    let house = House::new(Driver::Sim);
    let runtime = Runtime::new(Config::default()).unwrap();
    guests::system_folder(&runtime, &house.path("components"));
    house.write("image.yaml", template);
    house.succeed(&["image", "list"]);
    let server = house.server();
    let rules =
        json!({ "rules": [{ "match": "cat /var/www/html/index.html", "output": "good day" }] });
    let status = Command::new("curl")
        .args([
            "-sS",
            "--fail",
            "--noproxy",
            "*",
            "-X",
            "PUT",
            "-o",
            "/dev/null",
            "-H",
        ])
        .arg(format!("Authorization: Bearer {}", server.token))
        .args(["-d", &rules.to_string()])
        .arg(format!("{}/-/sim", server.url))
        .status()
        .unwrap();
    assert!(status.success());
    house
}

/// What is left in the cloud, by kind, and how often each token action was asked for and
/// granted anew.
fn books(house: &House) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
    let mut kinds = BTreeMap::new();
    for entry in house.admin("/-/ledger")["entries"].as_array().unwrap() {
        *kinds.entry(text(&entry["kind"])).or_default() += 1;
    }
    let mut tokens: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for action in ["RunInstances", "CreateImage", "CopyImage", "RunCommand"] {
        let asked = house.admin(&format!("/-/requests?action={action}&limit=1000"));
        let seen = tokens.entry(action.into()).or_default();
        for request in asked["requests"].as_array().unwrap() {
            if request["params"]["DryRun"].is_null() {
                seen.push(text(&request["params"]["ClientToken"]));
            }
        }
        seen.sort();
        seen.dedup();
    }
    let counts = tokens
        .into_iter()
        .filter(|(action, _)| action != "RunCommand")
        .map(|(action, seen)| (action, seen.len()))
        .collect();
    (kinds, counts)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Kills a build at the nth arrival at a point; false when it ended before.
fn killed(house: &House, point: &str, count: u32) -> bool {
    let hit = house.path("hit");
    let mut build = house.start_armed(&["build"], &format!("{point}@{count}"), &hit);
    let pid = build.id();
    let held = wait_for(point, || {
        if hit.exists() {
            return Some(true);
        }
        build.try_wait().unwrap().map(|_| false)
    });
    if held {
        let holder: u32 = std::fs::read_to_string(&hit).unwrap().parse().unwrap();
        assert_eq!(holder, pid, "another process than the build was held");
        kill(pid);
        assert!(is_dead(pid));
        build.wait().unwrap();
    }
    held
}

/// Kills at every `step`th arrival at the point until the build ends before it.
fn sweep(point: &str, first: u32, step: u32) {
    let reference = house();
    reference.succeed(&["build"]);
    let wanted = books(&reference);
    let mut kills = 0;
    for count in (first..).step_by(usize::try_from(step).unwrap()) {
        let house = house();
        if !killed(&house, point, count) {
            break;
        }
        kills += 1;
        house.succeed(&["resume", "last"]);
        assert_eq!(house.manifest()["status"], "SUCCESS", "{point}@{count}");
        assert_eq!(books(&house), wanted, "{point}@{count}");
    }
    assert!(kills >= 3, "{point} held only {kills} builds");
}

#[test]
fn killed_after_an_intent() {
    sweep("journal.intent", 1, 6);
}

#[test]
fn killed_after_an_effect() {
    sweep("journal.effect", 2, 6);
}

#[test]
fn killed_after_an_outcome() {
    sweep("journal.outcome", 3, 11);
}

#[test]
fn killed_after_a_stage() {
    sweep("journal.stage", 1, 2);
}

/// Each layer is made once, and stays when it is whole, also of a run that is cancelled.
#[test]
fn killed_while_a_layer_is_kept() {
    let template = format!("{TEMPLATE}checkpoint: true\n");
    let reference = house_of(&template);
    reference.succeed(&["build"]);
    let wanted = books(&reference);
    // The image, and what the component and the script have come to.
    assert_eq!(wanted.1["CreateImage"], 3);
    for (point, count) in [
        ("engine.layer", 1),
        ("engine.layer", 2),
        ("engine.kept-layer", 2),
    ] {
        let house = house_of(&template);
        assert!(killed(&house, point, count));
        house.succeed(&["resume", "last"]);
        assert_eq!(house.manifest()["status"], "SUCCESS", "{point}@{count}");
        assert_eq!(books(&house), wanted, "{point}@{count}");
    }
    let house = house_of(&template);
    assert!(killed(&house, "engine.layer", 2));
    house.run(&["runs", "cancel", "last"]);
    let kept = [("image".to_owned(), 1), ("snapshot".to_owned(), 1)];
    assert_eq!(books(&house).0, BTreeMap::from(kept));
}

/// Only the image knows its snapshots.
#[test]
fn killed_between_an_image_and_its_snapshots() {
    let house = house();
    assert!(killed(&house, "engine.imaging", 1));
    let hit = house.path("hit");
    std::fs::remove_file(&hit).unwrap();
    let mut cancel = house.start_armed(&["runs", "cancel", "last"], "engine.discard", &hit);
    wait_for("engine.discard", || hit.exists().then_some(()));
    kill(cancel.id());
    cancel.wait().unwrap();
    house.run(&["resume", "last"]);
    assert!(books(&house).0.is_empty());
    assert_eq!(house.manifest()["status"], "CANCELLED");
}

/// A trap is not in the journal. A resume must not go on with what was being undone, even
/// if the component would not trap any more.
#[test]
fn killed_while_a_failed_run_cleans_up() {
    let house = house();
    let runtime = Runtime::new(Config::default()).unwrap();
    let name = house.path("components/all-roles.wasm");
    let good = std::fs::read(&name).unwrap();
    std::fs::write(&name, guests::trapping(&runtime)).unwrap();
    // The fourth record is the verdict, after those of unchanged, prepare and repair.
    assert!(killed(&house, "journal.stage", 4));
    let runs = house.path("state/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    for kept in std::fs::read_dir(run.path().join("components")).unwrap() {
        std::fs::write(kept.unwrap().path(), &good).unwrap();
    }
    let resumed = house.run(&["resume", "last"]);
    assert_eq!(resumed.status.code(), Some(4), "{resumed:?}");
    assert_eq!(house.manifest()["status"], "FAILED");
    assert!(books(&house).0.is_empty());
}

/// A network is found by its tags, however far it has come.
#[test]
fn killed_while_a_network_is_made() {
    let house = house();
    assert!(killed(&house, "engine.network", 1));
    house.run(&["runs", "cancel", "last"]);
    assert_eq!(house.manifest()["status"], "CANCELLED");
    assert!(books(&house).0.is_empty());
}

/// What was published is kept all at once: who cancels after that has the images, and
/// they are named; nothing else is left.
#[test]
fn killed_and_cancelled_after_the_images_are_kept() {
    let house = house();
    assert!(killed(&house, "engine.kept", 1));
    house.run(&["runs", "cancel", "last"]);
    let manifest = house.manifest();
    assert_eq!(manifest["status"], "CANCELLED");
    let regions = manifest["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 2);
    assert!(regions.iter().all(|one| one["image"].is_string()));
    let kept = [("image".to_owned(), 2), ("snapshot".to_owned(), 2)];
    assert_eq!(books(&house).0, BTreeMap::from(kept));
}

/// The same a moment before: nothing is kept, and nothing is named.
#[test]
fn killed_and_cancelled_before_the_images_are_kept() {
    let house = house();
    // The seventh record is the distribution's.
    assert!(killed(&house, "journal.stage", 7));
    house.run(&["runs", "cancel", "last"]);
    let manifest = house.manifest();
    assert_eq!(manifest["status"], "CANCELLED");
    assert_eq!(manifest["regions"], json!([]));
    assert!(books(&house).0.is_empty());
}
