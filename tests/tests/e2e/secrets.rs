//! Ten planted secrets reach the commands that need them, and are in nothing that is kept,
//! recorded, shown or started outside of the instances.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::sha256;
use darkroom_runtime::{Config, Runtime, pack};
use darkroom_tests::house::{House, sandbox_can_run};

use crate::guests;
use crate::support::Told;

/// The secrets by their names. Each is random enough to be found nowhere by chance, and
/// half of them are a trial for whoever quotes or masks them.
const PLANTED: [(&str, &str); 10] = [
    ("by-env", "Xe1-kT9vQz-plain"),
    ("by-file", "Xf2 \"double\" 'single' $(id) `id` \\ !"),
    ("by-command", "Xc3-p4ssw0rd%&=+/?"),
    ("two-lines", "Xt4-first \"line\"\nXt4-second 'line'\n"),
    ("in-with", "Xw5-of-a-parameter"),
    ("in-write", "Xr6-in-a-file"),
    ("loud", "Xl7-is-printed-whole"),
    ("long", "Xg8-is-printed-often"),
    ("failing", "Xa9-is-echoed-by-a-failure"),
    ("trapped", "Xp0-is-around-a-trap"),
];

fn planted(name: &str) -> &'static str {
    let found = PLANTED.iter().find(|(known, _)| *known == name);
    found.unwrap().1
}

/// A builder with the secret parameters `key` and `file`: a script `use` gets the first
/// as a variable, and the second is written to `/root/key`. Then comes `end`.
fn component(end: &str) -> Vec<u8> {
    let script = "test $KEY && echo KEY is $KEY.";
    let data = format!("keyfileuseKEY/root/key{script}");
    let build = format!(
        r#"(data (i32.const 0x400) "{data}")
        (func (export "darkroom:component/builder@0.1.0#build") (result i32) (local $s i32)
          (call $text (i32.const 0x400) (i32.const 3) (i32.const 0x600))
          (call $text (i32.const 0x403) (i32.const 4) (i32.const 0x620))
          (local.set $s (call $shell (i32.const 0x407) (i32.const 3) (i32.const 0x416) (i32.const {length})))
          (call $environment (local.get $s) (i32.const 0x40a) (i32.const 3)
            (i32.load (i32.const 0x604)) (i32.load (i32.const 0x608)))
          (drop (call $write (i32.const 0x403) (i32.const 4) (i32.const 0x40d) (i32.const 9)
            (i32.load (i32.const 0x624)) (i32.load (i32.const 0x628))))
          (call $output (local.get $s) (i32.const 0x640))
          {end})"#,
        length = script.len(),
    );
    let secret = r#"{"type":"string","secret":true}"#;
    let description = format!(
        r#"{{"summary":"s","parameters":{{"type":"object","properties":{{"key":{secret},"file":{secret}}}}}}}"#
    );
    let quoted = |text: &str| text.replace('"', "\\\"");
    let plain = r#"{"summary":"s","parameters":{"type":"object","properties":{}}}"#;
    let text = guests::text(&build)
        .replacen(
            "(memory (export",
            r#"(import "darkroom:component/inputs@0.1.0" "text" (func $text (param i32 i32 i32)))
            (import "darkroom:component/steps@0.1.0" "environment" (func $environment (param i32 i32 i32 i32 i32)))
            (memory (export"#,
            1,
        )
        .replacen(&quoted(plain), &quoted(&description), 1)
        .replacen("(i32.const 62)", &format!("(i32.const {})", description.len()), 1);
    let runtime = Runtime::new(Config::default()).unwrap();
    let module = pack::embed(text.as_bytes(), "builder-only").unwrap();
    pack::pack(&runtime, &module, &[], "secret").unwrap()
}

/// The sources of all ten, and a script that knows them by their digests.
fn template(name: &str, rest: &str) -> String {
    let mut text =
        format!("name: {name}\nsource: {{ family: debian-12 }}\nrepair: none\nsecrets:\n");
    for (index, (name, _)) in PLANTED.iter().enumerate() {
        let from = match *name {
            "by-file" | "two-lines" => format!("file: ./{name}.txt"),
            "by-command" => "command: [cat, by-command.txt]".into(),
            _ => format!("env: PLANTED_{index}"),
        };
        writeln!(text, "  {name}: {{ {from} }}").unwrap();
    }
    text + rest
}

/// Starts a build with the secrets at their sources.
fn start(house: &House, template: &str) -> Child {
    let file = house.write("image.yaml", template);
    for name in ["by-file", "two-lines"] {
        house.write(&format!("{name}.txt"), planted(name));
    }
    house.write("by-command.txt", &format!("{}\n", planted("by-command")));
    let mut command = house.command(&["build", "--yes", file.to_str().unwrap()]);
    for (index, (_, value)) in PLANTED.iter().enumerate() {
        command.env(format!("PLANTED_{index}"), value);
    }
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What must be in no sink: the lines of the values, and what base64 makes of them.
fn forms() -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    for (name, value) in PLANTED {
        forms.extend(value.lines().map(|line| (name, line.to_owned())));
        let whole = &value.as_bytes()[..value.len() - value.len() % 3];
        forms.push((name, STANDARD.encode(whole)));
    }
    forms
}

/// The names of the secrets that the bytes hold.
fn held(bytes: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let mut names = forms();
    names.retain(|(_, form)| text.contains(form));
    names.into_iter().map(|(name, _)| name).collect()
}

/// Looks at every process outside of the instances until it is told to stop: what it has
/// found by the process and where.
fn watch(stop: &AtomicBool) -> BTreeMap<String, Vec<&'static str>> {
    let ours = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let mut found = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            let inside = std::fs::read_link(path.join("ns/pid")).is_ok_and(|one| one != ours);
            if inside {
                continue;
            }
            let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            for file in ["cmdline", "environ"] {
                if file == "environ" && has_the_users_own(&command) {
                    continue;
                }
                let names = held(&std::fs::read(path.join(file)).unwrap_or_default());
                if !names.is_empty() {
                    found.insert(format!("{} of {command}", path.join(file).display()), names);
                }
            }
        }
    }
    found
}

