//! Files that are written whole or not at all, and read only if they are what they were.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::row::Blob;
use super::{Cache, CacheError, is_missing};
use crate::digest::Digest;

/// What reading a blob gave.
pub(super) enum Read {
    /// Bytes of this digest.
    Good(Vec<u8>),
    /// No file.
    Missing,
    /// A file with other bytes.
    Damaged,
}

impl Cache {
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Writes a blob, unless it is there already and good.
    pub(super) fn write_blob(&self, blob: &Blob, bytes: &[u8]) -> Result<(), CacheError> {
        if let Read::Good(_) = self.read_blob(blob)? {
            return Ok(());
        }
        self.write_file(&self.blob_path(&blob.digest), bytes)
    }

    pub(super) fn read_blob(&self, blob: &Blob) -> Result<Read, CacheError> {
        let path = self.blob_path(&blob.digest);
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if is_missing(&error) => return Ok(Read::Missing),
            Err(error) => return Err(CacheError::read(&path, error)),
        };
        // Not read at all: it may have become as large as the disk.
        if size != blob.bytes {
            return Ok(Read::Damaged);
        }
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == blob.digest => Ok(Read::Good(bytes)),
            Ok(_) => Ok(Read::Damaged),
            Err(error) if is_missing(&error) => Ok(Read::Missing),
            Err(error) => Err(CacheError::read(&path, error)),
        }
    }

    /// Gives `path` this content, or leaves it as it was. Whatever fails, no draft stays.
    pub(super) fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let written = || {
            // A new file with a name of its own: processes of two containers that share
            // the cache may have the same number.
            let mut draft = NamedTempFile::new_in(self.drafts())?;
            fill(draft.as_file_mut(), bytes)?;
            draft.persist(path)?;
            Ok(())
        };
        written().map_err(|source| CacheError::storing(&self.folder, path, bytes.len(), source))
    }
}

/// Synced, so that after a power cut no name stands for a file without content. The folder
/// isn't: a name that was lost is a package that is pulled again.
fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    darkroom_failpoint::reach_blocking("registry.cache.draft");
    file.write_all(second)?;
    file.sync_all()
}

/// Removes a file; one that is gone already is removed too.
pub(super) fn remove(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(CacheError::write(path, error)),
        _ => Ok(()),
    }
}

/// The files of a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let listed = |source| CacheError::folder(folder, source);
    fs::read_dir(folder)
        .map_err(listed)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(listed))
        .collect()
}
