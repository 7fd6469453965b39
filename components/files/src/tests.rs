//! What the component asks for, and its scripts run in a folder.

use super::Files;
use darkroom::testing::{Answer, Declared, Machine, Outcome, StepKind};
use darkroom::{About as _, Json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A name that a shell would take for something else.
const HOSTILE: &str = "/a b;$(touch pwned)'\"\n*/é";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(&path[1..])
    }

    fn machine(&self, path: &str) -> Machine {
        // Only root can give files away, so the owner is who runs the test.
        let who = self.folder.path().metadata().unwrap();
        Machine::debian()
            .root(self.folder.path().to_str().unwrap())
            .argument("path", path)
            .argument("owner", format!("{}:{}", who.uid(), who.gid()))
    }

    /// Carries out what the component asks for: a written file is put where it is staged.
    fn carry_out(&self, machine: &Machine) -> Outcome {
        let run = machine.build::<Files>();
        assert_eq!((run.result.clone(), run.planned), (Ok(()), run.steps.len()));
        let staged = self.folder.path().join("staged-folder/content");
        if let StepKind::Write { bytes, .. } = &run.steps[0].kind {
            fs::create_dir_all(staged.parent().unwrap()).unwrap();
            fs::write(&staged, bytes).unwrap();
        }
        let mut last: Declared = run.steps.last().unwrap().clone();
        last.environment
            .push(("STAGED".to_owned(), staged.display().to_string()));
        let outcome = last.run(self.folder.path(), Path::new("/nowhere"));
        assert!(!self.folder.path().join("pwned").exists());
        assert!(outcome.exit_code != 0 || !staged.exists());
        outcome
    }

    /// Whether it changed something, and then nothing.
    fn changes_once(&self, machine: &Machine) -> bool {
        let first = self.carry_out(machine);
        assert_eq!(first.exit_code, 0, "{}", first.output);
        let again = self.carry_out(machine);
        assert_eq!(again.output, "changed: no\n");
        first.output.ends_with("changed: yes\n")
    }
}

#[test]
fn a_file_is_brought_in_memory_and_takes_its_place() {
    let run = Machine::debian()
        .argument("path", "/etc/hello")
        .argument("text", "hello\n")
        .argument("mode", "0640")
        .argument("owner", "www-data")
        .build::<Files>();
    let names = ["bring what is in /etc/hello", "put in place /etc/hello"];
    assert_eq!((run.names(), run.planned), (names.to_vec(), 2));
    let kind = StepKind::Write {
        path: "/run/darkroom-files/content".into(),
        bytes: b"hello\n".to_vec(),
    };
    assert_eq!(
        (&run.step(names[0]).kind, run.step(names[0]).mode),
        (&kind, Some(0o600))
    );
    let settle = run.step(names[1]);
    for (name, value) in [
        ("FILE", "/etc/hello"),
        ("MODE", "0640"),
        ("OWNER", "www-data"),
    ] {
        assert_eq!(settle.variable(name), Some(value));
    }
}

#[test]
fn a_file_is_changed_where_it_differs_and_only_there() {
    let place = Place::new();
    let machine = place.machine(HOSTILE).argument("text", "it's $(x)\né");
    assert!(place.changes_once(&machine));
    let file = place.at(HOSTILE);
    assert_eq!(fs::read_to_string(&file).unwrap(), "it's $(x)\né");
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o644);
    assert!(place.changes_once(&machine.clone().argument("mode", "4750")));
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o4750);
    // A link is replaced, and where it leads is left alone.
    fs::remove_file(&file).unwrap();
    let elsewhere = place.at("/elsewhere");
    fs::write(&elsewhere, "kept").unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(place.changes_once(&machine));
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "kept");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let refused = place.carry_out(&machine);
    assert!(refused.exit_code == 1 && refused.output.contains("is a folder, not a file"));
}

#[test]
fn a_template_is_filled_in() {
    let values = Json::object([("name", "it's".into()), ("ports", vec![80, 443].into())]);
    let run = Machine::debian()
        .argument("path", "/etc/x")
        .argument(
            "template",
            "{{ name }}{% for p in ports %} {{ p }}{% endfor %}\n",
        )
        .argument("values", values)
        .build::<Files>();
    assert_eq!(run.steps[0].text(), Some("it's 80 443\n"));
    let run = Machine::debian()
        .argument("path", "/etc/x")
        .argument("template", "{{ name }}")
        .build::<Files>();
    assert!(run.result.unwrap_err().contains("undefined value"));
    assert!(run.steps.is_empty());
}

