//! What the component asks for, and its scripts run with stand-ins for the init systems.

use super::Services;
use darkroom::Json;
use darkroom::testing::{Answer, Machine, Outcome, Run, Verdict};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

/// A stand-in that keeps for each unit how it is enabled in `enabled/` and whether it
/// runs in `active/`; an unknown unit has no file in `enabled/`.
const SYSTEMCTL: &str = r#"#!/bin/sh
verb=$1
shift
while [ $# -gt 0 ]; do case $1 in --) shift; break ;; *) shift ;; esac; done
unit=$1
case $verb in is-* | show | status | daemon-reload) ;; *) printf '%s\n' "$verb $unit" >>"$HOME/log" ;; esac
case $verb in
    is-enabled) cat "$HOME/enabled/$unit" && grep -qx enabled "$HOME/enabled/$unit" ;;
    is-active) cat "$HOME/active/$unit" 2>/dev/null || echo inactive; grep -qx active "$HOME/active/$unit" 2>/dev/null ;;
    show) if [ -e "$HOME/enabled/$unit" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi ;;
    enable) grep -qx static "$HOME/enabled/$unit" || echo enabled >"$HOME/enabled/$unit" ;;
    disable | unmask) echo disabled >"$HOME/enabled/$unit" ;;
    mask) echo masked >"$HOME/enabled/$unit" ;;
    start | restart) [ "$unit" != broken ] && echo active >"$HOME/active/$unit" ;;
    stop) echo inactive >"$HOME/active/$unit" ;;
esac
"#;

const RC_UPDATE: &str = r#"#!/bin/sh
case $1 in
    show) sed 's/$/ | default/; s/^/        /' "$HOME/default" 2>/dev/null ;;
    add) echo "$2" >>"$HOME/default"; echo "add $2" >>"$HOME/log" ;;
    delete) : >"$HOME/default"; echo "delete $3" >>"$HOME/log" ;;
esac
"#;

const RC_SERVICE: &str = r#"#!/bin/sh
case $2 in
    status) [ -e "$HOME/run-$1" ] ;;
    start) : >"$HOME/run-$1" ;;
    stop) rm "$HOME/run-$1" ;;
esac
"#;

