//! The wrapper around a script: what is really sent with RunCommand.
//!
//! Cloud Assistant merges the two output streams, keeps the last 24 KB and forgets
//! a command whose instance lost power. So each script runs inside a wrapper that
//! leaves a *receipt* in the instance, in a folder of its own:
//!
//! ```text
//! /var/lib/darkroom/<run>/<step path>/<attempt>/
//!     script    the author's script, as written
//!     started   the boot id under which it was started
//!     pid       the process that runs it
//!     log       everything it printed
//!     exit      its exit code; there exactly when it has ended
//! ```
//!
//! Sent again, the wrapper looks before it acts: with `exit` there it prints the log,
//! ends with that code and runs nothing; with `started` only and the process alive it
//! waits for it; else it says 'interrupted' and the caller makes a new attempt in a new
//! folder. Each file is synced before what depends on it, so a power cut at any line
//! leaves one of these three states.
//!
//! **Secrets** come by file, into a folder beside the receipt that the agent's user alone
//! can read: `value-*` holds exports for the shell or a file's text, `mask-*` what must
//! not be in the log. Whoever comes past them removes them: the first attempt when it has
//! read them, a later one whatever it finds, and the clean-up. Where a script was given
//! secrets its log is masked before it leaves the instance, at its end.
//!
//! Everything here is a pure function of its arguments: `plan` shows the very text that
//! `build` sends. The run's id stands in it in one line, or in none where the text is sent
//! by file, so that nothing else depends on the run: no length, no digest. The module
//! knows nothing of ECS; `request` beside it does.

use std::fmt::Write as _;

pub use darkroom_contract::hex;
use sha2::{Digest, Sha256};

use super::windows;

/// Where receipts are kept in the instance. Removed before the image is made.
pub const RECEIPTS: &str = "/var/lib/darkroom";

/// The exit code of a wrapper that found a script started and not ended.
/// It counts only together with the [`Place::interrupted_mark`].
pub const INTERRUPTED_CODE: i32 = 213;

/// One attempt of one step, which is one receipt folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder that holds all receipts; [`RECEIPTS`] in an instance.
    pub root: String,
    /// The run's id, or the word that stands for it in a plan.
    pub run: String,
    /// The step's path, such as `build/1-packages/0`.
    pub step: String,
    /// The attempt, from 1; an attempt after an interruption is `1.2`.
    pub attempt: String,
}

impl Place {
    /// The receipt folder, an absolute path.
    pub fn folder(&self) -> String {
        format!("{}/{}/{}/{}", self.root, self.run, self.step, self.attempt)
    }

    /// The folder of the attempt's secrets, beside the receipt.
    pub fn secrets(&self) -> String {
        format!("{}.secret", self.folder())
    }

    /// The line that a wrapper prints when it finds its script interrupted.
    pub fn interrupted_mark(&self) -> String {
        format!(
            "darkroom: interrupted {}/{}/{}",
            self.run, self.step, self.attempt
        )
    }
}

/// A script and how it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script<'a> {
    /// The text; a first line `#!…` names the program that runs it, else `/bin/sh`.
    pub text: &'a str,
    /// The user; none is `root`.
    pub user: Option<&'a str>,
    /// The working directory; none is the user's home.
    pub directory: Option<&'a str>,
    /// Its arguments, in order.
    pub arguments: &'a [String],
    /// Variables in order; a later one of the same name wins.
    pub environment: &'a [(String, String)],
    /// What has been sent to [`Place::secrets`].
    pub secrets: Secrets,
}

/// What a script is given beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// Nothing.
    #[default]
    None,
    /// Exports of variables.
    Environment,
    /// A file that the script itself reads.
    File,
}

/// One word of the POSIX shell that stands for exactly this text.
///
/// Single quotes take everything but themselves and NUL, which no argument can hold
/// and the contract refuses.
pub fn quote(text: &str) -> String {
    format!("'{}'", escape(text))
}

/// What stands for this text between single quotes.
pub fn escape(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// A wrapped script that still has to be told its run: one of the POSIX shell, or for
/// Windows one of PowerShell (see `windows`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    body: String,
    is_power_shell: bool,
}

impl Wrapped {
    /// A text of PowerShell.
    pub(super) fn power_shell(body: String) -> Self {
        Self {
            body,
            is_power_shell: true,
        }
    }

    /// Whether it is one of PowerShell.
    pub fn is_power_shell(&self) -> bool {
        self.is_power_shell
    }

    /// As a command of its own, for the run with this id.
    pub fn command(&self, run: &str) -> String {
        if self.is_power_shell {
            return format!("$run = {}\n{}", windows::literal(run), self.body);
        }
        format!("#!/bin/sh\nrun={}\n{}", quote(run), self.body)
    }

