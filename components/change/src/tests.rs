//! The shared functions run for real, and what is made of their last line.

use super::{FAMILY, made, named, of, script};
use darkroom::testing::{Answer, Machine, Outcome, Run};
use darkroom::{About, Builder, Description, Json, Parameter, inputs};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// Runs the body that a test gives it.
struct Body;

impl About for Body {
    fn describe() -> Description {
        Description::new("-").parameter(Parameter::text("body", "-"))
    }
}

impl Builder for Body {
    fn build() -> Result<(), String> {
        let body = inputs::text("body").unwrap_or_default();
        of(&[script("one", &body), script("other", "")]);
        Ok(())
    }
}

fn machine(body: &str) -> Machine {
    Machine::debian().argument("body", body)
}

/// Runs a body below a root.
fn run(root: &Path, body: &str) -> Outcome {
    let run: Run = machine(body).root(root.to_str().unwrap()).build::<Body>();
    run.step("one").run(root, root)
}

#[test]
fn the_last_line_of_every_script_counts() {
    let (yes, no) = ("wrote it\nchanged: yes\n", "changed: no\n");
    for (one, other, changed) in [
        (yes, no, true),
        (no, yes, true),
        (no, no, false),
        (no, "", true),
        ("no newline before changed: no", no, false),
    ] {
        let run = machine("")
            .answer("one", Answer::output(one))
            .answer("other", Answer::output(other))
            .build::<Body>();
        assert_eq!(run.published, [("changed".to_owned(), Json::Flag(changed))]);
        assert_eq!(run.messages.is_empty(), changed);
        assert_eq!(run.planned, 2, "a plan shows both");
    }
    // Nothing was done where there is no step.
    assert!(!made(&[]));
}

#[test]
fn a_file_is_written_once() {
    let root = tempfile::tempdir().unwrap();
    let body = "put \"$ROOT/a b/it's\" 'x $(y)\n' 0640\n";
    let first = run(root.path(), body);
    assert_eq!(first.exit_code, 0, "{}", first.output);
    assert!(first.output.ends_with("it's\nchanged: yes\n"));
    let file = root.path().join("a b/it's");
    assert_eq!(fs::read_to_string(&file).unwrap(), "x $(y)\n");
    assert_eq!(
        file.metadata().unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(run(root.path(), body).output, "changed: no\n");
    // Nothing lies about.
    assert_eq!(fs::read_dir(root.path().join("a b")).unwrap().count(), 1);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(run(root.path(), body).output.ends_with("changed: yes\n"));
    fs::write(&file, "x $(y)").unwrap();
    assert!(run(root.path(), body).output.ends_with("changed: yes\n"));
    assert!(
        run(root.path(), "gone \"$ROOT/a b/it's\"\n")
            .output
            .ends_with("yes\n")
    );
    assert!(
        run(root.path(), "gone \"$ROOT/a b/it's\"\n")
            .output
            .ends_with("no\n")
    );
}

#[test]
fn a_link_is_replaced_and_a_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    symlink(root.path().join("folder"), root.path().join("link")).unwrap();
    assert_eq!(run(root.path(), "put \"$ROOT/link\" text\n").exit_code, 0);
    assert_eq!(
        fs::read_to_string(root.path().join("link")).unwrap(),
        "text"
    );
    assert_eq!(fs::read_dir(root.path().join("folder")).unwrap().count(), 0);
    let refused = run(root.path(), "put \"$ROOT/folder\" text\n");
    assert_eq!(refused.exit_code, 1);
    assert!(refused.output.ends_with("folder is a folder, not a file\n"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn families_are_told_by_os_release() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let body = format!("{FAMILY}family\n");
    assert!(
        run(root.path(), &body)
            .output
            .contains("has no /etc/os-release")
    );
    for (text, family) in [
        ("ID=debian\n", "debian"),
        ("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n", "debian"),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "debian"),
        (
            "ID=\"alinux\"\nID_LIKE=\"rhel fedora centos anolis\"\n",
            "rhel",
        ),
        ("ID=\"openEuler\"\n", "rhel"),
        ("ID='rocky'\nID_LIKE='rhel centos fedora'\n", "rhel"),
        ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "suse"),
        ("ID=\"sles_sap\"\nID_LIKE=\"sles suse\"\n", "suse"),
        ("ID=alpine\n", "alpine"),
    ] {
        fs::write(root.path().join("etc/os-release"), text).unwrap();
        let output = run(root.path(), &body).output;
        assert_eq!(output, format!("{family}\nchanged: no\n"), "{text}");
    }
    fs::write(root.path().join("etc/os-release"), "ID=arch\n").unwrap();
    let outcome = run(root.path(), &body);
    assert_eq!(outcome.exit_code, 1);
    assert!(outcome.output.contains("this machine is arch"));
}

#[test]
fn names_are_short_and_one_line() {
    assert_eq!(named("write", "/a\nb"), "write /a?b");
    let long = named("write", &"é".repeat(200));
    assert_eq!(long.chars().count(), 100);
    assert!(long.ends_with('…'));
}
