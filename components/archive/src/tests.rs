//! What the component asks for, and its scripts run in a folder, with archives that are
//! made here.

use super::Archive;
use darkroom::testing::{Answer, Machine, Outcome, StepKind};
use darkroom::{Json, testing::Declared};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A folder with a machine's root in it, and room for archives beside.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// An archive, made by a command in a folder that `fill` has filled.
    fn archive(&self, name: &str, fill: impl FnOnce(&Path), command: &[&str]) {
        let from = tempfile::tempdir().unwrap();
        fill(from.path());
        let made = Command::new(command[0])
            .args(&command[1..])
            .current_dir(from.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs::write(self.root().join(name), made.stdout).unwrap();
    }

    fn machine(&self, name: &str, to: &str) -> Machine {
        let who = self.folder.path().metadata().unwrap();
        Machine::debian()
            .root(self.root().to_str().unwrap())
            .argument("path", format!("/{name}"))
            .argument("to", to)
            .argument("owner", format!("{}:{}", who.uid(), who.gid()))
    }

    fn run(&self, step: &Declared) -> Outcome {
        let outcome = step.run(self.folder.path(), Path::new("/nowhere"));
        assert!(!self.folder.path().join("pwned").exists());
        assert!(!self.root().join("pwned").exists());
        outcome
    }

    /// The outcome of the only step.
    fn unpack(&self, machine: &Machine) -> Outcome {
        let run = machine.build::<Archive>();
        assert_eq!(
            (run.result.clone(), run.planned, run.steps.len()),
            (Ok(()), 1, 1)
        );
        self.run(&run.steps[0])
    }
}

/// `app-1/bin/run` with the right to run as root, and a link to it.
fn app(folder: &Path) {
    fs::create_dir_all(folder.join("app-1/bin")).unwrap();
    fs::create_dir_all(folder.join("app-1/it's $(touch pwned)\né")).unwrap();
    fs::write(folder.join("app-1/bin/run"), "run\n").unwrap();
    fs::set_permissions(
        folder.join("app-1/bin/run"),
        fs::Permissions::from_mode(0o4755),
    )
    .unwrap();
    symlink("bin/run", folder.join("app-1/run")).unwrap();
    symlink("../bin", folder.join("app-1/bin/same")).unwrap();
}

#[test]
fn every_format_of_tar_is_unpacked_once() {
    for (end, option, tool) in [
        ("tar", "-c", "tar"),
        ("tar.gz", "-cz", "gzip"),
        ("tar.xz", "-cJ", "xz"),
        ("tar.bz2", "-cj", "bzip2"),
        ("tar.zst", "--zstd", "zstd"),
    ] {
        if !Path::new("/usr/bin").join(tool).exists() && !Path::new("/bin").join(tool).exists() {
            println!("not run: {tool} is not installed");
            continue;
        }
        let place = Place::new();
        let name = format!("app.{end}");
        let command: &[&str] = if tool == "zstd" {
            &["tar", "-c", option, "app-1"]
        } else {
            &["tar", option, "app-1"]
        };
        place.archive(&name, app, command);
        let to = "/opt/a b/it's $(touch pwned)\né";
        let machine = place.machine(&name, to).argument("strip", 1);
        let first = place.unpack(&machine);
        assert!(
            first.output.ends_with("changed: yes\n"),
            "{end}: {}",
            first.output
        );
        let run = place.root().join(&to[1..]).join("bin/run");
        assert_eq!(fs::read_to_string(&run).unwrap(), "run\n");
        // Nothing comes with the right to run as somebody else.
        assert_eq!(run.metadata().unwrap().mode() & 0o7777, 0o755);
        assert!(
            place
                .root()
                .join(&to[1..])
                .join("it's $(touch pwned)\né")
                .is_dir()
        );
        let again = place.unpack(&machine);
        assert_eq!(again.output, "all is there\nchanged: no\n", "{end}");
        // Nothing lies about.
        assert_eq!(
            fs::read_dir(place.root().join("opt/a b")).unwrap().count(),
            1
        );

        // What was taken away or is to be otherwise is put there again, and what a power
        // cut left goes.
        fs::create_dir(place.root().join("opt/a b/.darkroom-archive.left")).unwrap();
        fs::remove_file(&run).unwrap();
        assert!(place.unpack(&machine).output.ends_with("changed: yes\n"));
        let otherwise = place.unpack(&machine.argument("strip", 0));
        assert!(
            otherwise.output.ends_with("changed: yes\n"),
            "{}",
            otherwise.output
        );
        assert!(place.root().join(&to[1..]).join("app-1/bin/run").exists());
        assert_eq!(
            fs::read_dir(place.root().join("opt/a b")).unwrap().count(),
            1
        );
    }
}

