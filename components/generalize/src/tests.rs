//! The script run on a root file system in a folder.

use super::Generalize;
use darkroom::testing::{Declared, Machine};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use tempfile::TempDir;

/// Files of a machine that has been used; those of the second list must stay.
const GOES: [&str; 27] = [
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "root/.bash_history",
    "root/.python_history",
    "home/ann lee/.bash_history",
    "home/ann lee/.viminfo",
    "tmp/a b/c\nd",
    "tmp/.hidden",
    "var/tmp/x",
    "var/cache/apt/archives/nginx.deb",
    "var/cache/apt/pkgcache.bin",
    "var/lib/apt/lists/mirror_Packages",
    "var/lib/apt/lists/.darkroom-refreshed",
    "var/cache/zypp/packages/x.rpm",
    "var/cache/apk/APKINDEX.1.tar.gz",
    "var/lib/wicked/lease-eth0.xml",
    "var/lib/NetworkManager/secret_key",
    "var/lib/systemd/coredump/core.1",
    "var/spool/mail/root",
    "var/lib/cloud/instance/user-data.txt",
    "var/lib/cloud/data/instance-id",
    "var/lib/dhcp/dhclient.eth0.leases",
    "var/lib/systemd/random-seed",
    "var/log/journal/0123/system.journal",
    "var/log/syslog.1",
    "var/log/dpkg.log.2.gz",
    "var/log/nginx/access.log-20261122",
];
const STAYS: [&str; 7] = [
    "etc/ssh/sshd_config",
    "etc/hostname",
    "root/.ssh/authorized_keys",
    "root/.bashrc",
    "var/lib/cloud/scripts/per-boot/mine",
    "var/lib/darkroom/run/receipt",
    "var/lib/dpkg/status",
];

fn machine() -> (TempDir, Declared) {
    let root = tempfile::tempdir().unwrap();
    for file in GOES
        .iter()
        .chain(&STAYS)
        .chain(&["var/log/syslog", "var/log/nginx/error.log"])
    {
        put(root.path(), file, "content\n");
    }
    put(
        root.path(),
        "etc/machine-id",
        "0123456789abcdef0123456789abcdef\n",
    );
    put(
        root.path(),
        "var/lib/dbus/machine-id",
        "0123456789abcdef0123456789abcdef\n",
    );
    let run = Machine::debian()
        .root(root.path().to_str().unwrap())
        .build::<Generalize>();
    let step = run.step("generalize the machine").clone();
    (root, step)
}

fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Whether it changed something.
fn run(root: &TempDir, step: &Declared) -> bool {
    let home = tempfile::tempdir().unwrap();
    let outcome = step.run(home.path(), home.path());
    assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
    assert!(root.path().join("etc").exists());
    outcome.output.ends_with("changed: yes\n")
}

#[test]
fn what_must_not_be_in_an_image_goes_and_the_rest_stays() {
    let (root, step) = machine();
    assert!(run(&root, &step));
    let path = |file: &str| root.path().join(file);
    for file in GOES {
        assert!(!path(file).exists(), "{file} is still there");
    }
    for file in STAYS {
        assert_eq!(
            fs::read_to_string(path(file)).unwrap(),
            "content\n",
            "{file}"
        );
    }
    for file in [
        "etc/machine-id",
        "var/log/syslog",
        "var/log/nginx/error.log",
    ] {
        assert_eq!(fs::read_to_string(path(file)).unwrap(), "", "{file}");
    }
    for folder in [
        "tmp",
        "var/log/journal",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
    ] {
        assert!(path(folder).is_dir(), "{folder}");
    }
    assert_eq!(
        fs::read_link(path("var/lib/dbus/machine-id")).unwrap(),
        Path::new("/etc/machine-id")
    );
    assert!(
        !path("etc/systemd/system/darkroom-ssh-keys.service").exists(),
        "there is no sshd"
    );
}

#[test]
fn repeated_it_changes_nothing_and_it_runs_on_a_bare_root() {
    let (root, step) = machine();
    assert!(run(&root, &step));
    // What a running machine writes by itself is no change.
    put(root.path(), "var/log/syslog", "again\n");
    put(root.path(), "tmp/again", "");
    assert!(!run(&root, &step));
    assert!(!root.path().join("tmp/again").exists());
    let bare = tempfile::tempdir().unwrap();
    fs::create_dir(bare.path().join("etc")).unwrap();
    let step = Machine::debian()
        .root(bare.path().to_str().unwrap())
        .build::<Generalize>()
        .steps
        .remove(0);
    assert!(!run(&bare, &step));
}

#[test]
fn what_it_is_told_to_it_takes_away_or_leaves() {
    let (root, _) = machine();
    let agent = [
        "usr/local/share/aliyun-assist/2.2/aliyun-service",
        "etc/systemd/system/aliyun.service",
        "usr/sbin/aliyun-service",
    ];
    for file in agent {
        put(root.path(), file, "");
    }
    put(
        root.path(),
        "home/ann lee/.ssh/authorized_keys",
        "ssh-ed25519 AAAA\n",
    );
    let machine = Machine::debian().root(root.path().to_str().unwrap());
    let step = |machine: Machine| machine.build::<Generalize>().steps.remove(0);
    run(&root, &step(machine.clone().argument("keep-logs", true)));
    assert_eq!(
        fs::read_to_string(root.path().join("var/log/syslog")).unwrap(),
        "content\n"
    );
    for file in agent {
        assert!(root.path().join(file).exists(), "{file}");
    }
    let told = machine
        .argument("remove-agent", true)
        .argument("authorized-keys", true);
    assert!(run(&root, &step(told.clone())));
    for file in agent {
        assert!(!root.path().join(file).exists(), "{file}");
    }
    for file in [
        "root/.ssh/authorized_keys",
        "home/ann lee/.ssh/authorized_keys",
    ] {
        assert!(!root.path().join(file).exists(), "{file}");
    }
    assert!(!run(&root, &step(told)));
}

#[test]
fn an_sshd_gets_its_keys_at_the_next_boot() {
    let (root, step) = machine();
    put(root.path(), "usr/sbin/sshd", "");
    fs::set_permissions(
        root.path().join("usr/sbin/sshd"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
    run(&root, &step);
    let wants = root
        .path()
        .join("etc/systemd/system/multi-user.target.wants/darkroom-ssh-keys.service");
    assert!(
        fs::read_to_string(&wants)
            .unwrap()
            .contains("ExecStart=/usr/bin/ssh-keygen -A")
    );

    fs::remove_file(wants).unwrap();
    put(root.path(), "usr/bin/cloud-init", "");
    run(&root, &step);
    assert!(
        !root
            .path()
            .join("etc/systemd/system/multi-user.target.wants/darkroom-ssh-keys.service")
            .exists()
    );
}

#[test]
fn links_are_not_followed_out_of_the_folders() {
    let (root, step) = machine();
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "kept", "content\n");
    symlink(outside.path(), root.path().join("tmp/link")).unwrap();
    fs::remove_dir_all(root.path().join("var/tmp")).unwrap();
    symlink(outside.path(), root.path().join("var/tmp")).unwrap();
    run(&root, &step);
    assert!(outside.path().join("kept").exists());
    assert!(!root.path().join("tmp/link").exists());
}
