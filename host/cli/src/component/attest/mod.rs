//! What is attested of a component: an SBOM of what is in it, and a statement of how it
//! was built. Both are files beside it, which `component publish` attaches.
//!
//! ```text
//! cargo tree, Cargo.lock ─────────────┐
//! package-lock.json, go.mod, … ─ lists ┴─> Bill ──> sbom ────────> FILE.sbom.json
//! git, recipe, input ──────────────────────────────> provenance ──> FILE.provenance.json
//! ```
//!
//! They hold no path of this machine, no address with a password and, unless
//! `SOURCE_DATE_EPOCH` gives one, no time: the same build attests the same bytes. Neither is
//! signed here.

mod bill;
mod crates;
mod git;
mod lists;
mod provenance;
mod sbom;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub(super) use bill::Bill;
pub(super) use crates::bill as of_crate;
pub(super) use git::commit;
pub(crate) use lists::ListError;
pub(super) use lists::{lists, read as of_lists};
pub(super) use provenance::{Build, Resource, provenance};
pub(super) use sbom::{Subject, sbom};

use super::output::{self, FileError};

/// The media type of an SBOM in `CycloneDX`'s JSON.
pub(crate) const SBOM_TYPE: &str = "application/vnd.cyclonedx+json";
/// The media type of an in-toto statement that is not signed yet.
pub(crate) const PROVENANCE_TYPE: &str = "application/vnd.in-toto+json";

/// The ends of the files' names.
const SBOM: &str = ".sbom.json";
const PROVENANCE: &str = ".provenance.json";

/// A document about a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// [`SBOM_TYPE`] or [`PROVENANCE_TYPE`].
    pub(crate) media_type: &'static str,
    /// The JSON.
    pub(crate) bytes: Vec<u8>,
}

/// What lies beside a component is not about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachmentError {
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is about other bytes.
    #[error("{file:?} is about another build of it: it names sha256:{names}")]
    Other {
        /// The document.
        file: PathBuf,
        /// The digest that it names, or what stands in its place.
        names: String,
    },
}

impl AttachmentError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(_) => None,
            Self::Other { .. } => {
                Some("build the component again, or remove the file if it is not to be published")
            }
        }
    }
}

/// The documents beside a component, the SBOM first; those that are missing are left out.
/// `digest` is the component's SHA-256 in hexadecimal digits.
///
/// # Errors
/// [`AttachmentError`]; one that is about other bytes must not be published.
pub(crate) fn attachments(file: &Path, digest: &str) -> Result<Vec<Attachment>, AttachmentError> {
    let kinds = [(SBOM, SBOM_TYPE), (PROVENANCE, PROVENANCE_TYPE)];
    let mut found = Vec::new();
    for (ending, media_type) in kinds {
        let file = output::beside(file, ending);
        if !file.is_file() {
            continue;
        }
        let bytes = output::read(&file)?;
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let path = match media_type {
            SBOM_TYPE => "/metadata/component/hashes/0/content",
            _ => "/subject/0/digest/sha256",
        };
        let names = json
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or("nothing");
        if names != digest {
            let names = names.chars().filter(|c| !c.is_control()).take(80).collect();
            return Err(AttachmentError::Other { file, names });
        }
        found.push(Attachment {
            file,
            media_type,
            bytes,
        });
    }
    Ok(found)
}

/// Writes the documents of a component; an SBOM only where something is known of what is
/// in it, and otherwise an older one goes.
pub(super) fn write(
    file: &Path,
    sbom: Option<&Value>,
    provenance: &Value,
) -> Result<(), FileError> {
    let place = output::beside(file, SBOM);
    match sbom {
        Some(sbom) => output::write(&place, &text(sbom))?,
        None => remove(&place)?,
    }
    output::write(&output::beside(file, PROVENANCE), &text(provenance))
}

/// Removes what an earlier build left, which is about other bytes.
pub(super) fn clear(file: &Path) -> Result<(), FileError> {
    [SBOM, PROVENANCE]
        .iter()
        .try_for_each(|ending| remove(&output::beside(file, ending)))
}

fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(FileError {
            path: path.to_owned(),
            verb: "removed",
            source,
        }),
        _ => Ok(()),
    }
}

/// JSON for people as well, with a line break at its end.
fn text(json: &Value) -> Vec<u8> {
    format!("{json:#}\n").into_bytes()
}

/// The time of `SOURCE_DATE_EPOCH`, if that is what the text says.
pub(super) fn time(epoch: Option<i64>) -> Option<String> {
    let time = jiff::Timestamp::from_second(epoch?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests;