/// Whether it is the `darkroom build` that a person has started with secrets in its
/// environment, the moment at which a child of it is not another program yet included, or
/// the command that the person has named as a source.
fn has_the_users_own(command: &str) -> bool {
    command.contains("darkroom build ") || command.starts_with("cat by-command.txt")
}

/// Builds while every process is watched.
fn build(house: &House, template: &str) -> Told {
    let child = start(house, template);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let watcher = std::thread::spawn(move || watch(&stopped));
    let told = Told::of(child.wait_with_output().unwrap());
    stop.store(true, Ordering::Relaxed);
    assert_eq!(watcher.join().unwrap(), BTreeMap::new());
    assert_eq!(held(told.out.as_bytes()), [""; 0], "{}", told.out);
    assert_eq!(held(told.err.as_bytes()), [""; 0], "{}", told.err);
    told
}

/// Every file of the house's cloud and runs that holds secrets, and which. By grep,
/// because the layers of an image are some hundred megabytes.
fn search(house: &House) -> Vec<(PathBuf, Vec<&'static str>)> {
    let lines: Vec<_> = forms().into_iter().map(|(_, form)| form).collect();
    let patterns = house.write("patterns", &lines.join("\n"));
    let grep = Command::new("grep")
        .args(["-rlaF", "-D", "skip", "-f"])
        .args([patterns, house.path("state"), house.path("local")])
        .output()
        .unwrap();
    let found = String::from_utf8(grep.stdout).unwrap();
    let paths = found.lines().map(PathBuf::from);
    paths
        .map(|path| {
            let names = held(&std::fs::read(&path).unwrap_or_default());
            (path, names)
        })
        .collect()
}

/// Nothing is anywhere in the house, but where a command has put it into an image.
#[track_caller]
fn nothing_is_left(house: &House, in_images: &[&str]) {
    let mut found = search(house);
    found.retain(|(path, names)| {
        let in_a_layer = path.components().any(|part| part.as_os_str() == "layers");
        !(in_a_layer && names.iter().all(|name| in_images.contains(name)))
    });
    assert_eq!(found, []);
}