/// Zips with one file: `app-1/bin/run`, and `../pwned`.
const ZIP: &str = "504b03041400000000000000215c87b2e3a904000000040000000d0000006170702d312f62696e2f72756e\
    72756e0a504b010214031400000000000000215c87b2e3a904000000040000000d0000000000000000000000ed\
    01000000006170702d312f62696e2f72756e504b050600000000010001003b0000002f0000000000";
const EVIL_ZIP: &str = "504b03041400000000000000215c8316dc8c0100000001000000080000002e2e2f70776e656478504b0102\
    14031400000000000000215c8316dc8c01000000010000000800000000000000000000008001000000002e2e2f\
    70776e6564504b0506000000000100010036000000270000000000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_zip_is_unpacked_where_there_is_a_tool_for_it() {
    let place = Place::new();
    fs::write(place.root().join("app.zip"), bytes(ZIP)).unwrap();
    fs::write(place.root().join("evil.zip"), bytes(EVIL_ZIP)).unwrap();
    let machine = place.machine("app.zip", "/opt/app").argument("strip", 1);
    let first = place.unpack(&machine);
    if !Path::new("/usr/bin/unzip").exists() {
        assert!(first.output.contains("install the package unzip"));
        println!("not run: unzip is not installed");
        return;
    }
    assert!(first.output.ends_with("changed: yes\n"), "{}", first.output);
    assert_eq!(
        fs::read_to_string(place.root().join("opt/app/bin/run")).unwrap(),
        "run\n"
    );
    assert!(place.unpack(&machine).output.ends_with("changed: no\n"));
    let evil = place.unpack(&place.machine("evil.zip", "/opt/evil"));
    assert!(evil.exit_code == 1 && evil.output.contains("a name that leads out"));
}

#[test]
fn an_archive_that_reaches_out_of_its_place_is_refused_whole() {
    type Evil = (
        &'static str,
        fn(&Path),
        &'static [&'static str],
        &'static str,
    );
    let evil: [Evil; 6] = [
        (
            "dots.tar",
            |folder| fs::write(folder.join("x"), "").unwrap(),
            &["tar", "-cP", "--transform", "s,^x,../pwned,", "x"],
            "a name that leads out",
        ),
        (
            "absolute.tar",
            |folder| fs::write(folder.join("x"), "").unwrap(),
            &["tar", "-cP", "--transform", "s,^x,/tmp/pwned,", "x"],
            "a name that leads out",
        ),
        (
            "link.tar",
            |folder| symlink("/etc", folder.join("x")).unwrap(),
            &["tar", "-c", "x"],
            "a link that leads out of its place (x)",
        ),
        (
            "deep.tar",
            |folder| {
                fs::create_dir(folder.join("a")).unwrap();
                symlink("b/../../../etc", folder.join("a/x")).unwrap();
            },
            &["tar", "-c", "a"],
            "a link that leads out of its place (a/x)",
        ),
        (
            "pipe.tar",
            |folder| {
                let made = Command::new("mkfifo")
                    .arg(folder.join("x"))
                    .status()
                    .unwrap();
                assert!(made.success());
            },
            &["tar", "-c", "x"],
            "a device, a pipe or a socket (x)",
        ),
        (
            "broken.tar",
            |folder| fs::write(folder.join("x"), "hello").unwrap(),
            &["cat", "x"],
            "tar",
        ),
    ];
    for (name, fill, command, message) in evil {
        let place = Place::new();
        place.archive(name, fill, command);
        let outcome = place.unpack(&place.machine(name, "/opt/app"));
        assert_ne!(outcome.exit_code, 0, "{name}");
        assert!(
            outcome.output.contains(message),
            "{name}: {}",
            outcome.output
        );
        assert!(!place.root().join("opt/app").exists(), "{name}");
        assert_eq!(
            fs::read_dir(place.root().join("opt")).unwrap().count(),
            0,
            "{name}"
        );
    }
}

