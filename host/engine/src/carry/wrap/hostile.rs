//! Hostile values in every place of a wrapper that takes one, run by this machine's
//! `/bin/sh`: what a script gets is what was given, to the byte.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// What has broken quoting before, somewhere.
const HOSTILE: [&str; 22] = [
    "",
    " ",
    "'",
    "'\\''",
    "\"",
    "\\",
    "it's \"q\" $(id) `id` $HOME ${x} \\ * ? [a] {a,b} ~ ; & | < > # !",
    "$(touch /tmp/darkroom-escaped)",
    "`touch /tmp/darkroom-escaped`",
    "';touch /tmp/darkroom-escaped;'",
    "\n",
    "a\nb",
    "ends with newlines\n\n",
    "a\r\nb\r",
    "%PATH% !x! ^",
    "\t\x0b\x7f\x1b[31m",
    "é 镜像 😀 \u{feff}\u{2019}",
    "-n",
    "--",
    "-e \\t",
    "END_",
    "EOF\nEOF\n",
];

fn place(root: &Path) -> Place {
    Place {
        root: root.to_str().unwrap().into(),
        run: "run".into(),
        step: "build/1-shell/0".into(),
        attempt: "1".into(),
    }
}

/// What a script that prints its values, each with a NUL after it, is given.
fn given(script: &Script<'_>) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let text = wrap(&place(root.path()), script).command("run");
    let file = root.path().join("command");
    std::fs::write(&file, text).unwrap();
    let mut sh = Command::new("/bin/sh");
    let out = sh.arg(&file).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    let mut values: Vec<_> = text.split('\0').map(ToOwned::to_owned).collect();
    assert_eq!(values.pop().as_deref(), Some(""), "it ends with a NUL");
    values
}

fn values() -> Vec<String> {
    let long = "it's \"long\" $(id)\n".repeat(3700) + "\n";
    assert!(long.len() > 64 << 10);
    let all = HOSTILE.into_iter().map(ToOwned::to_owned);
    all.chain([long]).collect()
}

#[test]
fn arguments_arrive_unchanged() {
    let arguments = values();
    for text in [
        "printf '%s\\0' \"$@\"",
        "#!/bin/sh\nprintf '%s\\0' \"$@\"\n",
    ] {
        let script = Script {
            text,
            arguments: &arguments,
            directory: Some("/"),
            ..Script::default()
        };
        assert_eq!(given(&script), arguments);
    }
}

#[test]
fn variables_arrive_unchanged() {
    let values = values();
    let names = (0..values.len()).map(|n| format!("V{n}"));
    let environment: Vec<_> = names.zip(values.iter().cloned()).collect();
    let all: Vec<_> = environment
        .iter()
        .map(|(name, _)| format!("\"${name}\""))
        .collect();
    let script = Script {
        text: &format!("printf '%s\\0' {}", all.join(" ")),
        environment: &environment,
        directory: Some("/"),
        ..Script::default()
    };
    assert_eq!(given(&script), values);
}

#[test]
fn a_script_and_its_directory_arrive_unchanged() {
    let root = tempfile::tempdir().unwrap();
    for value in HOSTILE.into_iter().filter(|value| !value.contains('/')) {
        // A folder that only this value can name.
        let folder: PathBuf = root.path().join(format!("-{value}"));
        std::fs::create_dir_all(&folder).unwrap();
        let directory = folder.to_str().unwrap();
        let text = format!("printf '%s\\0' \"$(pwd; echo .)\"\n: '{}'", escape(value));
        let script = Script {
            text: &text,
            directory: Some(directory),
            ..Script::default()
        };
        assert_eq!(given(&script), [format!("{directory}\n.")]);
    }
    assert!(!Path::new("/tmp/darkroom-escaped").exists());
}

/// A name of a user stands in `chown`, `getent` and `runuser`; whoever it is, nothing else
/// is run.
#[test]
fn a_user_that_does_not_exist_is_refused_and_nothing_is_run() {
    let root = tempfile::tempdir().unwrap();
    for user in [
        "$(touch escaped)",
        "a'; touch escaped; '",
        "`touch escaped`",
        "no such",
    ] {
        let script = Script {
            text: "touch escaped",
            user: Some(user),
            directory: Some(root.path().to_str().unwrap()),
            ..Script::default()
        };
        let text = wrap(&place(&root.path().join("receipts")), &script).command("run");
        let mut sh = Command::new("/bin/sh");
        let sh = sh.arg("-c").arg(text).current_dir(root.path());
        assert!(!sh.output().unwrap().status.success(), "{user}");
        assert!(!root.path().join("escaped").exists(), "{user}");
        std::fs::remove_dir_all(root.path().join("receipts")).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_values_arrive(arguments in prop::collection::vec("(?s)[^\0]{0,40}", 0..40)) {
        let environment = [("FIRST".to_owned(), arguments.concat())];
        let script = Script {
            text: "printf '%s\\0' \"$FIRST\" \"$@\"",
            arguments: &arguments,
            environment: &environment,
            directory: Some("/"),
            ..Script::default()
        };
        let given = given(&script);
        prop_assert_eq!(&given[0], &arguments.concat());
        prop_assert_eq!(&given[1..], &arguments);
    }
}
