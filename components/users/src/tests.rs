//! What the component asks for, and its scripts run with stand-ins for the tools.

use super::Users;
use darkroom::testing::{Answer, Machine, Outcome, Run, Verdict};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

const GETENT: &str = "grep \"^$2:\" \"$HOME/etc/$1\"";
const ID: &str = r#"case $1 in -gn) echo "$2" ;; *) { echo "$2"; grep ":.*$2" "$HOME/etc/members"; } | sed 's/:.*//' | tr '\n' ' ' ;; esac"#;
const USERADD: &str = r#"echo "useradd $*" >>"$HOME/log"
home= shell=/bin/sh comment= number=1000
while [ $# -gt 1 ]; do case $1 in -d) home=$2; shift ;; -s) shell=$2; shift ;; -c) comment=$2; shift ;; -u) number=$2; shift ;; -g) shift ;; esac; shift; done
echo "$1:x:$number:$number:$comment:${home:-/home/$1}:$shell" >>"$HOME/etc/passwd"
echo "$1:!:1::::::" >>"$HOME/etc/shadow""#;
const USERMOD: &str = r#"echo "usermod $*" >>"$HOME/log"
case $1 in
    -a) echo "$3:$4" >>"$HOME/etc/members" ;;
    -L) sed -i "s/^\($2:\)/\1!/" "$HOME/etc/shadow" ;;
    -s) sed -i "s|^\($3:.*:\).*|\1$2|" "$HOME/etc/passwd" ;;
esac"#;
const CHPASSWD: &str = r#"IFS=: read -r name hash; echo "chpasswd $*" >>"$HOME/log"
sed -i "s|^$name:[^:]*|$name:$hash|" "$HOME/etc/shadow""#;

/// A machine with the usual tools, and root.
fn machine_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    fs::create_dir_all(folder.path().join("bin")).unwrap();
    for (file, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("shadow", "root:$6$x$y:1::::::\n"),
        ("group", "sudo:x:27:\n"),
        ("members", ""),
    ] {
        fs::write(folder.path().join("etc").join(file), text).unwrap();
    }
    for (name, body) in [
        ("getent", GETENT),
        ("id", ID),
        ("useradd", USERADD),
        ("usermod", USERMOD),
        ("chpasswd", CHPASSWD),
        (
            "groupadd",
            "echo \"groupadd $*\" >>\"$HOME/log\"; echo \"$1:x:1:\" >>\"$HOME/etc/group\"",
        ),
        (
            "userdel",
            "echo \"userdel $*\" >>\"$HOME/log\"; : >\"$HOME/etc/passwd\"",
        ),
        ("chown", ":"),
        (
            "visudo",
            "echo \"visudo $*\" >>\"$HOME/log\"; ! grep -q BROKEN \"${4:-/dev/null}\"",
        ),
        ("zsh", ":"),
    ] {
        let path = folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn at(folder: &TempDir) -> Machine {
    Machine::debian()
        .root(folder.path().to_str().unwrap())
        .argument("name", "deploy")
}

fn step(run: &Run, step: &str, folder: &TempDir) -> Outcome {
    run.step(step)
        .run(folder.path(), &folder.path().join("bin"))
}

fn log(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

/// Carries all steps of a builder out; whether one changed something.
fn carry_out(folder: &TempDir, machine: &Machine) -> bool {
    let run = machine.build::<Users>();
    assert_eq!((run.result.clone(), run.planned), (Ok(()), run.steps.len()));
    run.steps.iter().fold(false, |changed, one| {
        let outcome = one.run(folder.path(), &folder.path().join("bin"));
        assert_eq!(outcome.exit_code, 0, "{}: {}", one.name, outcome.output);
        changed || outcome.output.ends_with("changed: yes\n")
    })
}

#[test]
fn a_user_is_made_once() {
    let folder = machine_folder();
    let machine = at(&folder)
        .argument("uid", 1500)
        .argument("groups", ["sudo", "docker"])
        .argument("shell", "/bin/zsh")
        .argument("comment", "It's $(touch pwned) \"é\"")
        .argument("password-hash", "$6$salt$hash")
        .argument(
            "authorized-keys",
            ["ssh-ed25519 AAAA me@x '$(touch pwned)'"],
        )
        .argument("sudo", "ALL=(ALL:ALL) NOPASSWD: ALL");
    assert!(carry_out(&folder, &machine));
    assert_eq!(
        log(&folder).lines().collect::<Vec<_>>()[..5],
        [
            "useradd -u 1500 -U -s /bin/zsh -c It's $(touch pwned) \"é\" -m deploy",
            "usermod -a -G sudo deploy",
            "groupadd docker",
            "usermod -a -G docker deploy",
            "chpasswd -e"
        ]
    );
    assert!(!log(&folder).contains("hash"), "no argument holds the hash");
    let keys = folder.path().join("home/deploy/.ssh/authorized_keys");
    assert_eq!(
        fs::read_to_string(&keys).unwrap(),
        "ssh-ed25519 AAAA me@x '$(touch pwned)'\n"
    );
    let file = folder.path().join("etc/sudoers.d/darkroom-deploy");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"
    );
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o440);
    assert!(!carry_out(&folder, &machine), "{}", log(&folder));
    assert!(!folder.path().join("pwned").exists());

    // The tester sees all of it.
    let tested = machine.test::<Users>();
    assert_eq!(
        tested.names(),
        [
            "deploy is there",
            "deploy is in the group sudo",
            "deploy is in the group docker",
            "deploy has its authorized keys",
            "deploy has a password",
            "deploy has its rights of sudo"
        ]
    );
    for name in tested.names() {
        let outcome = step(&tested, name, &folder);
        assert_eq!(outcome.exit_code, 0, "{name}: {}", outcome.output);
    }
    // And sees that it is gone.
    fs::write(&keys, "").unwrap();
    fs::write(&file, "").unwrap();
    for name in &tested.names()[3..] {
        let expected = i32::from(!name.contains("password"));
        assert_eq!(step(&tested, name, &folder).exit_code, expected, "{name}");
    }
}