    /// As a file that is run with the run's id as its argument; the same in every run.
    pub fn file(&self) -> String {
        if self.is_power_shell {
            return format!("$run = $args[0]\n{}", self.body);
        }
        format!("#!/bin/sh\nrun=$1\n{}", self.body)
    }
}

/// The wrapper of `script` at `place`.
pub fn wrap(place: &Place, script: &Script<'_>) -> Wrapped {
    let mut body = String::with_capacity(script.text.len() + 2048);
    let attempt = format!("{}/{}", place.step, place.attempt);
    let _ = writeln!(body, "# darkroom {} {}", place.step, place.attempt);
    let _ = writeln!(
        body,
        "d={}/\"$run\"/{}",
        quote(&place.root),
        quote(&attempt)
    );
    let _ = writeln!(body, "mark={INTERRUPTED_MARK}\"$run\"/{}", quote(&attempt));
    let forget = match script.secrets {
        Secrets::None => "",
        Secrets::Environment | Secrets::File => "rm -rf \"$d.secret\"; ",
    };
    body.push_str(
        &LOOK_FIRST
            .replace("@CODE@", &INTERRUPTED_CODE.to_string())
            .replace("@FORGET@", forget),
    );
    if script.secrets == Secrets::Environment {
        body.push_str(TAKE_SECRETS);
    }
    push_script(&mut body, script.text);
    body.push_str("begin() {\n");
    push_beginning(&mut body, script);
    body.push_str("}\n");
    body.push_str(RUN);
    body.push_str(match script.secrets {
        Secrets::None => STREAM,
        Secrets::Environment => MASK,
        Secrets::File => "wait \"$pid\"; code=$?\nrm -rf \"$d.secret\"\ncat \"$d/log\"\n",
    });
    body.push_str(RECEIPT);
    Wrapped {
        body,
        is_power_shell: false,
    }
}

/// How the line of an interrupted script begins.
const INTERRUPTED_MARK: &str = "'darkroom: interrupted '";

/// What came of an earlier attempt, before anything is done. The pid is written a moment
/// after `started`, and an empty one is as none. The folders down to the receipt can be
/// passed by everybody and listed by nobody: a script that runs as another user must
/// reach its file.
const LOOK_FIRST: &str = r#"boot=$(cat /proc/sys/kernel/random/boot_id)
ended() { @FORGET@cat "$d/log"; exit "$(cat "$d/exit")"; }
interrupted() { @FORGET@printf '%s\n' "$mark"; exit @CODE@; }
if [ -f "$d/exit" ]; then ended; fi
if [ -f "$d/started" ]; then
  if [ "$(cat "$d/started")" = "$boot" ]; then
    tries=0
    while [ ! -s "$d/pid" ] && [ "$tries" -lt 10 ]; do sleep 0.2; tries=$((tries + 1)); done
    while kill -0 "$(cat "$d/pid" 2>/dev/null)" 2>/dev/null; do sleep 0.2; done
    tries=0
    while [ ! -f "$d/exit" ] && [ "$tries" -lt 10 ]; do sleep 0.2; tries=$((tries + 1)); done
    if [ -f "$d/exit" ]; then ended; fi
  fi
  interrupted
fi
old=$(umask); umask 066; mkdir -p "$d" || exit 1
umask 077
"#;

/// Takes the secrets into variables that no other process sees, and removes their files.
const TAKE_SECRETS: &str = r#"unset values masks
values=$(cat "$d.secret"/value-*) && masks=$(cat "$d.secret"/mask-*) ||
  { echo 'darkroom: the secrets did not arrive'; exit 1; }
rm -rf "$d.secret"
"#;

/// Runs `begin`. The log is appended to, so that whoever opens it again by `/dev/stderr`
/// writes over nobody's lines. A `sync` before coreutils 8.24 syncs everything and says
/// that it ignores its arguments, which is none of the script's output.
const RUN: &str = r#"printf '%s\n' "$boot" > "$d/started" && : > "$d/log" && sync "$d/started" "$d" 2>/dev/null ||
  { echo "darkroom: the receipt in $d can't be written"; exit 1; }
umask "$old"
begin >> "$d/log" 2>&1 < /dev/null &
pid=$!
printf '%s\n' "$pid" > "$d/pid"
"#;

/// Streams the log. `tail --pid` ends by itself when the script has ended, even if a
/// daemon of it still holds the log open; where tail can't do that (busybox), the log is
/// printed at the end.
const STREAM: &str = r#"if tail --help 2>/dev/null | grep -q -e '--pid'; then
  tail -f -s 0.05 -c +1 --pid="$pid" "$d/log" 2>/dev/null &
  follow=$!
