//! From a step to what is sent for it: pure functions, so that `plan` and `build` can't
//! differ.
//!
//! A script is one RunCommand, wrapped (see [`super::wrap`]). A file is slices sent with
//! SendFile and one wrapped script that puts it together, checks it and renames it into
//! place. A download and a collected file are wrapped scripts. What doesn't fit into one
//! command (24 KB after base64) goes by file first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::secret::Marker;
use darkroom_contract::{FileContent, Language, Step, StepKind};
use darkroom_ecs::action::{CommandType, ContentEncoding, RunCommand, Tag};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_journal::RunId;

use sha2::{Digest, Sha256};

use super::windows;
use super::wrap::{Place, RECEIPTS, Script, Secrets, Wrapped, hex, quote, wrap};
use crate::operation::SecretForm;
use crate::tags;

/// Bytes of a script that fit into one RunCommand: 24 KB after base64.
pub const COMMAND_LIMIT: usize = 18 << 10;

/// Bytes of a slice: 32 KB after base64, which is what SendFile takes.
pub const SLICE: u64 = 24 << 10;

/// Where a step is carried out.
#[derive(Clone, Debug)]
pub struct Target {
    /// The region of the instance.
    pub region: RegionId,
    /// The instance.
    pub instance: InstanceId,
    /// The run.
    pub run: RunId,
}

/// A RunCommand of `content` on the target, named `name` for people.
pub fn command(target: &Target, name: &str, content: &str, timeout_seconds: u32) -> RunCommand {
    RunCommand {
        region_id: target.region.clone(),
        r#type: CommandType::Shell,
        command_content: STANDARD.encode(content),
        content_encoding: Some(ContentEncoding::Base64),
        instance_id: vec![target.instance.clone()],
        name: Some(name.chars().take(100).collect()),
        timeout: Some(timeout_seconds.into()),
        termination_mode: Some("ProcessTree".into()),
        tag: vec![Tag {
            key: tags::RUN.into(),
            value: target.run.to_string(),
        }],
        ..RunCommand::default()
    }
}

/// The first attempt's place of a step.
pub fn place(run: &str, step: &str, attempt: &str) -> Place {
    Place {
        root: RECEIPTS.into(),
        run: run.into(),
        step: step.into(),
        attempt: attempt.into(),
    }
}

/// The folder that the slices of a step's file are sent to, the same for all attempts.
pub fn slice_folder(place: &Place) -> String {
    format!("{}/{}/{}/parts", place.root, place.run, place.step)
}

/// The line that holds a run's id is not longer than this.
const RUN_LINE: usize = 100;

/// How a wrapped script reaches the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// What is sent by file first, and to which folder; none where it fits into the
    /// command.
    pub file: Option<(String, String)>,
    /// The command.
    pub command: String,
}

/// How `wrapped` reaches the instance at `place`. The same in every run: what is sent by
/// file does not hold the run's id, nor does its length decide.
pub fn parcel(place: &Place, wrapped: &Wrapped) -> Parcel {
    let file = wrapped.file();
    if file.len() + RUN_LINE <= COMMAND_LIMIT {
        return Parcel {
            file: None,
            command: wrapped.command(&place.run),
        };
    }
    if wrapped.is_power_shell() {
        let folder = windows::command_folder(place);
        return Parcel {
            command: windows::joined(&folder, &place.run),
            file: Some((file, folder)),
        };
    }
    let folder = format!("{}.command", place.folder());
    Parcel {
        command: format!(
            "cd {} && cat [0-9]* > command-$$ && exec /bin/sh command-$$ {}\n",
            quote(&folder),
            quote(&place.run)
        ),
        file: Some((file, folder)),
    }
}

/// The name of the `index`th slice; names sort in the order of the slices.
pub fn slice_name(index: u64) -> String {
    format!("{index:06}")
}

