//! Ctrl-C: the first cleans up, the second stops at once, and a resume goes on.

use std::time::Duration;

use serde_json::json;

use crate::desk::{Desk, Running, TINY, components, until};

/// A desk whose server takes a minute for a command.
fn slow() -> Option<Desk> {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return None;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    desk.run(&["image", "list"]).expect(0);
    desk.sim(&json!({"latencies": {"start": 0, "agent": 0, "stop": 0, "reboot": 0, "delete": 0, "image": 0, "copy": 0, "command": 60}}));
    Some(desk)
}

fn events(desk: &Desk) -> String {
    let runs = std::fs::read_dir(desk.at("state/runs"))
        .into_iter()
        .flatten();
    let files =
        runs.filter_map(|run| std::fs::read_to_string(run.ok()?.path().join("events.ndjson")).ok());
    files.collect()
}

fn interrupted(desk: &Desk) -> bool {
    let list = desk.run(&["runs", "list", "--json"]).expect(0).json();
    list.iter()
        .any(|run| run["status"].is_null() && run["pid"].is_null())
}

#[test]
fn the_first_cancels_and_cleans_up() {
    let Some(desk) = slow() else { return };
    let build = Running::start(desk.darkroom(&["build"]));
    until("the step runs", || events(&desk).contains("step-started"));
    build.interrupt();
    let ran = build.ended().expect(130);
    assert!(
        ran.err.contains("Ctrl-C again stops at once"),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("CANCELLED"), "{}", ran.out);
    assert!(!interrupted(&desk));
    until("the instance is gone", || {
        let status = desk.run(&["local", "status"]).expect(0);
        !status.out.contains("instance  i-")
    });
}

#[test]
fn the_second_stops_at_once_and_a_cancel_cleans_up() {
    let Some(desk) = slow() else { return };
    let hold = desk.at("held");
    let mut command = desk.darkroom(&["build"]);
    // Held before the command is sent, the run can't clean up.
    command.env(
        "DARKROOM_FAILPOINT",
        format!("engine.command={}", hold.display()),
    );
    let build = Running::start(command);
    until("the run is held", || hold.exists());
    build.interrupt();
    // More than what is taken for one signal.
    std::thread::sleep(Duration::from_millis(600));
    build.interrupt();
    let ran = build.ended().expect(130);
    assert!(ran.err.contains("was stopped at once"), "{}", ran.err);
    assert!(ran.err.contains("darkroom resume"), "{}", ran.err);
    assert!(interrupted(&desk));
    let resumed = desk.run(&["resume", "last"]).expect(130);
    assert!(resumed.out.contains("CANCELLED"), "{}", resumed.out);
    assert!(!interrupted(&desk));
}

#[test]
fn another_process_cancels_a_run_that_is_driven() {
    let Some(desk) = slow() else { return };
    let build = Running::start(desk.darkroom(&["build"]));
    until("the step runs", || events(&desk).contains("step-started"));
    let second = desk.run(&["resume", "last"]).expect(2);
    assert!(
        second.err.contains(&build.0.id().to_string()),
        "{}",
        second.err
    );
    desk.run(&["runs", "cancel", "last"]).expect(0);
    build.ended().expect(130);
}