else
  follow=
fi
wait "$pid"; code=$?
if [ -n "$follow" ]; then wait "$follow"; else cat "$d/log"; fi
"#;

/// Prints the log at its end, when it can be masked: what to look for comes by a
/// here-document, which is in nobody's arguments. Not while it grows: one awk reads its
/// input in blocks of its own, and another knows no other way.
const MASK: &str = r#"wait "$pid"; code=$?
LC_ALL=C awk '
NR == FNR { if ($0 != "") hide[++n] = $0; next }
{ line = $0
  for (i = 1; i <= n; i++) {
    out = ""
    while ((at = index(line, hide[i])) > 0) {
      out = out substr(line, 1, at - 1) "***"
      line = substr(line, at + length(hide[i]))
    }
    line = out line
  }
  print line }' - "$d/log" > "$d/log.new" <<DARKROOM_MASKS || echo 'darkroom: the output is not shown: it holds secrets, and awk is missing' > "$d/log.new"
$masks
DARKROOM_MASKS
mv "$d/log.new" "$d/log"
cat "$d/log"
"#;

/// Leaves the receipt.
const RECEIPT: &str = r#"printf '%s\n' "$code" > "$d/exit.new" && sync "$d/log" "$d/exit.new" 2>/dev/null && mv "$d/exit.new" "$d/exit" && sync "$d" 2>/dev/null
exit "$code"
"#;

/// Writes the script to its file through a here-document, whose end mark is derived
/// from the text and lengthened until the text doesn't hold it.
fn push_script(text: &mut String, script: &str) {
    let digest = hex(&Sha256::digest(script.as_bytes()));
    let mut length = 12;
    let mut mark = format!("END_{}", &digest[..length]);
    while script.contains(&mark) && length < digest.len() {
        length += 4;
        mark = format!("END_{}", &digest[..length]);
    }
    let _ = writeln!(text, "cat > \"$d/script\" <<'{mark}' || exit 1");
    text.push_str(script);
    if !script.ends_with('\n') {
        text.push('\n');
    }
    let _ = writeln!(text, "{mark}\nchmod 700 \"$d/script\"");
}

