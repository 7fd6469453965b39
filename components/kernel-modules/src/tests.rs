//! What the component asks for, and its script run on a root file system in a folder.

use super::KernelModules;
use darkroom::Json;
use darkroom::testing::{Machine, Outcome};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn machine() -> Machine {
    Machine::debian()
        .argument("load", ["tcp_bbr", "br_netfilter", "tcp_bbr"])
        .argument("blacklist", ["nouveau"])
        .argument("forbid", ["cramfs"])
        .argument(
            "options",
            Json::object([(
                "nf_conntrack",
                "hashsize=32768 x=\"$(touch pwned)'é\"".into(),
            )]),
        )
}

fn set(root: &Path, machine: Machine) -> Outcome {
    let run = machine
        .root(root.to_str().unwrap())
        .build::<KernelModules>();
    assert_eq!((run.result.clone(), run.planned), (Ok(()), 1));
    run.steps[0].run(root, &root.join("programs"))
}

fn program(root: &Path, name: &str) {
    let path = root.join("programs").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "#!/bin/sh\necho \"${0##*/} $*\" >>\"$HOME/log\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn log(root: &Path) -> String {
    fs::read_to_string(root.join("log")).unwrap_or_default()
}

#[test]
fn both_files_hold_what_was_said() {
    let root = tempfile::tempdir().unwrap();
    program(root.path(), "update-initramfs");
    let first = set(root.path(), machine());
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
    assert_eq!(
        read("etc/modules-load.d/darkroom.conf"),
        "br_netfilter\ntcp_bbr\n"
    );
    assert_eq!(
        read("etc/modprobe.d/darkroom.conf"),
        "blacklist nouveau\ninstall cramfs /bin/false\n\
         options nf_conntrack hashsize=32768 x=\"$(touch pwned)'é\"\n"
    );
    assert!(!root.path().join("pwned").exists());
    assert_eq!(log(root.path()), "update-initramfs -u -k all\n");

    assert_eq!(set(root.path(), machine()).output, "changed: no\n");
    assert_eq!(
        log(root.path()),
        "update-initramfs -u -k all\n",
        "not once more"
    );
}

#[test]
fn modules_that_are_only_loaded_are_nothing_to_the_ram_disk() {
    let root = tempfile::tempdir().unwrap();
    program(root.path(), "update-initramfs");
    let load = Machine::debian().argument("load", ["tcp_bbr"]);
    assert!(
        set(root.path(), load.clone())
            .output
            .ends_with("changed: yes\n")
    );
    assert!(set(root.path(), load).output.ends_with("changed: no\n"));
    let quiet = machine().argument("initramfs", false);
    assert!(set(root.path(), quiet).output.ends_with("changed: yes\n"));
    assert_eq!(log(root.path()), "");
    // What is not said any more goes.
    let empty = set(root.path(), Machine::debian());
    assert!(empty.output.ends_with("changed: yes\n"));
    assert!(!root.path().join("etc/modprobe.d/darkroom.conf").exists());
    assert_eq!(log(root.path()), "update-initramfs -u -k all\n");
}

#[test]
fn every_family_makes_its_ram_disk() {
    for (tool, line) in [
        ("dracut", "dracut --force --regenerate-all\n"),
        ("mkinitfs", "mkinitfs 6.6.1-lts\n"),
    ] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lib/modules/6.6.1-lts")).unwrap();
        for name in [
            "sh",
            "mkdir",
            "mktemp",
            "chmod",
            "cat",
            "stat",
            "sha256sum",
            "mv",
            "basename",
        ] {
            let found = ["/usr/bin", "/bin"]
                .iter()
                .map(|bin| Path::new(bin).join(name));
            let found = found.clone().find(|path| path.exists()).unwrap();
            fs::create_dir_all(root.path().join("programs")).unwrap();
            std::os::unix::fs::symlink(found, root.path().join("programs").join(name)).unwrap();
        }
        program(root.path(), tool);
        let run = machine()
            .root(root.path().to_str().unwrap())
            .build::<KernelModules>();
        let mut step = run.steps[0].clone();
        let path = root.path().join("programs").display().to_string();
        step.environment.push(("PATH".to_owned(), path));
        let outcome = step.run(root.path(), root.path());
        assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
        assert_eq!(log(root.path()), line);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let both = machine()
        .argument("forbid", ["tcp_bbr"])
        .build::<KernelModules>();
    assert!(
        both.result
            .unwrap_err()
            .contains("in `load` and in `forbid`")
    );
    let hostile = Json::object([("a b; rm", "x".into())]);
    let run = Machine::debian()
        .argument("options", hostile)
        .build::<KernelModules>();
    assert!(run.result.unwrap_err().contains("is no name of a module"));
}