/// The wrapped text of a step's one command; none for a reboot, which has none.
/// `sent` is what has been sent for a file.
pub fn wrapped(step: &Step, place: &Place, sent: Option<&Sent>) -> Option<Wrapped> {
    let text = match &step.kind {
        StepKind::Shell { language, script } => {
            let open = step.environment.iter();
            let open: Vec<_> = open
                .filter(|(_, value)| !is_secret(value))
                .cloned()
                .collect();
            let script = Script {
                text: script,
                user: step.run_as.as_deref(),
                directory: step.directory.as_deref(),
                arguments: &step.arguments,
                secrets: if open.len() < step.environment.len() {
                    Secrets::Environment
                } else {
                    Secrets::None
                },
                environment: &open,
            };
            return Some(match language {
                Language::Sh => wrap(place, &script),
                Language::PowerShell | Language::Cmd => windows::wrap(place, &script, *language),
            });
        }
        StepKind::Write {
            path,
            content: FileContent::Text(text),
        } if is_secret(text) => {
            let text = assemble_secret(path, step, place);
            return Some(wrap(
                place,
                &Script {
                    text: &text,
                    secrets: Secrets::File,
                    ..Script::default()
                },
            ));
        }
        StepKind::Write { path, .. } => match sent {
            Some(sent) if sent.folder => unpack(path, step, place, sent),
            Some(sent) => assemble(path, step, place, sent),
            None => return None,
        },
        StepKind::Download {
            path,
            address,
            sha256,
        } => download(path, address, sha256, step, place),
        StepKind::Collect { path, limit } => collect(path, *limit),
        StepKind::Reboot => return None,
    };
    Some(wrap(
        place,
        &Script {
            text: &text,
            ..Script::default()
        },
    ))
}

fn is_secret(text: &str) -> bool {
    !Marker::find(text).is_empty()
}

/// What must be sent to [`Place::secrets`] before each attempt of a step, with markers
/// in the place of the values; none for a step without secrets.
pub fn secrets(step: &Step) -> Option<(SecretForm, String)> {
    match &step.kind {
        StepKind::Shell { .. } => {
            let secret = step
                .environment
                .iter()
                .filter(|(_, value)| is_secret(value));
            let lines: Vec<_> = secret
                .map(|(name, value)| format!("export {name}={}\n", quote(value)))
                .collect();
            let text = lines.concat();
            (!text.is_empty()).then_some((SecretForm::Environment, text))
        }
        StepKind::Write {
            content: FileContent::Text(text),
            ..
        } if is_secret(text) => Some((SecretForm::Text, text.clone())),
        _ => None,
    }
}

/// What was sent for a file: its digest, and whether it is the archive of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Lower-case hexadecimal SHA-256 of the bytes.
    pub sha256: String,
    /// How many bytes.
    pub size: u64,
    /// Whether they are a tar archive to be unpacked at the path.
    pub folder: bool,
}

/// Variables that the scripts below begin with. `new` is beside the target, so that the
/// last move is a rename, and readable by root alone until it has its mode. It goes when
/// the script ends, however that is.
fn beginning(path: &str, place: &Place) -> String {
    format!(
        "set -eu\npath={}\nfolder=${{path%/*}}\nnew=\"$folder/{}\"\nmkdir -p \"$folder/\"\n[ ! -d \"$path\" ] || {{ echo \"$path is a folder\"; exit 1; }}\n{UNTIL_THE_END}umask 077\n",
        quote(path),
        draft(place),
    )
}

/// Removes the draft also where a command fails.
const UNTIL_THE_END: &str = "trap 'rm -f \"$new\"' EXIT\n";

/// The name of a step's draft, the same in each attempt: what a power cut left of one is
/// overwritten by the next, and doesn't get into the image.
fn draft(place: &Place) -> String {
    let digest = hex(&Sha256::digest(place.step.as_bytes()));
    format!(".darkroom-{}", &digest[..12])
}

/// Owner, mode and the move into place.
fn ending(step: &Step) -> String {
    let mode = step.mode.unwrap_or(0o644);
    let owner = step.owner.as_deref().unwrap_or("root");
    format!(
        "chown {} \"$new\"\nchmod {mode:o} \"$new\"\nsync \"$new\"\nmv -f \"$new\" \"$path\"\n",
        quote(owner)
    )
}

/// The digest of standard input: with a file's name it would be a line in which a name
/// with a line break or a backslash is written in another way.
fn check_digest(sha256: &str) -> String {
    format!(
        "[ \"$(sha256sum < \"$new\" | cut -c 1-64)\" = {} ] || {{ rm -f \"$new\"; echo \"$path: the content that arrived is not what was sent\"; exit 1; }}\n",
        quote(sha256)
    )
}

/// The slices lie beside the receipt folder of the attempt whose script this is.
fn join(sent: &Sent) -> &'static str {
    if sent.size == 0 {
        return ": > \"$new\"\n";
    }
    "cat \"$(dirname \"$0\")\"/../parts/[0-9]* > \"$new\"\n"
}

