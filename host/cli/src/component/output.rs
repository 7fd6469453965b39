//! Files that a build reads and writes, and digests of them.
//!
//! An output is replaced in one move and is never half written.

use std::path::{Path, PathBuf};

pub(super) use darkroom_contract::hex;
pub(crate) use darkroom_contract::sha256 as digest;

use crate::places::replace::replace;

/// A file can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} can't be {verb}")]
pub(crate) struct FileError {
    /// Which.
    pub(crate) path: PathBuf,
    /// What was to be done with it.
    pub(crate) verb: &'static str,
    /// Why it can't.
    #[source]
    pub(crate) source: std::io::Error,
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|source| FileError {
        path: path.to_owned(),
        verb: "read",
        source,
    })
}

/// Replaces a file in one move; makes its folder. What is the same stays untouched.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes).map_err(|source| FileError {
        path: path.to_owned(),
        verb: "written",
        source,
    })
}

/// `FILE.sbom.json` of `FILE`.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
