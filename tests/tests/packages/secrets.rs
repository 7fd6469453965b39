//! Passwords of registries, signing keys and their passwords: looked for in everything
//! that is printed, logged, kept or started while all verbs run.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use darkroom_tests::house::House;

use crate::logins::{docker, guarded, wkg};
use crate::registry::{PASSWORD, USER};
use crate::{KEY, house, package, trust};

/// The password of the key that cosign made for tests.
const KEY_PASSWORD: &str = "throwaway password";
/// What somebody types by mistake.
const WRONG: &str = "hunter2-or-3";

/// Every form in which a secret could be told, and whose it is.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = Vec::new();
    let mut add = |name, bytes: &[u8]| {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        // Without its end, which depends on what follows.
        let plain = STANDARD_NO_PAD.encode(bytes);
        let url = URL_SAFE_NO_PAD.encode(bytes);
        let kept = bytes.len() * 4 / 3 - 1;
        forms.push((name, bytes.to_vec()));
        forms.push((name, hex.into_bytes()));
        forms.push((name, plain.as_bytes()[..kept].to_vec()));
        forms.push((name, url.as_bytes()[..kept].to_vec()));
    };
    for password in [PASSWORD, WRONG] {
        add("password", password.as_bytes());
        add("basic", format!("{USER}:{password}").as_bytes());
    }
    add("key's password", KEY_PASSWORD.as_bytes());
    let lines: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(&lines).unwrap();
    // PKCS #8 of P-256: 36 bytes that all keys have, then the secret number.
    add("key", &der[36..68]);
    forms.push(("key", lines.as_bytes()[48..88].to_vec()));
    forms.push(("key", KEY.lines().nth(1).unwrap().as_bytes().to_vec()));
    forms
}

/// Whose secrets are in it.
fn held(bytes: &[u8]) -> BTreeSet<&'static str> {
    let holds = |form: &[u8]| bytes.windows(form.len()).any(|part| part == form);
    let all = forms().into_iter().filter(|(_, form)| holds(form));
    all.map(|(name, _)| name).collect()
}

/// The command lines of all processes, as long as it is looked at.
struct Watch {
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Watch {
    fn begin() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                for process in std::fs::read_dir("/proc").unwrap().flatten() {
                    let line = std::fs::read(process.path().join("cmdline"));
                    seen.extend(line.ok().filter(|line| !line.is_empty()));
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            seen
        });
        Self { ends, thread }
    }

    fn end(self) -> BTreeSet<Vec<u8>> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Every file of a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Runs a verb with all that it can log, and keeps what it said.
fn loud(house: &House, said: &mut Vec<u8>, arguments: &[&str]) -> i32 {
    let mut command = house.command(arguments);
    command
        .args(["-vv"])
        .env("DARKROOM_LOG", "trace")
        .env("COSIGN_PASSWORD", KEY_PASSWORD);
    let output = command.output().unwrap();
    said.extend(output.stdout);
    said.extend(output.stderr);
    output.status.code().unwrap()
}

#[test]
fn no_password_and_no_key_is_told_anywhere() {
    let Some(registry) = guarded() else { return };
    let house = house(&registry);
    let host = registry.host.as_str();
    wkg(&house, host, "");
    docker(&house, host, PASSWORD);
    let sealed = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../host/registry/tests/fixtures/cosign.key"
    );
    house.write("sealed.key", &std::fs::read_to_string(sealed).unwrap());
    let packages = ["files", "sysctl", "service"]
        .map(|of| package(&house, of, &format!("acme:{of}"), "1.0.0", "first"));
    let watch = Watch::begin();
    let mut said = Vec::new();
    let signed = packages.iter().chain(&packages[..1]);
    for (file, key) in signed.zip(["key.pem", "key.pem", "key.pem", "sealed.key"]) {
        let verb = ["component", "publish", file, "--sign", key];
        assert_eq!(loud(&house, &mut said, &verb), 0);
    }
    trust(&house, "signed");
    let mirror = format!("{host}/mirror/files:1.0.0");
    for verb in [
        ["component", "inspect", "acme:files@1"].as_slice(),
        &["component", "versions", "acme:files", "--json"],
        &["component", "search", "sysctl"],
        &["component", "pull", "acme:files@1", "-o", "got.wasm"],
        &["component", "copy", "acme:files@1.0.0", &mirror],
        &["component", "yank", "acme:service@1.0.0"],
        &["component", "unyank", "acme:service@1.0.0"],
        &["fetch", "t"],
        &["bundle", "t", "-o", "web.tar"],
        &["build", "t", "--json"],
        &["build", "t", "--refresh", "--progress", "json"],
    ] {
        assert_eq!(loud(&house, &mut said, verb), 0, "{verb:?}");
    }
    // What goes wrong tells no more.
    docker(&house, host, WRONG);
    for verb in [
        ["component", "versions", "acme:files"].as_slice(),
        &[
            "component",
            "publish",
            &packages[0],
            "--force",
            "--sign",
            "key.pem",
        ],
        &["component", "pull", "acme:files@1", "-o", "x.wasm"],
    ] {
        assert_eq!(loud(&house, &mut said, verb), 3, "{verb:?}");
    }
    let started = watch.end();

    let logged = String::from_utf8_lossy(&said);
    for wanted in ["TRACE", "DEBUG", "hyper"] {
        assert!(logged.contains(wanted), "nothing of {wanted} is logged");
    }
    assert_eq!(held(&said), BTreeSet::new(), "printed or logged");
    let publishes = |line: &Vec<u8>| line.windows(8).any(|part| part == b"publish\0");
    assert!(started.iter().any(publishes), "the watch saw nothing");
    for line in &started {
        let line = String::from_utf8_lossy(line);
        assert_eq!(held(line.as_bytes()), BTreeSet::new(), "{line}");
    }
    let mut all = Vec::new();
    files(&house.path(""), &mut all);
    let (given, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| {
        let name = path.file_name().unwrap();
        name == "key.pem" || path.ends_with(".docker/config.json")
    });
    for kind in [
        "journal.sqlite",
        "events.ndjson",
        "manifest.json",
        "web.tar",
    ] {
        assert!(kept.iter().any(|path| path.ends_with(kind)), "no {kind}");
    }
    for path in kept {
        let found = held(&std::fs::read(&path).unwrap());
        assert_eq!(found, BTreeSet::new(), "{}", path.display());
    }
    // Where they were put they are found.
    for path in given {
        assert!(!held(&std::fs::read(&path).unwrap()).is_empty());
    }
}