#[test]
fn a_newer_archive_takes_the_older_one_away_where_it_is_asked_to() {
    let place = Place::new();
    let version = |name: &str, file: &'static str| {
        place.archive(
            name,
            |folder| {
                fs::create_dir_all(folder.join("lib")).unwrap();
                fs::write(folder.join("lib").join(file), file).unwrap();
            },
            &["tar", "-c", "."],
        );
    };
    version("1.tar", "one");
    version("2.tar", "two");
    let lib = place.root().join("opt/app/lib");
    for (name, clean, left) in [
        ("1.tar", false, 1),
        ("2.tar", false, 2),
        ("2.tar", true, 2),
        ("1.tar", false, 2),
    ] {
        let machine = place.machine(name, "/opt/app").argument("clean", clean);
        assert_eq!(place.unpack(&machine).exit_code, 0);
        assert_eq!(fs::read_dir(&lib).unwrap().count(), left, "{name}");
    }
    fs::write(lib.join("ours"), "").unwrap();
    fs::remove_file(lib.join("two")).unwrap();
    let machine = place.machine("2.tar", "/opt/app").argument("clean", true);
    assert!(place.unpack(&machine).output.ends_with("changed: yes\n"));
    assert!(lib.join("two").exists() && lib.join("ours").exists());
    assert!(
        !lib.join("one").exists(),
        "only what an archive brought goes"
    );
}

#[test]
fn what_is_fetched_is_verified_and_not_fetched_again() {
    let machine = Machine::debian()
        .argument("url", "https://example.com/app-1.tar.gz?token=x#y")
        .argument("sha256", DIGEST.to_uppercase())
        .argument("to", "/opt/app");
    let run = machine.build::<Archive>();
    assert_eq!(
        run.names(),
        [
            "look at /opt/app",
            "fetch https://example.com/app-1.tar.gz?token=x#y",
            "unpack into /opt/app"
        ]
    );
    let kind = StepKind::Download {
        path: "/var/tmp/darkroom-archive-0123456789abcdef".into(),
        address: "https://example.com/app-1.tar.gz?token=x#y".into(),
        sha256: DIGEST.into(),
    };
    assert_eq!(run.steps[1].kind, kind);
    assert_eq!(run.steps[2].variable("FORMAT"), Some("tar.gz"));
    let run = machine
        .answer(
            "look at /opt/app",
            Answer::output("all is there\nchanged: no\n"),
        )
        .build::<Archive>();
    assert_eq!(
        (run.steps.len(), &run.published[0].1),
        (1, &Json::Flag(false))
    );

    let place = Place::new();
    place.archive("app.tar", app, &["tar", "-c", "app-1"]);
    let wrong = place
        .machine("app.tar", "/opt/app")
        .argument("sha256", DIGEST);
    assert!(
        place
            .unpack(&wrong)
            .output
            .contains(&format!("not {DIGEST}"))
    );
    let missing = place.machine("missing.tar", "/opt/app");
    assert!(place.unpack(&missing).output.contains("there is no file"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |machine: Machine, message: &str| {
        let error = machine.build::<Archive>().result.unwrap_err();
        assert!(error.contains(message), "{error}");
    };
    let to = || Machine::debian().argument("to", "/opt/app");
    refused(to(), "give `url` or `path`");
    refused(to().argument("url", "https://x/y.zip"), "give `sha256`");
    refused(
        to().argument("url", "https://x/y.zip")
            .argument("path", "/y"),
        "not both",
    );
    refused(to().argument("path", "/srv/app"), "give `format`");
    refused(
        Machine::debian()
            .argument("path", "/a.tar")
            .argument("to", "/opt/../etc"),
        "must not hold `..`",
    );
    let given = to().argument("path", "/srv/app").argument("format", "zip");
    assert_eq!(given.build::<Archive>().result, Ok(()));
}