#[test]
fn ten_secrets_arrive_and_are_in_no_sink() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    std::fs::write(house.path("use.wasm"), component("(call $ok)")).unwrap();
    let mut checks = String::new();
    let names = ["by-env", "by-file", "by-command", "two-lines"];
    for (name, variable) in names.iter().zip(["A", "B", "C", "D"]) {
        let digest = sha256(planted(name).as_bytes());
        writeln!(
            checks,
            "      [ \"$(printf %s \"${variable}\" | sha256sum)\" = \"{digest}  -\" ]"
        )
        .unwrap();
    }
    let rest = format!(
        r#"build:
  - run: |
      set -eu
{checks}      test -z "$(find /var/lib/darkroom -name '*.secret')"
      sleep 1
    env:
      A: ${{{{ secrets.by-env }}}}
      B: ${{{{ secrets.by-file }}}}
      C: ${{{{ secrets.by-command }}}}
      D: ${{{{ secrets.two-lines }}}}
  - run: |
      echo "it is $LOUD, $LINES"
      env | sort
      printf %s "$LOUD" | base64
    env: {{ LOUD: '${{{{ secrets.loud }}}}', LINES: '${{{{ secrets.two-lines }}}}' }}
  - run: |
      for i in $(seq 4000); do echo "$i $LONG"; done
      printf %s "$LONG"
    env: {{ LONG: '${{{{ secrets.long }}}}' }}
  - uses: ./use.wasm
    with: {{ key: '${{{{ secrets.in-with }}}}', file: 'a ${{{{ secrets.in-write }}}} b' }}
  - run: |
      [ "$(sha256sum < /root/key)" = "{written}  -" ]
"#,
        written = sha256(format!("a {} b", planted("in-write")).as_bytes()),
    );
    let template = template("ten", &rest);
    build(&house, &template).exits(0);
    nothing_is_left(&house, &["in-write"]);

    // The masked output is there.
    let mut logs = Vec::new();
    texts(&house.path("state/runs"), "log", &mut logs);
    let all = logs.join("\n");
    for wanted in [
        "it is ***, ***\n***",
        "LOUD=***",
        "4000 ***\n***",
        "KEY is ***.",
    ] {
        assert!(all.contains(wanted), "{wanted}");
    }
}

#[test]
fn neither_failures_nor_traps_tell_them() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let rest = "build:\n  - run: 'echo \"failed with $FAILING\" >&2; exit 3'\n    env: { FAILING: '${{ secrets.failing }}' }\n";
    build(&house, &template("fails", rest))
        .exits(4)
        .says(&["failed with ***"]);
    std::fs::write(house.path("trap.wasm"), component("unreachable")).unwrap();
    let rest = "build:\n  - uses: ./trap.wasm\n    with: { key: '${{ secrets.trapped }}', file: '${{ secrets.trapped }}' }\n";
    build(&house, &template("traps", rest))
        .exits(4)
        .says(&["unreachable"]);
    nothing_is_left(&house, &[]);
}

fn texts(folder: &Path, extension: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts(&path, extension, found);
        } else if path.extension().is_some_and(|one| one == extension) {
            found.push(String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned());
        }
    }
}

#[test]
fn what_is_missing_is_said_before_there_is_a_run() {
    let house = House::new(darkroom_tests::house::Driver::Sim);
    let file = house.write(
        "image.yaml",
        "name: missing\nsource: { family: debian-12 }\nsecrets: { db: { env: NOT_SET } }\nbuild:\n  - run: 'true'\n    env: { DB: '${{ secrets.db }}' }\n",
    );
    Told::of(house.run(&["build", file.to_str().unwrap()]))
        .exits(2)
        .says(&[
            "the secret db: the variable NOT_SET is not set",
            "set NOT_SET",
        ]);
    assert_eq!(house.succeed(&["runs", "list", "--json"]), "");
}
