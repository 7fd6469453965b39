//! What the component asks for, and its scripts run on a root file system in a folder.

use super::HostnameTimezoneLocale;
use darkroom::testing::{Machine, Outcome};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use tempfile::TempDir;

fn root(id: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/os-release"), format!("ID={id}\n")).unwrap();
    program(root.path(), "locale", "cat \"$HOME/made\" 2>/dev/null");
    root
}

fn program(root: &Path, name: &str, body: &str) {
    let path = root.join("programs").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs the one step of a use of the component.
fn run(root: &Path, parameter: &str, value: &str, keep: bool) -> Outcome {
    let run = Machine::debian()
        .root(root.to_str().unwrap())
        .argument(parameter, value)
        .argument("keep-hostname", keep)
        .build::<HostnameTimezoneLocale>();
    assert_eq!((run.result.clone(), run.steps.len()), (Ok(()), 1));
    run.steps[0].run(root, &root.join("programs"))
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap()
}

#[test]
fn all_steps_are_planned() {
    let run = Machine::debian()
        .argument("hostname", "web-1.example.com")
        .argument("timezone", "Asia/Shanghai")
        .argument("locale", "en_US.UTF-8")
        .build::<HostnameTimezoneLocale>();
    assert_eq!(
        run.names(),
        [
            "set the host name web-1.example.com",
            "set the time zone Asia/Shanghai",
            "set the locale en_US.UTF-8"
        ]
    );
    assert_eq!(run.planned, 3);
    let nothing = Machine::debian().build::<HostnameTimezoneLocale>();
    assert!(nothing.result.unwrap_err().contains("give `hostname`"));
}

#[test]
fn a_host_name_is_written_and_found() {
    let root = root("debian");
    fs::write(
        root.path().join("etc/hosts"),
        "127.0.0.1 localhost\n127.0.1.1\told\n",
    )
    .unwrap();
    fs::create_dir_all(root.path().join("etc/cloud/cloud.cfg.d")).unwrap();
    let first = run(root.path(), "hostname", "web-1.example.com", true);
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    assert_eq!(read(root.path(), "etc/hostname"), "web-1.example.com\n");
    assert_eq!(
        read(root.path(), "etc/hosts"),
        "127.0.0.1 localhost\n127.0.1.1 web-1.example.com web-1\n"
    );
    let cloud = "etc/cloud/cloud.cfg.d/99-darkroom-hostname.cfg";
    assert_eq!(read(root.path(), cloud), "preserve_hostname: true\n");
    let again = run(root.path(), "hostname", "web-1.example.com", true);
    assert_eq!(again.output, "changed: no\n");
    let other = run(root.path(), "hostname", "web-1.example.com", false);
    assert!(other.output.ends_with("changed: yes\n") && !root.path().join(cloud).exists());
}

#[test]
fn a_time_zone_is_a_link_and_must_be_there() {
    let root = root("debian");
    let zone = "Asia/Shanghai";
    let missing = run(root.path(), "timezone", zone, false);
    assert!(missing.exit_code == 1 && missing.output.contains("install the package tzdata"));
    let zones = root.path().join("usr/share/zoneinfo");
    fs::create_dir_all(zones.join("Asia")).unwrap();
    let missing = run(root.path(), "timezone", zone, false);
    assert!(missing.output.contains("no time zone Asia/Shanghai"));
    fs::write(zones.join(zone), "TZif").unwrap();
    fs::write(root.path().join("etc/localtime"), "a file").unwrap();
    fs::write(root.path().join("etc/timezone"), "Etc/UTC\n").unwrap();
    let first = run(root.path(), "timezone", zone, false);
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    assert_eq!(read(root.path(), "etc/localtime"), "TZif");
    assert_eq!(read(root.path(), "etc/timezone"), "Asia/Shanghai\n");
    assert_eq!(
        run(root.path(), "timezone", zone, false).output,
        "changed: no\n"
    );
    // An absolute link says the same.
    fs::remove_file(root.path().join("etc/localtime")).unwrap();
    symlink(
        "/usr/share/zoneinfo/Asia/Shanghai",
        root.path().join("etc/localtime"),
    )
    .unwrap();
    assert_eq!(
        run(root.path(), "timezone", zone, false).output,
        "changed: no\n"
    );
}

#[test]
fn debian_makes_its_locales() {
    let root = root("debian");
    let missing = run(root.path(), "locale", "de_DE.UTF-8", false);
    assert!(
        missing.output.contains("install the package locales"),
        "{}",
        missing.output
    );
    fs::write(root.path().join("etc/locale.gen"), "# en_US.UTF-8 UTF-8\n").unwrap();
    program(
        root.path(),
        "locale-gen",
        "sed -n 's/^\\(de_DE\\).*/\\1.utf8/p' \"$HOME/etc/locale.gen\" >\"$HOME/made\"",
    );
    fs::create_dir_all(root.path().join("etc/default")).unwrap();
    fs::write(
        root.path().join("etc/default/locale"),
        "LANG=C\nLC_TIME=C\n",
    )
    .unwrap();
    let first = run(root.path(), "locale", "de_DE.UTF-8", false);
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    assert!(read(root.path(), "etc/locale.gen").ends_with("\nde_DE.UTF-8 UTF-8\n"));
    assert_eq!(
        read(root.path(), "etc/default/locale"),
        "LANG=de_DE.UTF-8\nLC_TIME=C\n"
    );
    assert_eq!(
        run(root.path(), "locale", "de_DE.UTF-8", false).output,
        "changed: no\n"
    );
    let unknown = run(root.path(), "locale", "xx_XX.UTF-8", false);
    assert!(unknown.output.contains("locale-gen can't make"));
}

#[test]
fn other_families_are_told_which_package_is_missing() {
    for (id, message) in [("rocky", "glibc-langpack-de"), ("sles", "glibc-locale")] {
        let root = root(id);
        let missing = run(root.path(), "locale", "de_DE.UTF-8", false);
        assert!(missing.output.contains(message), "{id}: {}", missing.output);
        fs::write(root.path().join("made"), "de_DE.utf8\n").unwrap();
        assert_eq!(
            run(root.path(), "locale", "de_DE.UTF-8", false).exit_code,
            0
        );
        assert_eq!(read(root.path(), "etc/locale.conf"), "LANG=de_DE.UTF-8\n");
    }
    let root = root("alpine");
    assert_eq!(
        run(root.path(), "locale", "de_DE.UTF-8", false).exit_code,
        0
    );
    assert_eq!(
        read(root.path(), "etc/profile.d/20locale.sh"),
        "export LANG=de_DE.UTF-8\n"
    );
    assert_eq!(
        run(root.path(), "locale", "de_DE.UTF-8", false).output,
        "changed: no\n"
    );
}