#[test]
fn an_asset_is_brought_as_an_asset() {
    let run = Machine::debian()
        .argument("path", "/etc/motd")
        .argument("asset", "motd")
        .build::<Files>();
    let kind = StepKind::WriteAsset {
        path: "/run/darkroom-files/content".into(),
        asset: "motd".into(),
    };
    assert_eq!(run.step("bring what is in /etc/motd").kind, kind);
    for asset in super::ASSETS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("assets")
            .join(asset);
        assert!(file.exists(), "{asset}");
    }
}

#[test]
fn folders_links_and_nothing() {
    let place = Place::new();
    let folder = place
        .machine(HOSTILE)
        .argument("kind", "folder")
        .argument("mode", "1777");
    assert!(place.changes_once(&folder));
    assert_eq!(
        place.at(HOSTILE).metadata().unwrap().permissions().mode() & 0o7777,
        0o1777
    );
    assert!(place.changes_once(&folder.argument("mode", "0700")));

    let link = place.machine("/a/link").argument("kind", "link");
    let to = |target: &str| link.clone().argument("target", target);
    for target in ["../é $(touch pwned)", "-f", "/"] {
        assert!(place.changes_once(&to(target)));
        assert_eq!(
            fs::read_link(place.at("/a/link")).unwrap(),
            Path::new(target)
        );
    }
    let blocked = place
        .machine("/a")
        .argument("kind", "link")
        .argument("target", "x");
    assert!(place.carry_out(&blocked).output.contains("is a folder"));
    let blocked = place.machine("/a/link").argument("kind", "folder");
    assert!(place.carry_out(&blocked).output.contains("is a link"));

    let absent = |path: &str| place.machine(path).argument("kind", "absent");
    assert!(place.changes_once(&absent("/a/link")));
    assert!(place.changes_once(&absent(HOSTILE)));
    assert!(!place.changes_once(&absent("/not/there")));
    fs::create_dir_all(place.at("/full/of")).unwrap();
    let refused = place.carry_out(&absent("/full"));
    assert!(refused.exit_code == 1 && refused.output.contains("`recursive`"));
    fs::create_dir_all(place.at("/deep/full/of")).unwrap();
    let all = absent("/deep/full").argument("recursive", true);
    assert!(place.changes_once(&all));
    assert!(place.at("/deep").exists());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let machine = || Machine::debian().argument("path", "/etc/hello");
    let refused = |machine: Machine, message: &str| {
        let run = machine.build::<Files>();
        let error = run.result.unwrap_err();
        assert!(error.contains(message), "{error}");
        assert!(run.steps.is_empty());
    };
    refused(machine(), "give `text`, `template` or `asset`");
    refused(
        machine().argument("text", "x").argument("asset", "motd"),
        "give one of",
    );
    refused(
        machine().argument("values", Json::object([])),
        "there is none",
    );
    refused(machine().argument("kind", "link"), "give `target`");
    refused(
        machine().argument("kind", "folder").argument("text", "x"),
        "has no content",
    );
    refused(
        Machine::debian()
            .argument("path", "/srv/../etc")
            .argument("kind", "absent"),
        "must not hold `..`",
    );
    for path in ["/etc", "//etc", "/./usr"] {
        let machine = Machine::debian()
            .argument("path", path)
            .argument("kind", "absent");
        refused(machine.argument("recursive", true), "folder of the system");
    }
}

#[test]
fn values_may_hold_secrets() {
    let schema = Files::describe().to_json("files", "0.1.0");
    assert_eq!(schema.matches(r#""secret":true"#).count(), 1);
    assert!(
        schema.contains(r#""type":"object","secret":true"#),
        "{schema}"
    );
    let machine = Machine::debian()
        .argument("path", "/etc/x")
        .argument("text", "x");
    let run = machine
        .answer("put in place /etc/x", Answer::output("changed: no\n"))
        .build::<Files>();
    assert_eq!(run.published, [("changed".to_owned(), Json::Flag(false))]);
}
