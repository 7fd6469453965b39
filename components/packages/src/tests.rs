//! What the component asks for, and its scripts run against stubs of apt and dpkg.

use super::Packages;
use darkroom::testing::{Answer, Machine, Outcome, Run, Verdict};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

/// A stand-in for a machine with apt: `installed` holds one package a line, and what
/// apt-get was told is in `log`.
struct Stubs {
    folder: TempDir,
}

const DPKG_QUERY: &str = r#"#!/bin/sh
case $2 in *Provides*) cat "$HOME/provided" 2>/dev/null; exit 0 ;; esac
shift 3
grep -Fqx -- "$1" "$HOME/installed" || { echo "no packages found matching $1" >&2; exit 1; }
echo installed
"#;

const APT_GET: &str = r#"#!/bin/sh
while case $1 in -o) shift ;; -*) ;; *) false ;; esac; do shift; done
printf '%s\n' "$*" >>"$HOME/log"
if [ -e "$HOME/locked" ]; then
    rm "$HOME/locked"
    echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7'
    exit 100
fi
case $1 in
    install) shift 2; for one in "$@"; do case $one in broken*) ;; *) echo "$one" >>"$HOME/installed" ;; esac; done ;;
    purge) shift 2; for one in "$@"; do grep -Fvx -- "$one" "$HOME/installed" >"$HOME/rest"; mv "$HOME/rest" "$HOME/installed"; done ;;
esac
"#;

