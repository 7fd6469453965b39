//! What the component asks for, and its scripts run against stubs of systemctl and a
//! real listener.

use super::Service;
use darkroom::testing::{Answer, Machine, Outcome, Run, Verdict};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder whose `systemctl` says what the file `state` says, and counts.
fn systemctl(state: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state"), state).unwrap();
    program(
        folder.path(),
        "systemctl",
        "printf '%s\\n' \"$*\" >>\"$HOME/log\"; case $1 in is-*) cat \"$HOME/state\"; grep -qx active \"$HOME/state\" ;; esac",
    );
    program(folder.path(), "sleep", "echo active >\"$HOME/state\"");
    folder
}

fn run(run: &Run, step: &str, folder: &TempDir) -> Outcome {
    run.step(step).run(folder.path(), folder.path())
}

#[test]
fn each_thing_is_a_case() {
    let run = Machine::debian()
        .argument("name", "nginx")
        .argument("port", 8080)
        .test::<Service>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(
        run.names(),
        ["nginx is active", "nginx is enabled", "port 8080 is open"]
    );
    assert_eq!((run.calls, run.planned), (1, 3));
    assert!(run.cases.iter().all(|case| case.verdict == Verdict::Passed));

    let run = Machine::debian()
        .argument("name", "nginx")
        .argument("enabled", false);
    let run = run
        .answer(
            "nginx is active",
            Answer::exit(1).with_output("nginx is failed"),
        )
        .test::<Service>();
    assert_eq!(run.names(), ["nginx is active"]);
    assert_eq!(
        run.verdict("nginx is active"),
        &Verdict::Failed("nginx is failed".into())
    );
}

#[test]
fn nothing_to_test_is_an_error() {
    let run = Machine::debian().test::<Service>();
    assert!(run.result.unwrap_err().contains("nothing to test"));
}

#[test]
fn the_http_case_passes_fails_or_is_skipped() {
    let machine = Machine::debian().argument("http", "/").argument("wait", 5);
    let case = "http://127.0.0.1:80/ answers";
    for (answer, verdict) in [
        (Answer::success(), Verdict::Passed),
        (
            Answer::exit(1).with_output("the status is 404\n"),
            Verdict::Failed("the status is 404".into()),
        ),
        (
            Answer::exit(77).with_output("no tool\n"),
            Verdict::Skipped("no tool".into()),
        ),
        (
            Answer::failure(),
            Verdict::Failed("no answer in time".into()),
        ),
    ] {
        let run = machine
            .clone()
            .answer("ask over HTTP", answer)
            .test::<Service>();
        assert_eq!((run.verdict(case), run.cases.len()), (&verdict, 1));
        assert_eq!(run.step("ask over HTTP").timeout, Some(120));
    }
}

#[test]
fn a_unit_that_comes_up_late_is_waited_for_and_nothing_is_started() {
    let declared = Machine::debian()
        .argument("name", "nginx")
        .test::<Service>();
    let folder = systemctl("activating\n");
    let outcome = run(&declared, "nginx is active", &folder);
    assert_eq!(
        (outcome.exit_code, &*outcome.output),
        (0, "nginx is active\n")
    );
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log, "is-active -- nginx\nis-active -- nginx\n");
}

#[test]
fn a_unit_that_failed_is_shown_at_once() {
    let declared = Machine::debian()
        .argument("name", "nginx")
        .test::<Service>();
    let folder = systemctl("failed\n");
    let outcome = run(&declared, "nginx is active", &folder);
    assert_eq!(
        (outcome.exit_code, &*outcome.output),
        (1, "nginx is failed\n")
    );
    assert!(
        fs::read_to_string(folder.path().join("log"))
            .unwrap()
            .contains("\nstatus ")
    );
}

#[test]
fn enabled_is_told_from_disabled() {
    let declared = Machine::debian()
        .argument("name", "nginx")
        .test::<Service>();
    for (state, exit_code) in [
        ("enabled", 0),
        ("static", 0),
        ("disabled", 1),
        ("masked", 1),
        ("", 1),
    ] {
        let outcome = run(&declared, "nginx is enabled", &systemctl(state));
        assert_eq!(
            (outcome.exit_code, outcome.output),
            (exit_code, format!("nginx is {state}\n"))
        );
    }
}

#[test]
fn a_hostile_unit_stays_one_argument() {
    let hostile = "a b;touch pwned;$(touch pwned)'\"";
    let declared = Machine::debian()
        .argument("name", hostile)
        .test::<Service>();
    let folder = systemctl("active\n");
    assert_eq!(
        run(&declared, &format!("{hostile} is active"), &folder).exit_code,
        0
    );
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log, format!("is-active -- {hostile}\n"));
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn an_open_port_is_told_from_a_closed_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let declared = Machine::debian()
        .argument("port", port)
        .argument("wait", 0)
        .test::<Service>();
    let step = format!("port {port} is open");
    assert_eq!(run(&declared, &step, &folder).exit_code, 0);
    drop(listener);
    let outcome = run(&declared, &step, &folder);
    assert_eq!(
        (outcome.exit_code, outcome.output),
        (1, format!("nothing listens on port {port}\n"))
    );
}

/// Answers every connection with `answer` until the test ends; its port.
fn serve(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The whole request: what is left unread would reset the connection.
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// A folder of programs that hides the system's, with links to those named.
fn only(programs: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in programs.iter().chain(&[
        "sh", "mktemp", "rm", "sed", "head", "grep", "cat", "timeout", "env", "sleep",
    ]) {
        let found = ["/usr/bin", "/bin"]
            .iter()
            .map(|bin| Path::new(bin).join(name))
            .find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap(), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn http_works_with_whatever_the_image_has() {
    const PAGE: &str = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    const GONE: &str =
        "HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let machine = Machine::debian()
        .argument("http", "/page?x=1")
        .argument("wait", 0);
    let (good, gone) = (serve(PAGE), serve(GONE));
    let mut tools = vec![(vec![], true)];
    for tool in ["curl", "wget", "bash"] {
        if Path::new("/usr/bin").join(tool).exists() {
            tools.push((vec![tool], false));
        } else {
            println!("not run: {tool} is not installed");
        }
    }
    for (tools, skipped) in tools {
        let folder = only(&tools);
        for (port, contains, exit_code, output) in [
            (good, "ell", 0, "the status is 200"),
            (good, "$(id)*", 1, "does not contain $(id)*"),
            (gone, "ell", 1, "the status is 404"),
        ] {
            let machine = machine
                .clone()
                .argument("port", port)
                .argument("contains", contains);
            let mut step = machine.test::<Service>().step("ask over HTTP").clone();
            step.environment
                .push(("PATH".to_owned(), folder.path().display().to_string()));
            let outcome = step.run(folder.path(), folder.path());
            let expected = if skipped {
                (77, "neither curl nor wget nor bash")
            } else {
                (exit_code, output)
            };
            assert_eq!(
                outcome.exit_code, expected.0,
                "{tools:?}: {}",
                outcome.output
            );
            assert!(
                outcome.output.contains(expected.1),
                "{tools:?}: {}",
                outcome.output
            );
        }
    }
}