/// The body of `begin`: user, environment, directory, then the script in the place of
/// the shell. After the environment no variable of the wrapper is read: the author may
/// have named one alike.
fn push_beginning(text: &mut String, script: &Script<'_>) {
    let secrets = script.secrets == Secrets::Environment;
    text.push_str("  set --");
    if secrets {
        text.push_str(" \"$values\"");
    }
    text.push_str(" \"$d/script\"");
    for argument in script.arguments {
        let _ = write!(text, " {}", quote(argument));
    }
    text.push('\n');
    let user = script.user.filter(|user| *user != "root");
    if let Some(user) = user {
        let quoted = quote(user);
        let _ = writeln!(
            text,
            "  user={quoted}\n  chown \"$user\" \"$d/script\" \"$d/log\" || exit 1\n  HOME=$(getent passwd \"$user\" | cut -d: -f6); USER=$user; LOGNAME=$user; export HOME USER LOGNAME"
        );
    } else {
        text.push_str("  HOME=/root; USER=root; LOGNAME=root; export HOME USER LOGNAME\n");
    }
    for (name, value) in script.environment {
        let _ = writeln!(text, "  export {name}={}", quote(value));
    }
    if secrets {
        text.push_str("  eval \"$1\"\n  shift\n");
    }
    match script.directory {
        Some(directory) => {
            let _ = writeln!(text, "  cd {} || exit 1", quote(directory));
        }
        None => text.push_str("  cd \"$HOME\" 2>/dev/null || cd /\n"),
    }
    let run = if script.text.starts_with("#!") {
        "\"$@\""
    } else {
        "/bin/sh \"$@\""
    };
    match user {
        Some(user) => {
            let _ = writeln!(text, "  exec runuser -u {} -- {run}", quote(user));
        }
        None => {
            let _ = writeln!(text, "  exec {run}");
        }
    }
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    use super::*;

    fn place(root: &Path) -> Place {
        Place {
            root: root.to_str().unwrap().into(),
            run: "run".into(),
            step: "build/1-shell/0".into(),
            attempt: "1".into(),
        }
    }

    /// Runs a wrapper as the agent does: by `sh` from a file.
    fn run(root: &Path, text: &str) -> Output {
        let file = root.join("command");
        std::fs::write(&file, text).unwrap();
        Command::new("sh")
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn wrapped(root: &Path, text: &str) -> Output {
        let script = Script {
            text,
            directory: Some("/"),
            ..Script::default()
        };
        run(root, &wrap(&place(root), &script).command("run"))
    }

    #[test]
    fn output_and_exit_code_are_the_scripts_own() {
        let root = tempfile::tempdir().unwrap();
        let out = wrapped(root.path(), "echo one; echo two >&2; printf three; exit 7");
        assert_eq!(out.status.code(), Some(7));
        assert_eq!(out.stdout, b"one\ntwo\nthree");
        assert_eq!(out.stderr, b"");
        let folder = root.path().join("run/build/1-shell/0/1");
        assert_eq!(std::fs::read_to_string(folder.join("exit")).unwrap(), "7\n");
        assert_eq!(
            std::fs::read(folder.join("log")).unwrap(),
            b"one\ntwo\nthree"
        );
    }

    #[test]
    fn sent_again_it_prints_the_receipt_and_runs_nothing() {
        let root = tempfile::tempdir().unwrap();
        let marker = root.path().join("marker");
        let text = format!("echo ran; echo x >> {}; exit 3", marker.display());
        for _ in 0..3 {
            let out = wrapped(root.path(), &text);
            assert_eq!(
                (out.status.code(), &out.stdout[..]),
                (Some(3), &b"ran\n"[..])
            );
        }
        assert_eq!(std::fs::read_to_string(marker).unwrap(), "x\n");
    }

    #[test]
    fn a_started_script_of_another_boot_is_interrupted() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run/build/1-shell/0/1");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("started"), "another boot\n").unwrap();
        let out = wrapped(root.path(), "echo never");
        assert_eq!(out.status.code(), Some(INTERRUPTED_CODE));
        let mark = place(root.path()).interrupted_mark();
        assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("{mark}\n"));
    }

    #[test]
    fn sent_again_while_it_runs_it_waits() {
        let root = tempfile::tempdir().unwrap();
        let marker = root.path().join("marker");
        let script = format!("echo x >> {}; sleep 0.5; echo done", marker.display());
        let text = wrap(
            &place(root.path()),
            &Script {
                text: &script,
                ..Script::default()
            },
        );
        // As it is sent by file.
        let file = root.path().join("command");
        std::fs::write(&file, text.file()).unwrap();
        let start = || {
            Command::new("sh")
                .arg(&file)
                .arg("run")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let first = start();
        while !marker.exists() {
            std::thread::yield_now();
        }
        let second = start();
        for child in [first, second] {
            let out = child.wait_with_output().unwrap();
            assert_eq!(
                (out.status.code(), &out.stdout[..]),
                (Some(0), &b"done\n"[..])
            );
        }
        assert_eq!(std::fs::read_to_string(marker).unwrap(), "x\n");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test is not replayed")]
    fn a_daemon_that_holds_the_log_does_not_hold_the_step() {
        let root = tempfile::tempdir().unwrap();
        let before = std::time::Instant::now();
        let out = wrapped(root.path(), "sleep 20 & echo started");
        assert_eq!(out.stdout, b"started\n");
        assert!(before.elapsed().as_secs() < 10);
    }

    #[test]
    fn nothing_but_one_line_depends_on_the_run() {
        let script = Script {
            text: "echo",
            ..Script::default()
        };
        let place = |run: &str| Place {
            run: run.into(),
            ..place(Path::new("/x"))
        };
        let (one, other) = (wrap(&place("0-1"), &script), wrap(&place("RUN"), &script));
        assert_eq!(one, other);
        assert_eq!(one.command("0-1").matches("0-1").count(), 1);
        assert_eq!(one.command("0-1").replace("0-1", "RUN"), one.command("RUN"));
    }

    #[test]
    fn hostile_values_arrive_unchanged() {
        let root = tempfile::tempdir().unwrap();
        let value = "it's \"q\" $(id) `id` \\ \n * ? é 镜像 ; & | > < # ~ !\t";
        let environment = [("VALUE".to_owned(), value.to_owned())];
        let script = Script {
            text: "printf '%s' \"$VALUE\"",
            environment: &environment,
            ..Script::default()
        };
        let text = wrap(&place(root.path()), &script).command("run");
        let out = run(root.path(), &text);
        assert_eq!(String::from_utf8(out.stdout).unwrap(), value);
    }

    #[test]
    fn secrets_reach_the_script_alone_and_leave_nothing() {
        let root = tempfile::tempdir().unwrap();
        let secret = "it's \"q\"\n$(id) `id` \\ end";
        let plain = [("A".to_owned(), "plain".to_owned())];
        let text = "printf '%s|%s' \"$KEY\" \"$A\" > \"$OUT\"; echo \"is $KEY.\"; env >&2; exit 4";
        let script = Script {
            text,
            environment: &plain,
            secrets: Secrets::Environment,
            ..Script::default()
        };
        let place = place(root.path());
        let out = root.path().join("out");
        let send = || {
            std::fs::create_dir_all(place.secrets()).unwrap();
            let exports = format!(
                "export KEY={}\nexport OUT={}\n",
                quote(secret),
                quote(out.to_str().unwrap())
            );
            // As if it had been longer than a slice.
            let (one, two) = exports.split_at(20);
            for (name, text) in [("value-000000", one), ("value-000001", two)] {
                std::fs::write(format!("{}/{name}", place.secrets()), text).unwrap();
            }
            let masks = "$(id) `id` \\ end\nit's \"q\"";
            std::fs::write(format!("{}/mask-000000", place.secrets()), masks).unwrap();
        };
        send();
        let wrapped = wrap(&place, &script).command("run");
        let first = run(root.path(), &wrapped);
        let said = String::from_utf8(first.stdout).unwrap();
        assert!(said.starts_with("is ***\n***.\n"), "{said}");
        assert!(said.contains("KEY=***\n***\n"), "{said}");
        assert_eq!((first.status.code(), first.stderr), (Some(4), Vec::new()));
        assert_eq!(
            std::fs::read_to_string(&out).unwrap(),
            format!("{secret}|plain")
        );
        assert!(!Path::new(&place.secrets()).exists());
        // The receipt has no more than what was said, and what is sent again goes.
        send();
        let again = run(root.path(), &wrapped);
        assert_eq!(String::from_utf8(again.stdout).unwrap(), said);
        assert!(!Path::new(&place.secrets()).exists());
        // A power cut at the moment at which they were there.
        let folder = place.folder();
        std::fs::remove_file(format!("{folder}/exit")).unwrap();
        std::fs::write(format!("{folder}/started"), "another boot").unwrap();
        send();
        let cut = run(root.path(), &wrapped);
        assert_eq!(cut.status.code(), Some(INTERRUPTED_CODE));
        assert!(!Path::new(&place.secrets()).exists());
        // They never came.
        std::fs::remove_dir_all(&folder).unwrap();
        let lost = run(root.path(), &wrapped);
        assert_eq!(lost.status.code(), Some(1));
        assert!(
            String::from_utf8(lost.stdout)
                .unwrap()
                .contains("did not arrive")
        );
    }

    #[test]
    fn variables_named_like_the_wrappers_own_change_nothing() {
        let root = tempfile::tempdir().unwrap();
        let names = ["d", "run", "user", "pid", "code", "boot", "mark", "old"];
        let environment = names.map(|name| (name.to_owned(), "/nowhere".to_owned()));
        let script = Script {
            text: "echo \"$d $user $mark\"; exit 5",
            environment: &environment,
            ..Script::default()
        };
        let text = wrap(&place(root.path()), &script).command("run");
        for _ in 0..2 {
            let out = run(root.path(), &text);
            assert_eq!(
                (out.status.code(), &out.stdout[..]),
                (Some(5), &b"/nowhere /nowhere /nowhere\n"[..])
            );
        }
    }

    /// Only root can become somebody else.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn another_user_reaches_its_script_and_the_log() {
        let root = tempfile::tempdir().unwrap();
        if std::os::unix::fs::MetadataExt::uid(&root.path().metadata().unwrap()) != 0 {
            eprintln!("not run: it needs root");
            return;
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(root.path(), open).unwrap();
        let script = Script {
            text: "echo \"$(id -un)\"; echo again >> /dev/stderr",
            user: Some("nobody"),
            directory: Some("/"),
            ..Script::default()
        };
        // The receipts' own root is made by the wrapper, as in an instance.
        let text = wrap(&place(&root.path().join("receipts")), &script);
        let out = run(root.path(), &text.command("run"));
        assert_eq!(
            String::from_utf8_lossy(&out.stdout),
            "nobody\nagain\n",
            "{out:?}"
        );
    }

    #[test]
    fn a_first_line_names_the_program_and_the_text_cannot_end_the_document() {
        let root = tempfile::tempdir().unwrap();
        let out = wrapped(root.path(), "#!/usr/bin/env -S cat\nEND_\n'\"$(id)\n");
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.ends_with("END_\n'\"$(id)\n"), "{text}");
    }

    #[test]
    fn ten_megabytes_pass_whole_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let out = wrapped(root.path(), "seq 1 1400000");
        assert_eq!(out.stdout.len(), 10_088_896);
        assert!(out.stdout.ends_with(b"1399999\n1400000\n"));
    }
}
