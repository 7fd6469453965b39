//! The commands of a template's `secrets`, which run on this machine as whoever builds:
//! nobody runs a stranger's by building a folder that was fetched.
//!
//! `validate` and `plan` show them. `build` asks before it runs one for the first time,
//! and remembers the answer for that folder, that command and, where the program is a
//! file of the folder, its bytes; `--yes` allows them once. What such a program reads
//! besides is not looked at. This must run nothing itself.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use darkroom_engine::Checked;
use darkroom_engine::carry::wrap::hex;
use darkroom_template::SecretFrom;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::{Consent, Terminal};

/// The list of what was allowed, a digest a line, in the folder of runs.
const FILE: &str = "allowed-commands";

const QUESTION: &str = "Run this on this machine, now and in later builds of this folder?";

/// The list can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the list of allowed commands, {}, can't be used", path.display())]
struct ListError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Shows the commands of a template.
pub(crate) fn show(checked: &Checked, terminal: &Terminal) {
    for (name, words) in commands(checked) {
        terminal.note(line(name, words));
    }
}

/// Whether the commands of the template in this folder may run, asked where that isn't
/// known.
pub(crate) async fn allowed(
    checked: &Checked,
    folder: &Path,
    roots: &Roots,
    yes: bool,
    terminal: &Terminal,
) -> Result<bool, Failure> {
    let commands: Vec<_> = commands(checked).collect();
    if yes || commands.is_empty() {
        return Ok(true);
    }
    let file = roots.state.join(FILE);
    let failed = |source| {
        Failure::config(ListError {
            path: file.clone(),
            source,
        })
    };
    let known = list(&file).map_err(failed)?;
    let folder = folder.canonicalize().map_err(Failure::user)?;
    let mut new = Vec::new();
    for (name, words) in commands {
        let digest = digest(&folder, words);
        if !known.contains(&digest) {
            terminal.note(line(name, words));
            new.push(digest);
        }
    }
    if new.is_empty() {
        return Ok(true);
    }
    if !terminal.consent(Consent::Ask, QUESTION).await? {
        return Ok(false);
    }
    add(&file, &new).map_err(failed)?;
    Ok(true)
}

fn commands(checked: &Checked) -> impl Iterator<Item = (&str, &[String])> {
    let secrets = checked.resolved().secrets.iter();
    secrets.filter_map(|secret| match &secret.from {
        SecretFrom::Command(words) => Some((secret.name.value.as_str(), words.as_slice())),
        SecretFrom::Environment(_) | SecretFrom::File(_) => None,
    })
}

/// Words as the template has them: a control character must not hide the others.
fn line(name: &str, words: &[String]) -> String {
    format!("the secret {name} is what this prints, run on this machine by `build`: {words:?}")
}

/// Which command of which folder it is. Each part has its length before it, so that no
/// two lists of parts are one text.
fn digest(folder: &Path, words: &[String]) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(folder.as_os_str().as_bytes());
    for word in words {
        part(word.as_bytes());
    }
    let program = words.first().filter(|program| program.contains('/'));
    if let Some(bytes) = program.and_then(|program| std::fs::read(folder.join(program)).ok()) {
        part(&Sha256::digest(&bytes));
    }
    hex(&hash.finalize())
}

fn list(file: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(ToOwned::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn add(file: &Path, digests: &[String]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(file)?;
    // In one write, so that lines of two processes don't mix.
    file.write_all(format!("{}\n", digests.join("\n")).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn another_folder_word_or_program_is_another_command() {
        let folder = tempfile::tempdir().unwrap();
        let at = |list: &[&str]| digest(folder.path(), &words(list));
        let cat = at(&["cat", "a b"]);
        assert_eq!(cat, at(&["cat", "a b"]));
        assert_ne!(cat, at(&["cat", "a", "b"]));
        assert_ne!(cat, digest(Path::new("/"), &words(&["cat", "a b"])));
        let missing = at(&["./get"]);
        std::fs::write(folder.path().join("get"), "one").unwrap();
        let one = at(&["./get"]);
        std::fs::write(folder.path().join("get"), "two").unwrap();
        assert_ne!(missing, one);
        assert_ne!(one, at(&["./get"]));
    }

    #[test]
    fn what_was_allowed_is_kept_in_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert!(list(&file).unwrap().is_empty());
        add(&file, &words(&["a", "b"])).unwrap();
        add(&file, &words(&["c"])).unwrap();
        assert_eq!(list(&file).unwrap(), ["a", "b", "c"]);
    }
}
