//! What can go wrong with the cache's files.

use std::io;
use std::path::{Path, PathBuf};

/// Why the cache couldn't be used. A package that is in memory already is as good as
/// before: who pulled it may go on without keeping it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder can't be made or listed.
    #[error("the package cache {} can't be opened", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no room for a file. Nothing of it was left behind.
    #[error("there is no room for {} bytes in the package cache {}", bytes, folder.display())]
    Full {
        /// The folder in which it should be.
        folder: PathBuf,
        /// The size of the file.
        bytes: u64,
        /// Why: the disk, a quota, or a limit of the process.
        #[source]
        source: io::Error,
    },
    /// A file can't be written or removed.
    #[error("{} in the package cache can't be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file can't be read.
    #[error("{} in the package cache can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system has no locks.
    #[error("the package cache {} can't be locked", folder.display())]
    Lock {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl CacheError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full { .. } => {
                "make room on the disk, or remove packages with `darkroom cache prune`"
            }
            Self::Folder { .. } | Self::Write { .. } | Self::Read { .. } => {
                "see whether the folder is yours; it can be removed at any time, and is then pulled anew"
            }
            Self::Lock { .. } => "put the cache on a file system of this machine",
        }
    }

    pub(super) fn folder(path: &Path, source: io::Error) -> Self {
        Self::Folder {
            path: path.into(),
            source,
        }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.into(),
            source,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source,
        }
    }

    pub(super) fn lock(folder: &Path, source: io::Error) -> Self {
        Self::Lock {
            folder: folder.into(),
            source,
        }
    }

    /// Of writing `bytes` bytes to `path` in `folder`.
    pub(super) fn storing(folder: &Path, path: &Path, bytes: usize, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Self::Full {
                folder: folder.into(),
                bytes: bytes as u64,
                source,
            };
        }
        Self::write(path, source)
    }
}
