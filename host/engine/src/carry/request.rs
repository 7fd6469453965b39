//! From a step to what is sent for it: pure functions, so that `plan` and `build` can't
//! differ.
//!
//! A script is one RunCommand, wrapped (see [`super::wrap`]). A file is slices sent with
//! SendFile and one wrapped script that puts it together, checks it and renames it into
//! place. A download and a collected file are wrapped scripts. What doesn't fit into one
//! command (24 KB after base64) goes by file first.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::{Step, StepKind};
use darkroom_ecs::action::{CommandType, ContentEncoding, RunCommand, Tag};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_journal::RunId;

use super::wrap::{Place, RECEIPTS, Script, quote, wrap};
use crate::tags;

/// Bytes of a script that fit into one RunCommand: 24 KB after base64.
pub const COMMAND_LIMIT: usize = 18 << 10;

/// Bytes of a slice: 32 KB after base64, which is what SendFile takes.
pub const SLICE: u64 = 24 << 10;

/// The exit code of a collecting script whose file is larger than its limit.
pub const TOO_LARGE: i32 = 214;

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

/// The folder that the slices of a long command are sent to.
pub fn command_folder(place: &Place) -> String {
    format!("{}.command", place.folder())
}

/// The name of the `index`th slice; names sort in the order of the slices.
pub fn slice_name(index: u64) -> String {
    format!("{index:06}")
}

/// The bare command that runs a script which was sent by file.
pub fn run_sent(place: &Place) -> String {
    let folder = quote(&command_folder(place));
    format!("cd {folder} && cat [0-9]* > command && exec /bin/sh command\n")
}

/// The wrapped text of a step's one command; none for a reboot, which has none.
/// `digest` is the SHA-256 of what has been sent for a file, and whether it is a folder.
pub fn wrapped(step: &Step, place: &Place, sent: Option<&Sent>) -> Option<String> {
    let text = match &step.kind {
        StepKind::Shell { script, .. } => {
            return Some(wrap(
                place,
                &Script {
                    text: script,
                    user: step.run_as.as_deref(),
                    directory: step.directory.as_deref(),
                    environment: &step.environment,
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
        } => download(path, address, sha256, step),
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
/// last move is a rename.
fn beginning(path: &str) -> String {
    format!(
        "set -eu\npath={}\nfolder=$(dirname \"$path\")\nnew=\"$folder/.darkroom-$$\"\nmkdir -p \"$folder\"\n[ ! -d \"$path\" ] || {{ echo \"$path is a folder\"; exit 1; }}\n",
        quote(path)
    )
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

fn check_digest(sha256: &str) -> String {
    format!(
        "echo {}\"  $new\" | sha256sum -c --status || {{ rm -f \"$new\"; echo \"$path: the content that arrived is not what was sent\"; exit 1; }}\n",
        quote(sha256)
    )
}

fn join(place: &Place, sent: &Sent) -> String {
    if sent.size == 0 {
        return ": > \"$new\"\n".into();
    }
    format!("cat {}/[0-9]* > \"$new\"\n", quote(&slice_folder(place)))
}

fn assemble(path: &str, step: &Step, place: &Place, sent: &Sent) -> String {
    format!(
        "{}{}{}{}",
        beginning(path),
        join(place, sent),
        check_digest(&sent.sha256),
        ending(step)
    )
}

fn unpack(path: &str, step: &Step, place: &Place, sent: &Sent) -> String {
    let owner = step.owner.as_deref().unwrap_or("root");
    format!(
        "set -eu\npath={}\nmkdir -p \"$path\"\nnew=$path/.darkroom-$$\n{}{}tar -x -f \"$new\" -C \"$path\" --no-same-owner\nrm -f \"$new\"\nchown -R {} \"$path\"\n",
        quote(path),
        join(place, sent),
        check_digest(&sent.sha256),
        quote(owner)
    )
}

fn download(path: &str, address: &str, sha256: &str, step: &Step) -> String {
    format!(
        "{}address={}\nif command -v curl >/dev/null; then curl -fsSL --retry 3 -o \"$new\" \"$address\"\nelif command -v wget >/dev/null; then wget -q -O \"$new\" \"$address\"\nelse echo 'neither curl nor wget is installed'; exit 1; fi\n{}{}",
        beginning(path),
        quote(address),
        check_digest(sha256),
        ending(step)
    )
}

fn collect(path: &str, limit: u64) -> String {
    format!(
        "path={}\n[ -f \"$path\" ] || {{ echo \"$path is no file\"; exit 1; }}\nsize=$(wc -c < \"$path\")\n[ \"$size\" -le {limit} ] || {{ echo \"$path has $size bytes, more than {limit}\"; exit {TOO_LARGE}; }}\n",
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
                content: darkroom_contract::FileContent::Text("one two".into()),
            },
        );
        step.mode = Some(0o4750);
        // SHA-256 of "one two".
        let sha256 = super::super::wrap::hex(&<sha2::Sha256 as sha2::Digest>::digest("one two"));
        let mut sent = Sent {
            sha256: "0".repeat(64),
            size: 7,
            folder: false,
        };
        let run = |text: &str| {
            let file = root.path().join("script");
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
    }
}
