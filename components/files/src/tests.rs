//! Both branches of the component, and its script run for real.

use super::Files;
use darkroom::Json;
use darkroom::testing::{Answer, Machine, Run, StepKind};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// SHA-256 of "hello\n".
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

fn hello(found: &str) -> Run {
    Machine::debian()
        .argument("path", "/etc/hello")
        .argument("text", "hello\n")
        .argument("mode", "0640")
        .argument("owner", "www-data")
        .answer("look at /etc/hello", Answer::output(found))
        .build::<Files>()
}

#[test]
fn what_is_missing_or_different_is_written() {
    for found in [
        "other\n",
        "file 0000 640 www-data:www-data\n",
        &format!("file {HELLO} 644 www-data:www-data\n"),
        &format!("file {HELLO} 640 root:root\n"),
        "",
    ] {
        let run = hello(found);
        assert_eq!(run.result, Ok(()));
        let step = run.step("write /etc/hello");
        let kind = StepKind::Write {
            path: "/etc/hello".into(),
            bytes: b"hello\n".to_vec(),
        };
        assert_eq!(
            (&step.kind, step.mode, step.owner.as_deref()),
            (&kind, Some(0o640), Some("www-data"))
        );
        assert_eq!(run.published, [("changed".to_owned(), Json::Flag(true))]);
    }
}

#[test]
fn a_second_application_changes_nothing() {
    let run = hello(&format!("file {HELLO} 640 www-data:staff\n"));
    assert_eq!(
        (run.result.clone(), run.names()),
        (Ok(()), vec!["look at /etc/hello"])
    );
    assert_eq!(run.published, [("changed".to_owned(), Json::Flag(false))]);
}

#[test]
fn a_group_is_compared_where_one_is_given() {
    let machine = |owner: &str| {
        Machine::debian()
            .argument("path", "/etc/hello")
            .argument("text", "hello\n")
            .argument("owner", owner)
            .answer(
                "look at /etc/hello",
                Answer::output(format!("file {HELLO} 644 root:adm\n")),
            )
            .build::<Files>()
            .steps
            .len()
    };
    assert_eq!(
        (machine("root:adm"), machine("root:root"), machine("root")),
        (1, 2, 1)
    );
}

#[test]
fn an_asset_is_written_as_an_asset() {
    let run = Machine::debian()
        .argument("path", "/etc/motd")
        .argument("asset", "motd")
        .build::<Files>();
    let kind = StepKind::WriteAsset {
        path: "/etc/motd".into(),
        asset: "motd".into(),
    };
    assert_eq!(run.step("write /etc/motd").kind, kind);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let machine = Machine::debian().argument("path", "/etc/hello");
    assert!(
        machine
            .build::<Files>()
            .result
            .unwrap_err()
            .contains("give `text` or `asset`")
    );
    let both = machine
        .clone()
        .argument("text", "x")
        .argument("asset", "motd");
    assert!(
        both.build::<Files>()
            .result
            .unwrap_err()
            .contains("not both")
    );
    assert!(
        hello("folder\n")
            .result
            .unwrap_err()
            .contains("is a folder")
    );
}

#[test]
fn the_script_tells_what_is_there_whatever_the_path_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let hostile = "/a b;$(touch pwned)'\"\n*";
    let run = Machine::debian()
        .root(root)
        .argument("path", hostile)
        .argument("text", "")
        .build::<Files>();
    let look = &run.steps[0];
    let output = || look.run(folder.path(), folder.path()).output;
    assert_eq!(output(), "other\n");
    let file = folder.path().join(&hostile[1..]);
    fs::write(&file, "hello\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4750)).unwrap();
    assert!(output().starts_with(&format!("file {HELLO} 4750 ")));
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert_eq!(output(), "other\n");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(output(), "folder\n");
    assert!(!folder.path().join("pwned").exists());
}