impl Stubs {
    fn new(installed: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in [
            ("dpkg-query", DPKG_QUERY),
            ("apt-get", APT_GET),
            (
                "dpkg",
                "#!/bin/sh\nrm -r \"$HOME/var/lib/dpkg/updates\"; echo \"dpkg $*\" >>\"$HOME/log\"\n",
            ),
            ("sleep", "#!/bin/sh\n"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(folder.path().join("installed"), installed).unwrap();
        fs::create_dir_all(folder.path().join("etc/apt")).unwrap();
        Self { folder }
    }

    fn machine(&self) -> Machine {
        Machine::debian().root(self.folder.path().to_str().unwrap())
    }

    fn run(&self, run: &Run, step: &str) -> Outcome {
        run.step(step).run(self.folder.path(), self.folder.path())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn all_steps_are_planned() {
    let run = Machine::debian()
        .argument("install", ["nginx", "curl"])
        .argument("remove", ["exim4"])
        .argument("upgrade", true)
        .build::<Packages>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(
        run.names(),
        [
            "upgrade all packages",
            "remove exim4",
            "install nginx, curl"
        ]
    );
    assert_eq!((run.calls, run.planned), (1, 3));
    assert_eq!(
        run.step("install nginx, curl").variable("PACKAGES"),
        Some("nginx\ncurl")
    );
    assert_eq!(run.step("install nginx, curl").attempts, Some(3));
}

#[test]
fn other_families_are_refused_before_anything_is_done() {
    let machine = Machine::new("linux", "alinux", "3").argument("install", ["nginx"]);
    let run = machine.build::<Packages>();
    assert!(run.result.unwrap_err().contains("this machine is alinux"));
    assert!(run.steps.is_empty());
    assert!(machine.test::<Packages>().result.is_err());
}

#[test]
fn nothing_to_do_is_said() {
    let run = Machine::debian().build::<Packages>();
    assert!(run.steps.is_empty() && run.messages[0].1.contains("nothing to do"));
}

#[test]
fn only_what_is_missing_is_installed_and_lists_are_refreshed_once() {
    let stubs = Stubs::new("curl\n");
    let run = stubs
        .machine()
        .argument("install", ["nginx", "curl"])
        .build::<Packages>();
    let outcome = stubs.run(&run, "install nginx, curl");
    assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
    assert_eq!(
        stubs.log(),
        "update -o APT::Update::Error-Mode=any\ninstall -- nginx\n"
    );
    let outcome = stubs.run(&run, "install nginx, curl");
    assert_eq!(outcome.output, "all of them are installed\n");

    let run = stubs
        .machine()
        .argument("install", ["git"])
        .build::<Packages>();
    assert!(
        stubs
            .run(&run, "install git")
            .output
            .contains("lists are fresh")
    );
    assert!(
        stubs
            .log()
            .ends_with("\ninstall -- nginx\ninstall -- git\n")
    );
}

#[test]
fn a_lock_is_waited_for_and_an_interrupted_dpkg_is_finished() {
    let stubs = Stubs::new("");
    fs::write(stubs.folder.path().join("locked"), "").unwrap();
    fs::create_dir_all(stubs.folder.path().join("var/lib/dpkg/updates/0001")).unwrap();
    let run = stubs
        .machine()
        .argument("install", ["nginx"])
        .build::<Packages>();
    assert_eq!(stubs.run(&run, "install nginx").exit_code, 0);
    let update = "update -o APT::Update::Error-Mode=any\n";
    assert_eq!(
        stubs.log(),
        format!("dpkg --configure -a\n{update}{update}install -- nginx\n")
    );
}

#[test]
fn a_package_that_apt_did_not_install_is_an_error() {
    let stubs = Stubs::new("");
    let run = stubs
        .machine()
        .argument("install", ["nginx", "broken"])
        .build::<Packages>();
    let outcome = stubs.run(&run, "install nginx, broken");
    assert_eq!(outcome.exit_code, 1);
    assert!(
        outcome
            .output
            .ends_with("not installed in spite of apt-get: broken\n")
    );
}

#[test]
fn a_provided_package_counts_as_installed() {
    let stubs = Stubs::new("");
    fs::write(
        stubs.folder.path().join("provided"),
        "installed mail-agent (= 1), smtp\n",
    )
    .unwrap();
    let run = stubs
        .machine()
        .argument("install", ["smtp", "mail-agent"])
        .build::<Packages>();
    assert_eq!(
        stubs.run(&run, "install smtp, mail-agent").output,
        "all of them are installed\n"
    );
}

#[test]
fn what_is_removed_is_what_is_there() {
    let stubs = Stubs::new("exim4\n");
    let run = stubs
        .machine()
        .argument("remove", ["exim4", "postfix"])
        .build::<Packages>();
    assert_eq!(stubs.run(&run, "remove exim4, postfix").exit_code, 0);
    assert_eq!(stubs.log(), "purge -- exim4\n");
    assert_eq!(
        stubs.run(&run, "remove exim4, postfix").output,
        "none of them is installed\n"
    );
}

#[test]
fn hostile_names_stay_names() {
    let stubs = Stubs::new("");
    let hostile = "a b;touch pwned;$(touch pwned)`touch pwned`'\"*";
    let run = stubs
        .machine()
        .argument("install", [hostile])
        .build::<Packages>();
    let outcome = stubs.run(&run, &format!("install {hostile}"));
    assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
    assert!(stubs.log().ends_with(&format!("install -- {hostile}\n")));
    assert!(!stubs.folder.path().join("pwned").exists());
}

#[test]
fn without_apt_the_script_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let run = Machine::new("linux", "", "")
        .argument("install", ["nginx"])
        .build::<Packages>();
    let mut step = run.step("install nginx").clone();
    step.environment
        .push(("PATH".to_owned(), empty.path().display().to_string()));
    let outcome = step.run(empty.path(), empty.path());
    assert_eq!(outcome.exit_code, 69);
    assert!(outcome.output.contains("has no apt-get"));
}

#[test]
fn the_tester_looks_and_reports_each_package() {
    let machine = Machine::debian()
        .argument("install", ["nginx", "curl"])
        .argument("remove", ["exim4", "nano"]);
    let answer = Answer::output("yes nginx\nno curl\nno exim4\nyes nano\n");
    let run = machine
        .clone()
        .answer("look at the packages", answer)
        .test::<Packages>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.verdict("nginx is installed"), &Verdict::Passed);
    assert_eq!(
        run.verdict("curl is installed"),
        &Verdict::Failed("it is not".into())
    );
    assert_eq!(run.verdict("exim4 is not installed"), &Verdict::Passed);
    assert_eq!(
        run.verdict("nano is not installed"),
        &Verdict::Failed("it is".into())
    );
    assert_eq!(run.cases.len(), 4);

    let run = machine
        .answer(
            "look at the packages",
            Answer::exit(69).with_output("no apt"),
        )
        .test::<Packages>();
    assert_eq!(
        run.result,
        Err("the packages could not be looked at: no apt".to_owned())
    );
}

#[test]
fn the_testers_script_tells_what_is_there() {
    let stubs = Stubs::new("nginx\n");
    let run = stubs
        .machine()
        .argument("install", ["nginx", "curl"])
        .test::<Packages>();
    assert_eq!(
        stubs.run(&run, "look at the packages").output,
        "yes nginx\nno curl\n"
    );
    assert_eq!(stubs.log(), "");
}