fn assemble(path: &str, step: &Step, place: &Place, sent: &Sent) -> String {
    format!(
        "{}{}{}{}",
        beginning(path, place),
        join(sent),
        check_digest(&sent.sha256),
        ending(step)
    )
}

/// A file with secrets in it. Its digest comes with it, not in the command: whoever has
/// the digest of a short secret can find the secret.
fn assemble_secret(path: &str, step: &Step, place: &Place) -> String {
    format!(
        "{}secret=\"$(dirname \"$0\")\".secret\ncat \"$secret\"/value-* > \"$new\"\necho \"$(cat \"$secret\"/digest-*)  $new\" | sha256sum -c --status || {{ echo \"$path: the content that arrived is not what was sent\"; exit 1; }}\n{}",
        beginning(path, place),
        ending(step)
    )
}

/// The folder may have been there, with files of others in it: only what the archive
/// holds gets the owner, and the folder itself where it is new.
fn unpack(path: &str, step: &Step, place: &Place, sent: &Sent) -> String {
    let owner = quote(step.owner.as_deref().unwrap_or("root"));
    // Unpacked by root, it is root's already.
    let give_away = match &step.owner {
        None => String::new(),
        Some(_) => format!(
            "tar -t -f \"$new\" | while IFS= read -r name; do\n  while [ \"$name\" != . ]; do\n    chown -h {owner} \"$path/$name\"\n    name=$(dirname \"$name\")\n  done\ndone\n"
        ),
    };
    format!(
        "set -eu\npath={}\n[ -d \"$path\" ] || {{ mkdir -p \"$path\"; chown {owner} \"$path\"; }}\nnew=$path/{}\n{UNTIL_THE_END}{}{}tar -x -f \"$new\" -C \"$path\" --no-same-owner\n{give_away}",
        quote(path),
        draft(place),
        join(sent),
        check_digest(&sent.sha256),
    )
}

fn download(path: &str, address: &str, sha256: &str, step: &Step, place: &Place) -> String {
    format!(
        "{}address={}\nif command -v curl >/dev/null; then curl -fsSL --retry 3 -o \"$new\" \"$address\"\nelif command -v wget >/dev/null; then wget -q -O \"$new\" \"$address\"\nelse echo 'neither curl nor wget is installed'; exit 1; fi\n{}{}",
        beginning(path, place),
        quote(address),
        check_digest(sha256),
        ending(step)
    )
}

