//! The bills of other languages, from the lock files that their tools leave:
//! package-lock.json, go.mod with go.sum, requirements.txt.
//!
//! They are read, never run: no tool of those languages is asked. A file that can't be
//! read is an error, because a bill that is silently short would be believed.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::bill::{Bill, Dependency, Hash, purl};
use crate::component::output::hex;

/// The lists that are known, with their readers.
const LISTS: [(&str, Reader); 3] = [
    ("package-lock.json", npm),
    ("go.mod", go),
    ("requirements.txt", python),
];

type Reader = fn(&str, &mut Bill) -> Result<(), String>;

/// A list that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} can't be read as a list of dependencies: {why}")]
pub(crate) struct ListError {
    /// The file.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) why: String,
}

/// The lists in a folder, by name.
pub(crate) fn lists(folder: &Path) -> Vec<&'static str> {
    let there = |name: &&str| folder.join(name).is_file();
    LISTS.iter().map(|(name, _)| *name).filter(there).collect()
}

/// The bill of all lists in a folder; `None` where there is none.
pub(crate) fn read(folder: &Path) -> Result<Option<Bill>, ListError> {
    let mut bill = Bill {
        complete: true,
        ..Bill::default()
    };
    let mut any = false;
    for (name, reader) in LISTS {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        any = true;
        let wrong = |why: String| ListError {
            path: path.clone(),
            why,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        reader(&text, &mut bill).map_err(wrong)?;
    }
    Ok(any.then_some(bill))
}

/// npm's lock file of version 2 or 3; what only development needs is left out.
fn npm(text: &str, bill: &mut Bill) -> Result<(), String> {
    let lock: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let packages = lock.get("packages").and_then(Value::as_object);
    let packages = packages.ok_or("it has no `packages`; npm 7 and later write them")?;
    for (path, package) in packages {
        let is = |key: &str| package.get(key).and_then(Value::as_bool) == Some(true);
        let word = |key: &str| package.get(key).and_then(Value::as_str);
        let Some((_, folder)) = path.rsplit_once("node_modules/") else {
            continue;
        };
        if is("dev") || is("link") {
            continue;
        }
        let name = word("name").unwrap_or(folder);
        let version = word("version").ok_or_else(|| format!("`{path}` has no version"))?;
        bill.add(Dependency {
            name: name.to_owned(),
            version: version.to_owned(),
            purl: purl("npm", name, version),
            licence: word("license").map(str::to_owned),
            hash: word("integrity").and_then(integrity),
        });
    }
    Ok(())
}

/// A hash as npm writes it: `sha512-<base64>`.
fn integrity(text: &str) -> Option<Hash> {
    let (algorithm, content) = text.split_whitespace().next()?.split_once('-')?;
    let algorithm = match algorithm {
        "sha512" => "SHA-512",
        "sha384" => "SHA-384",
        "sha256" => "SHA-256",
        _ => return None,
    };
    let content = hex(&BASE64.decode(content).ok()?);
    Some(Hash { algorithm, content })
}

/// The modules that go.mod requires; since Go 1.17 all of them. go.sum's hashes are of
/// trees, which are no hash of an archive, so they are left out.
fn go(text: &str, bill: &mut Bill) -> Result<(), String> {
    let mut inside = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let module = match line {
            "require (" => {
                inside = true;
                continue;
            }
            ")" => {
                inside = false;
                continue;
            }
            line if inside && !line.is_empty() => line,
            line => match line.strip_prefix("require ") {
                Some(module) => module,
                None => continue,
            },
        };
        let (name, version) = module
            .split_once(' ')
            .ok_or_else(|| format!("`{module}` has no version"))?;
        let version = version.trim();
        bill.add(Dependency {
            name: name.to_owned(),
            version: version.to_owned(),
            purl: purl("golang", name, version),
            licence: None,
            hash: None,
        });
    }
    Ok(())
}

/// Requirements of pip; those without `==` have no version that could be told, and what
/// they need themselves is not in it unless a tool has frozen it.
fn python(text: &str, bill: &mut Bill) -> Result<(), String> {
    let joined = text.replace("\\\n", " ");
    let frozen = joined.contains("--hash=");
    bill.complete &= frozen;
    for line in joined.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(['#', '-']) {
            continue;
        }
        let requirement = line.split([';', ' ']).next().unwrap_or_default();
        let Some((name, version)) = requirement.split_once("==") else {
            bill.complete = false;
            continue;
        };
        let name = name.split('[').next().unwrap_or(name);
        if name.is_empty() || version.is_empty() {
            return Err(format!("`{requirement}` has no name or no version"));
        }
        let plain = name.to_lowercase().replace(['_', '.'], "-");
        bill.add(Dependency {
            name: name.to_owned(),
            version: version.to_owned(),
            purl: purl("pypi", &plain, version),
            licence: None,
            hash: None,
        });
    }
    Ok(())
}
