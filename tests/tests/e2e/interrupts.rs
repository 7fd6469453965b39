//! A run that is stopped: by Ctrl-C, by a second one, or from elsewhere. Nothing is left,
//! or it is said how to go on.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use darkroom_tests::house::{House, kill, reached, sandbox_can_run, wait_for};
use serde_json::Value;

use crate::support::{Told, billed, of_action, requests, run};

/// Runs until it is stopped, once it has said that it has begun.
const ENDLESS: &str = "\
name: endless
source: { family: debian-12 }
checkpoint: false
repair: none
build:
  - run: echo begun; exec sleep 600
";

/// A build of [`ENDLESS`] whose command runs.
fn begin(house: &House) -> Child {
    let file = house.write("image.yaml", ENDLESS);
    let build = start(house, &["build", file.to_str().unwrap(), "--json"]);
    wait_for("a running command", || has_begun(house).then_some(()));
    build
}

fn start(house: &House, arguments: &[&str]) -> Child {
    let mut command = house.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Whether the command of the newest run is under way in its instance.
fn has_begun(house: &House) -> bool {
    let Ok(folders) = std::fs::read_dir(house.local().join("instances")) else {
        return false;
    };
    let mut begun =
        folders.filter_map(|one| std::fs::read_dir(one.ok()?.path().join("commands")).ok());
    begun.any(|commands| commands.count() == 1)
}

fn interrupt(build: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &build.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn ended(build: Child) -> Told {
    Told::of(build.wait_with_output().unwrap())
}

/// What a cancelled run leaves: its records, and nothing that costs anything.
#[track_caller]
fn is_clean(house: &House) {
    assert_eq!(billed(house), [""; 0]);
    let left = std::fs::read_dir(house.local().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
    let list = run(house, &["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list[0]["status"], "CANCELLED");
    assert_eq!(list[0]["pid"], Value::Null);
    assert_eq!(house.manifest()["status"], "CANCELLED");
    assert_eq!(house.manifest()["left"], serde_json::json!([]));
}

#[test]
fn the_first_interrupt_cancels_and_cleans_up() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let build = begin(&house);
    interrupt(&build);
    let told = ended(build).exits(130);
    let events = told.json();
    let finished = events
        .iter()
        .find(|one| one["event"] == "run-finished")
        .unwrap();
    assert_eq!(finished["status"], "CANCELLED");
    is_clean(&house);
    let again = run(&house, &["resume", "last"]).exits(2);
    again.says(&["has ended: CANCELLED", "darkroom build"]);
}

#[test]
fn the_second_interrupt_stops_at_once_and_a_resume_cleans_up() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let file = house.write("image.yaml", ENDLESS);
    // The cloud holds the deletion of the instance, so that cleaning up takes its time.
    let hit = house.path("deleting");
    let mut command = house.command(&["build", file.to_str().unwrap()]);
    let armed = format!("server.cleanup={}", hit.display());
    command.env("DARKROOM_FAILPOINT", armed);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let build = command.spawn().unwrap();
    wait_for("a running command", || has_begun(&house).then_some(()));
    interrupt(&build);
    reached("server.cleanup", &hit);
    // Interrupts in quick succession are one.
    std::thread::sleep(Duration::from_millis(400));
    interrupt(&build);
    let told = ended(build).exits(130);
    let list = run(&house, &["runs", "list", "--json"]).exits(0).json();
    let id = list[0]["run"].as_str().unwrap();
    assert_eq!(
        (&list[0]["status"], &list[0]["pid"]),
        (&Value::Null, &Value::Null)
    );
    told.says(&[
        "Ctrl-C again stops at once",
        "was stopped at once",
        &format!("`darkroom resume {id}`"),
    ]);
    let there = billed(&house);
    assert_eq!(
        there.len(),
        5,
        "an instance, its disk and its network of three parts: {there:?}"
    );
    let shown = run(&house, &["runs", "show", "last"]).exits(0);
    shown.says(&[&format!("darkroom resume {id}")]);

    std::fs::remove_file(&hit).unwrap();
    let resumed = run(&house, &["resume", id]).exits(130);
    assert!(resumed.out.contains("CANCELLED"), "{}", resumed.out);
    is_clean(&house);
    assert_eq!(
        of_action(&requests(&house), "RunInstances").len(),
        2,
        "one, and one tried dry"
    );
}

#[test]
fn a_live_run_is_cancelled_from_elsewhere_and_resumed_by_nobody() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let build = begin(&house);
    let pid = build.id().to_string();
    let list = run(&house, &["runs", "list"]).exits(0);
    assert!(
        list.out.contains(&format!("running ({pid})")),
        "{}",
        list.out
    );
    run(&house, &["resume", "last"])
        .exits(2)
        .says(&[&format!("process {pid}"), "runs cancel"]);
    let told = run(&house, &["runs", "cancel", "last"]).exits(0);
    told.says(&[&format!("process {pid} has been told to stop")]);
    ended(build).exits(130);
    is_clean(&house);
    run(&house, &["runs", "cancel", "last"])
        .exits(2)
        .says(&["has ended: CANCELLED"]);
}

#[test]
fn a_dead_run_is_cancelled_by_who_asks_for_it() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let mut build = begin(&house);
    kill(build.id());
    build.wait().unwrap();
    let list = run(&house, &["runs", "list"]).exits(0);
    assert!(list.out.contains("interrupted"), "{}", list.out);
    let there = billed(&house);
    assert_eq!(
        there.len(),
        5,
        "an instance, its disk and its network of three parts: {there:?}"
    );
    // A build beside it says so, and is a run of its own.
    let id = list.out.lines().nth(1).unwrap().split(' ').next().unwrap();
    let quick = ENDLESS.replace("exec sleep 600", "true");
    house.write("image.yaml", &quick);
    run(&house, &["build"]).exits(0).says(&[
        &format!("Run {id} of this template was interrupted"),
        &format!("`darkroom runs cancel {id}`"),
        "This is a new run.",
    ]);
    run(&house, &["runs", "cancel", id]).exits(0);
    let left: Vec<_> = billed(&house);
    assert!(
        left.iter()
            .all(|one| !one.starts_with("instance") && !one.starts_with("disk")),
        "{left:?}"
    );
    let list = run(&house, &["runs", "list", "--json"]).exits(0).json();
    let states: Vec<_> = list.iter().map(|one| &one["status"]).collect();
    assert_eq!(states, ["SUCCESS", "CANCELLED"]);
}