fn collect(path: &str, limit: u64) -> String {
    format!(
        "path={}\n[ -f \"$path\" ] || {{ echo \"$path is no file\"; exit 1; }}\nsize=$(wc -c < \"$path\")\n[ \"$size\" -le {limit} ] || {{ echo \"$path has $size bytes, more than {limit}\"; exit 1; }}\n",
        quote(path)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_fits_into_sendfile_and_a_command_into_runcommand() {
        let slice = usize::try_from(SLICE).unwrap();
        assert_eq!(STANDARD.encode(vec![0; slice]).len(), 32 << 10);
        assert_eq!(STANDARD.encode(vec![0; COMMAND_LIMIT]).len(), 24 << 10);
        assert!(slice_name(9) < slice_name(10));
    }

    #[test]
    fn what_does_not_fit_goes_by_file_whatever_the_run_is_called() {
        let parcel = |run: &str, length: usize| {
            let place = place(run, "build/1-run/0", "1");
            let text = "x".repeat(length);
            let script = Script {
                text: &text,
                ..Script::default()
            };
            parcel(&place, &wrap(&place, &script))
        };
        let mut by_file = 0;
        for length in (COMMAND_LIMIT - 3000)..COMMAND_LIMIT {
            let (short, long) = (parcel("RUN", length), parcel(&"r".repeat(60), length));
            assert!(long.command.len() <= COMMAND_LIMIT);
            let content = |parcel: &Parcel| parcel.file.as_ref().map(|(text, _)| text.clone());
            assert_eq!(content(&short), content(&long));
            by_file += usize::from(short.file.is_some());
        }
        assert!((1..3000).contains(&by_file), "{by_file}");
    }

    #[test]
    fn secrets_are_in_no_command() {
        let marker = Marker::of("db");
        let kind = StepKind::Shell {
            language: Language::Sh,
            script: "true".into(),
        };
        let mut run = Step::new(0, "run", kind);
        run.environment = vec![
            ("OPEN".into(), "it's".into()),
            ("KEY".into(), format!("it's {marker}")),
        ];
        let path = "/etc/key".into();
        let content = FileContent::Text(format!("key = {marker}"));
        let write = Step::new(0, "write", StepKind::Write { path, content });
        let place = place("run", "build/1-run/0", "1");
        for step in [&run, &write] {
            let text = wrapped(step, &place, None).unwrap().command("run");
            assert!(
                !text.contains("darkroom-secret:") && !text.contains("KEY"),
                "{text}"
            );
        }
        assert!(
            wrapped(&run, &place, None)
                .unwrap()
                .command("run")
                .contains("export OPEN")
        );
        let exports = format!("export KEY='it'\\''s {marker}'\n");
        assert_eq!(secrets(&run), Some((SecretForm::Environment, exports)));
        let text = format!("key = {marker}");
        assert_eq!(secrets(&write), Some((SecretForm::Text, text)));
        run.environment.pop();
        assert_eq!(secrets(&run), None);
    }

    /// The scripts are run for real, on files of this test's own.
    #[test]
    fn a_file_is_put_together_checked_and_moved() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let place = Place {
            root: root.path().to_str().unwrap().into(),
            ..place("run", "build/0-files/0", "1")
        };
        let parts = slice_folder(&place);
        std::fs::create_dir_all(&parts).unwrap();
        for (index, text) in ["one ", "two"].iter().enumerate() {
            std::fs::write(format!("{parts}/{}", slice_name(index as u64)), text).unwrap();
        }
        let target = root.path().join("it's a/new folder/file");
        let mut step = Step::new(
            0,
            "file",
            StepKind::Write {
                path: target.to_str().unwrap().into(),
                content: FileContent::Text("one two".into()),
            },
        );
        step.mode = Some(0o4750);
        // SHA-256 of "one two".
        let sha256 = hex(&Sha256::digest("one two"));
        let mut sent = Sent {
            sha256: "0".repeat(64),
            size: 7,
            folder: false,
        };
        std::fs::create_dir_all(place.folder()).unwrap();
        let run = |text: &str| {
            let file = format!("{}/script", place.folder());
            std::fs::write(&file, text).unwrap();
            std::process::Command::new("sh").arg(file).output().unwrap()
        };
        let StepKind::Write { path, .. } = &step.kind else {
            unreachable!()
        };
        let wrong = run(&assemble(path, &step, &place, &sent));
        assert!(!wrong.status.success() && !target.exists());
        sent.sha256 = sha256;
        // chown needs root; without it the script must fail before the move.
        let right = run(&assemble(path, &step, &place, &sent));
        if right.status.success() {
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "one two");
            assert_eq!(
                target.metadata().unwrap().permissions().mode() & 0o7777,
                0o4750
            );
        } else {
            assert!(!target.exists());
        }
        // Nothing of the drafts stays, whether it went well or not.
        let left = std::fs::read_dir(target.parent().unwrap()).unwrap();
        let left = left.filter(|entry| entry.as_ref().unwrap().path() != target);
        assert_eq!(left.count(), 0);
    }

    /// Only root can give files away.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn a_folder_leaves_the_files_of_others_alone() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().unwrap();
        if root.path().metadata().unwrap().uid() != 0 {
            eprintln!("not run: it needs root");
            return;
        }
        let place = Place {
            root: root.path().to_str().unwrap().into(),
            ..place("run", "build/0-files/0", "1")
        };
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, "sub/it's new", &b"ok"[..])
            .unwrap();
        let archive = tar.into_inner().unwrap();
        let parts = slice_folder(&place);
        std::fs::create_dir_all(&parts).unwrap();
        std::fs::write(format!("{parts}/{}", slice_name(0)), &archive).unwrap();
        let target = root.path().join("srv");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("old"), "").unwrap();
        let mut step = Step::new(0, "folder", StepKind::Reboot);
        step.owner = Some("1234".into());
        let sent = Sent {
            sha256: hex(&Sha256::digest(&archive)),
            size: archive.len() as u64,
            folder: true,
        };
        std::fs::create_dir_all(place.folder()).unwrap();
        let file = format!("{}/script", place.folder());
        let text = unpack(target.to_str().unwrap(), &step, &place, &sent);
        std::fs::write(&file, text).unwrap();
        let out = std::process::Command::new("sh").arg(file).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        let owner = |name: &str| target.join(name).metadata().unwrap().uid();
        assert_eq!(owner("sub/it's new"), 1234);
        assert_eq!(owner("sub"), 1234);
        assert_eq!((owner("old"), target.metadata().unwrap().uid()), (0, 0));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2);
    }
}
