//! The local cloud's server as the command line finds, starts and replaces it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal};

use crate::desk::{Desk, Ran, Running, until};

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

fn starts(desk: &Desk) -> usize {
    let log = fs::read_to_string(desk.at("state/local/server.log")).unwrap();
    log.matches("the local cloud is up").count()
}

#[test]
fn many_at_once_start_one() {
    let desk = Desk::new();
    let all: Vec<_> = (0..4)
        .map(|_| Running::start(desk.darkroom(&["image", "list"])))
        .collect();
    for one in all {
        one.ended().expect(0);
    }
    assert_eq!(starts(&desk), 1);
    let status = desk.run(&["local", "status"]).expect(0);
    assert!(status.out.contains(&desk.server().url), "{}", status.out);
}

#[test]
fn it_is_cut_off_from_who_started_it() {
    let desk = Desk::new();
    let planted = desk.write("planted", "");
    let darkroom = env!("CARGO_BIN_EXE_darkroom");
    let mut shell = desk.program(
        Path::new("/bin/sh"),
        &["-c", "exec 9>\"$1\"; exec \"$2\" image list", "sh"],
    );
    shell
        .arg(&planted)
        .arg(darkroom)
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "a-real-key")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "a-real-secret");
    Ran::of(shell.output().unwrap()).expect(0);
    let process = format!("/proc/{}", desk.server().pid);
    let process = Path::new(&process);
    for descriptor in fs::read_dir(process.join("fd")).unwrap() {
        let target = fs::read_link(descriptor.unwrap().path()).unwrap_or_default();
        assert_ne!(target, planted);
    }
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let words: Vec<_> = rest.split_whitespace().collect();
    assert_eq!(
        words[3],
        desk.server().pid.to_string(),
        "it leads a session of its own"
    );
    assert_eq!(words[4], "0", "it has no terminal");
    let environment = fs::read(process.join("environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("a-real"));
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for private in ["state", "state/local", "cache"] {
        assert_eq!(
            desk.at(private).metadata().unwrap().mode() & 0o077,
            0,
            "{private}"
        );
    }
}

#[test]
fn a_killed_one_is_followed_by_the_next() {
    let desk = Desk::new();
    desk.run(&["image", "list"]).expect(0);
    let first = desk.server();
    kill(first.pid);
    until("the server is gone", || !first.alive());
    desk.run(&["image", "list"]).expect(0);
    assert_ne!(desk.server().pid, first.pid);
    desk.run(&["local", "stop"]).expect(0);
    assert!(!desk.at("state/local/server.json").exists());
    let status = desk.run(&["local", "status"]).expect(0);
    assert!(status.out.contains("isn't running"), "{}", status.out);
}

#[test]
fn one_of_another_build_is_replaced() {
    let desk = Desk::new();
    desk.run(&["image", "list"]).expect(0);
    let first = desk.server();
    // The same bytes in another file are another build: nothing is read to find out.
    let copy = desk.at("darkroom-copy");
    fs::copy(env!("CARGO_BIN_EXE_darkroom"), &copy).unwrap();
    let status = Ran::of(desk.program(&copy, &["local", "status"]).output().unwrap()).expect(0);
    assert!(status.err.contains("another build"), "{}", status.err);
    Ran::of(desk.program(&copy, &["image", "list"]).output().unwrap()).expect(0);
    assert!(!first.alive());
    assert_ne!(desk.server().build_id, first.build_id);
    assert_eq!(starts(&desk), 2);
}

#[test]
fn one_that_cannot_start_says_why() {
    let desk = Desk::new();
    fs::create_dir_all(desk.at("state/local")).unwrap();
    desk.write("state/local/cloud.sqlite", &"not a database ".repeat(100));
    let ran = desk.run(&["image", "list"]).expect(3);
    for said in [
        "the local cloud ended when it was started",
        "server.log",
        "darkroom local serve",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
}

#[test]
fn a_second_one_by_hand_is_refused() {
    let desk = Desk::new();
    desk.run(&["image", "list"]).expect(0);
    let ran = desk.run(&["local", "serve"]).expect(3);
    assert!(ran.err.contains("darkroom local stop"), "{}", ran.err);
    assert_eq!(starts(&desk), 1);
}