#[test]
fn keys_are_added_or_replace_all_others() {
    let folder = machine_folder();
    let machine = at(&folder).argument("authorized-keys", ["key one", "key two"]);
    assert!(carry_out(&folder, &machine));
    let keys = folder.path().join("home/deploy/.ssh/authorized_keys");
    fs::write(&keys, "key other\n\nkey two").unwrap();
    assert!(carry_out(&folder, &machine));
    assert_eq!(
        fs::read_to_string(&keys).unwrap(),
        "key other\nkey two\nkey one\n"
    );
    assert!(!carry_out(&folder, &machine));
    let only = machine.argument("only-these-keys", true);
    assert!(carry_out(&folder, &only));
    assert_eq!(fs::read_to_string(&keys).unwrap(), "key one\nkey two\n");

    fs::remove_file(&keys).unwrap();
    symlink("/etc/passwd", &keys).unwrap();
    let outcome = step(&only.build::<Users>(), "set the keys of deploy", &folder);
    assert!(outcome.exit_code == 1 && outcome.output.contains("is a link"));
}

#[test]
fn a_password_is_locked_and_hashes_are_looked_at() {
    let folder = machine_folder();
    let machine = at(&folder).argument("password-hash", "$6$salt$hash");
    carry_out(&folder, &machine);
    let lock = at(&folder).argument("lock", true);
    let case = "deploy can't log in with a password";
    assert_eq!(step(&lock.test::<Users>(), case, &folder).exit_code, 1);
    assert!(carry_out(&folder, &lock));
    assert!(!carry_out(&folder, &lock));
    assert_eq!(step(&lock.test::<Users>(), case, &folder).exit_code, 0);
    for hash in ["hunter2", "$6$a:b", "$6$a\nroot:x"] {
        let run = at(&folder).argument("password-hash", hash).build::<Users>();
        let outcome = step(&run, "set up the user deploy", &folder);
        assert_eq!(outcome.exit_code, 1);
        assert!(outcome.output.contains("is no hash"), "{}", outcome.output);
        assert!(!outcome.output.contains(hash), "a secret is never shown");
    }
    let both = lock.argument("password-hash", "$6$x$y").build::<Users>();
    assert!(both.result.is_err());
}

#[test]
fn a_mistake_in_the_rights_of_sudo_never_takes_its_place() {
    let folder = machine_folder();
    let run = at(&folder).argument("sudo", "BROKEN").build::<Users>();
    let outcome = step(&run, "set the rights of sudo of deploy", &folder);
    assert!(outcome.exit_code == 1 && outcome.output.contains("visudo refuses"));
    assert!(!folder.path().join("etc/sudoers.d").exists());
    let given = at(&folder).argument("sudo", "ALL=(ALL) ALL");
    assert!(carry_out(&folder, &given));
    let taken = at(&folder).argument("sudo", "");
    assert!(carry_out(&folder, &taken));
    assert!(!carry_out(&folder, &taken));
}

#[test]
fn a_user_is_removed_once_and_root_never() {
    let folder = machine_folder();
    carry_out(&folder, &at(&folder).argument("sudo", "ALL=(ALL) ALL"));
    let remove = at(&folder)
        .argument("remove", true)
        .argument("remove-home", true);
    assert!(carry_out(&folder, &remove));
    assert!(log(&folder).ends_with("userdel -f -r deploy\n"));
    assert!(!carry_out(&folder, &remove));
    let tested = remove.test::<Users>();
    assert_eq!(step(&tested, "deploy is not there", &folder).exit_code, 0);
    let root = Machine::debian()
        .argument("name", "root")
        .argument("remove", true);
    assert!(
        root.build::<Users>()
            .result
            .unwrap_err()
            .contains("root can't be removed")
    );
}

#[test]
fn what_can_not_be_is_said() {
    let folder = machine_folder();
    carry_out(&folder, &at(&folder));
    let name = "set up the user deploy";
    let run = at(&folder).argument("uid", 7).build::<Users>();
    assert!(
        step(&run, name, &folder)
            .output
            .contains("with the number 1000, not 7")
    );
    let run = at(&folder).argument("shell", "/bin/fish").build::<Users>();
    assert!(
        step(&run, name, &folder)
            .output
            .contains("/bin/fish is not there")
    );
    let run = at(&folder)
        .answer("deploy is there", Answer::exit(1).with_output("no"))
        .test::<Users>();
    assert_eq!(
        run.verdict("deploy is there"),
        &Verdict::Failed("no".into())
    );
}