fn folder(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for state in ["enabled", "active", "programs"] {
        fs::create_dir(folder.path().join(state)).unwrap();
    }
    for (name, text) in programs {
        let path = folder.path().join("programs").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn systemd(units: &[(&str, &str)]) -> TempDir {
    let folder = folder(&[
        ("systemctl", SYSTEMCTL),
        ("sleep", "#!/bin/sh\necho active >\"$HOME/active/slow\"\n"),
    ]);
    for (unit, state) in units {
        fs::write(
            folder.path().join("enabled").join(unit),
            format!("{state}\n"),
        )
        .unwrap();
    }
    folder
}

/// A machine on whose path there is nothing but what these tests put there.
fn openrc() -> TempDir {
    let folder = folder(&[("rc-update", RC_UPDATE), ("rc-service", RC_SERVICE)]);
    for name in [
        "sh",
        "mkdir",
        "mktemp",
        "chmod",
        "cat",
        "stat",
        "sha256sum",
        "mv",
        "rm",
        "sed",
        "grep",
        "tr",
    ] {
        let found = ["/usr/bin", "/bin"].map(|bin| Path::new(bin).join(name));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, folder.path().join("programs").join(name)).unwrap();
    }
    folder
}

fn step(run: &Run, step: &str, folder: &TempDir, bare: bool) -> Outcome {
    let mut step = run.step(step).clone();
    let programs = folder.path().join("programs");
    if bare {
        let path = programs.display().to_string();
        step.environment.push(("PATH".to_owned(), path));
    }
    step.run(folder.path(), &programs)
}

fn at(folder: &TempDir) -> Machine {
    Machine::debian().root(folder.path().to_str().unwrap())
}

fn log(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

#[test]
fn what_is_so_already_is_left_alone() {
    let folder = systemd(&[
        ("nginx", "disabled"),
        ("chrony", "static"),
        ("exim4", "enabled"),
        ("rpcbind", "enabled"),
        ("old", "masked"),
    ]);
    fs::write(folder.path().join("active/exim4"), "active\n").unwrap();
    let run = at(&folder)
        .argument("unmask", ["old"])
        .argument("enable", ["nginx", "old", "chrony"])
        .argument("disable", ["exim4", "missing"])
        .argument("stop", ["exim4", "missing"])
        .argument("mask", ["rpcbind"])
        .argument("start", ["nginx"])
        .build::<Services>();
    let name = "unmask, enable, disable, stop, mask, start services";
    let first = step(&run, name, &folder, false);
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    let done = "unmask old\nenable nginx\nenable old\ndisable exim4\nstop exim4\nmask rpcbind\nstart nginx\n";
    assert_eq!(log(&folder), done);
    let again = step(&run, name, &folder, false);
    assert!(again.output.ends_with("changed: no\n"), "{}", again.output);
    assert_eq!(log(&folder), done);
}

#[test]
fn what_can_not_be_is_said() {
    let folder = systemd(&[("hidden", "masked"), ("broken", "disabled")]);
    for (list, unit, message) in [
        ("enable", "missing", "there is no unit missing"),
        ("enable", "hidden", "name it in `unmask` too"),
        ("start", "broken", "broken does not start"),
        ("restart", "missing", "there is no unit missing"),
    ] {
        let run = at(&folder).argument(list, [unit]).build::<Services>();
        let outcome = step(&run, &format!("{list} services"), &folder, false);
        assert_eq!(outcome.exit_code, 1, "{list} {unit}");
        assert!(outcome.output.contains(message), "{}", outcome.output);
    }
}

#[test]
fn files_are_written_for_the_init_system_that_is_there() {
    let folder = systemd(&[]);
    let text = "[Service]\nExecStart=/bin/echo '$(touch pwned)' \"é\" %%";
    let machine = |root: &TempDir| {
        at(root)
            .argument("units", Json::object([("app@.service", text.into())]))
            .argument(
                "drop-ins",
                Json::object([("nginx.service/limits.conf", "[Service]\n".into())]),
            )
            .argument(
                "init-scripts",
                Json::object([("app", "#!/sbin/openrc-run\n".into())]),
            )
            .build::<Services>()
    };
    let names = [
        "write /etc/systemd/system/app@.service",
        "write /etc/systemd/system/nginx.service.d/limits.conf",
        "write /etc/init.d/app",
        "read the unit files",
    ];
    let run = machine(&folder);
    assert_eq!((run.names(), run.planned), (names.to_vec(), 4));
    for (name, changes) in [
        (names[0], true),
        (names[1], true),
        (names[2], false),
        (names[3], false),
    ] {
        let outcome = step(&run, name, &folder, false);
        let end = if changes {
            "changed: yes\n"
        } else {
            "changed: no\n"
        };
        assert!(outcome.output.ends_with(end), "{name}: {}", outcome.output);
        assert!(
            step(&run, name, &folder, false)
                .output
                .ends_with("changed: no\n")
        );
    }
    let unit = folder.path().join("etc/systemd/system/app@.service");
    assert_eq!(fs::read_to_string(unit).unwrap(), format!("{text}\n"));
    assert!(!folder.path().join("etc/init.d").exists());

    let alpine = openrc();
    let run = machine(&alpine);
    assert!(
        step(&run, names[0], &alpine, true)
            .output
            .contains("left out")
    );
    let outcome = step(&run, names[2], &alpine, true);
    assert!(
        outcome.output.ends_with("changed: yes\n"),
        "{}",
        outcome.output
    );
    let mode = alpine
        .path()
        .join("etc/init.d/app")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn openrc_is_served_too() {
    let folder = openrc();
    let run = at(&folder)
        .argument("enable", ["nginx"])
        .argument("start", ["nginx"])
        .build::<Services>();
    let first = step(&run, "enable, start services", &folder, true);
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    assert!(
        step(&run, "enable, start services", &folder, true)
            .output
            .ends_with("changed: no\n")
    );
    assert_eq!(log(&folder), "add nginx\n");
    let tested = at(&folder).argument("enable", ["nginx"]).test::<Services>();
    assert_eq!(
        step(&tested, "nginx is enabled", &folder, true).exit_code,
        0
    );

    let run = at(&folder)
        .argument("disable", ["nginx"])
        .argument("stop", ["nginx"])
        .build::<Services>();
    assert!(
        step(&run, "disable, stop services", &folder, true)
            .output
            .ends_with("changed: yes\n")
    );
    assert!(
        step(&run, "disable, stop services", &folder, true)
            .output
            .ends_with("changed: no\n")
    );
    assert_eq!(
        step(&tested, "nginx is enabled", &folder, true).exit_code,
        1
    );
    let run = at(&folder).argument("mask", ["nginx"]).build::<Services>();
    assert!(
        step(&run, "mask services", &folder, true)
            .output
            .contains("OpenRC can't mask nginx")
    );
}

#[test]
fn the_tester_looks_at_each_service() {
    let machine = Machine::debian()
        .argument("enable", ["nginx"])
        .argument("disable", ["exim4"])
        .argument("mask", ["rpcbind"])
        .argument("start", ["other"]);
    let run = machine
        .clone()
        .answer(
            "rpcbind is masked",
            Answer::exit(1).with_output("rpcbind is enabled"),
        )
        .test::<Services>();
    assert_eq!(
        run.names(),
        [
            "nginx is enabled",
            "nginx has not failed",
            "exim4 is not enabled",
            "rpcbind is masked"
        ]
    );
    assert_eq!(run.verdict("nginx is enabled"), &Verdict::Passed);
    assert_eq!(
        run.verdict("rpcbind is masked"),
        &Verdict::Failed("rpcbind is enabled".into())
    );

    let folder = systemd(&[
        ("nginx", "enabled"),
        ("exim4", "disabled"),
        ("rpcbind", "masked"),
    ]);
    for case in run.names() {
        assert_eq!(step(&run, case, &folder, false).exit_code, 0, "{case}");
    }
    let broken = systemd(&[
        ("nginx", "disabled"),
        ("exim4", "enabled"),
        ("rpcbind", "enabled"),
    ]);
    fs::write(broken.path().join("active/nginx"), "failed\n").unwrap();
    for case in run.names() {
        assert_eq!(step(&run, case, &broken, false).exit_code, 1, "{case}");
    }
    assert_eq!(log(&folder), "", "a tester changes nothing");

    let started = Machine::debian()
        .argument("start", ["other"])
        .test::<Services>();
    assert!(matches!(started.verdict("services"), Verdict::Skipped(_)));
}

#[test]
fn a_service_that_comes_up_late_is_waited_for() {
    let folder = systemd(&[("slow", "enabled")]);
    fs::write(folder.path().join("active/slow"), "activating\n").unwrap();
    let run = Machine::debian()
        .argument("enable", ["slow"])
        .test::<Services>();
    let outcome = step(&run, "slow has not failed", &folder, false);
    assert_eq!(
        (outcome.exit_code, &*outcome.output),
        (0, "slow is active\n")
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (parameter, name) in [
        ("units", "app"),
        ("units", "../app.service"),
        ("drop-ins", "limits.conf"),
        ("drop-ins", "nginx.service/../x.conf"),
        ("init-scripts", "a/b"),
    ] {
        let machine = Machine::debian().argument(parameter, Json::object([(name, "x".into())]));
        let run = machine.build::<Services>();
        assert!(run.result.unwrap_err().contains("is no name"), "{name}");
        assert!(run.steps.is_empty());
    }
    assert!(Machine::debian().build::<Services>().result.is_err());
}
