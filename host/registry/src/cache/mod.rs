//! The package cache: everything that was pulled, by the digest of its bytes.
//!
//! ```text
//! blobs/sha256/<hex>           manifest, component, signatures; the name is the content
//! rows/<key>-<component>.json  one package: its name, and which blobs are its
//! drafts/                      what is being written
//! lock                         see below
//! ```
//!
//! All runs of a user share it, at the same time. What must hold whatever dies when:
//!
//! * A file gets its name when it is complete and synced, so that no name stands for half
//!   a file. Blobs come before the row that names them, and go after it.
//! * Nothing is believed: every blob is hashed each time it is read. One that was altered
//!   is removed, and the package is pulled anew.
//! * Reading and storing hold `lock` shared, removing holds it alone. So whoever has it
//!   alone knows that every draft is a dead process's, and that every blob without a row
//!   is one too. The lock ends with its process.
//!
//! A package is removed when all of them together pass [`Limit`], the one first that was
//! not used for the longest time; the time of use is the row's time of modification.
//!
//! Functions here block; asynchronous callers use `spawn_blocking`. Nothing here judges a
//! signature or asks a registry.

mod blobs;
mod error;
mod prune;
mod row;

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::digest::Digest;
use crate::sign::Signature;

pub use error::CacheError;
pub use prune::Pruned;

/// How large the cache may be, in bytes of blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What all packages together may have. The one stored last stays even if it alone is
    /// larger.
    pub bytes: u64,
}

impl Default for Limit {
    /// 2 GiB: thousands of components of the usual megabyte.
    fn default() -> Self {
        Self {
            bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

/// What a package is asked for by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where it came from, such as `ghcr.io/acme`.
    pub registry: String,
    /// Its name, such as `acme:hardening`.
    pub package: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
}

/// The bytes of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its manifest, as the registry has it.
    pub manifest: Vec<u8>,
    /// The component file.
    pub component: Vec<u8>,
    /// What is attached to the manifest: signatures above all.
    pub attachments: Vec<Attachment>,
}

/// Something that is attached to a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The media type of its layer.
    pub media_type: String,
    /// The annotations of its layer.
    pub annotations: BTreeMap<String, String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Contents {
    /// Those of the attachments that are signatures, to be judged.
    pub fn signatures(&self) -> Vec<Signature> {
        let signature = |one: &Attachment| {
            Signature::from_layer(&one.media_type, &one.annotations, one.bytes.clone())
        };
        self.attachments.iter().filter_map(signature).collect()
    }
}

/// A package in the cache, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is asked for by.
    pub key: Key,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of the component file.
    pub component: Digest,
    /// How many bytes all that belongs to it has, shared or not.
    pub bytes: u64,
    /// When it was pulled.
    pub stored: SystemTime,
    /// When it was used last.
    pub used: SystemTime,
}

/// What there is for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The package. Each of its parts has the digest it was stored with.
    Kept(Box<Contents>),
    /// Nothing.
    Missing,
    /// Something that isn't what was stored. It has been removed, so that the next look
    /// finds nothing.
    Damaged {
        /// The blob that was altered.
        digest: Digest,
    },
}

/// The cache in one folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: Limit,
}

/// Held while files are read, written or removed.
struct Held {
    /// Only kept: the lock ends when it is closed.
    _file: File,
}

impl Cache {
    /// Opens the folder; makes it where it is missing, and removes what processes that
    /// died have left half written.
    ///
    /// # Errors
    /// A folder that can't be made or written to.
    pub fn open(folder: &Path, limit: Limit) -> Result<Self, CacheError> {
        let cache = Self {
            folder: folder.into(),
            limit,
        };
        for part in [cache.blobs(), cache.rows(), cache.drafts()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&part)
                .map_err(|source| CacheError::folder(&part, source))?;
        }
        if let Some(_held) = cache.try_alone()? {
            cache.remove_drafts()?;
        }
        Ok(cache)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a package. What is there under the same key with another component stays: a
    /// lock may pin it. Older packages are removed where the limit asks for it.
    ///
    /// # Errors
    /// A file that can't be written. Then nothing is kept, and nothing is left half.
    pub fn store(&self, key: &Key, contents: &Contents) -> Result<Entry, CacheError> {
        let row = row::Row::new(key, contents);
        let path = {
            let _held = self.shared()?;
            let attachments = contents.attachments.iter().map(|one| &one.bytes);
            let parts = [&contents.manifest, &contents.component];
            for (blob, bytes) in row.blobs().zip(parts.into_iter().chain(attachments)) {
                self.write_blob(blob, bytes)?;
            }
            darkroom_failpoint::reach_blocking("registry.cache.row");
            self.write_row(&row)?
        };
        self.keep_limit(&path)?;
        Ok(row.entry())
    }

    /// The package that was stored last under a key, or the one among them with this very
    /// component, which is what a lock pins.
    ///
    /// # Errors
    /// A file that can't be read, other than for what is in it.
    pub fn find(&self, key: &Key, component: Option<&Digest>) -> Result<Found, CacheError> {
        let held = self.shared()?;
        let Some((path, row)) = self.find_row(key, component)? else {
            return Ok(Found::Missing);
        };
        let found = self.read_contents(&row)?;
        match &found {
            Found::Kept(_) => row::touch(&path),
            Found::Missing | Found::Damaged { .. } => {
                drop(held);
                self.remove_damaged(&path, &row)?;
            }
        }
        Ok(found)
    }

    /// Every package, the most recently used first.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn list(&self) -> Result<Vec<Entry>, CacheError> {
        let _held = self.shared()?;
        let mut entries: Vec<_> = self
            .rows_with_paths()?
            .into_iter()
            .map(|(_, row)| row.entry())
            .collect();
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.key.cmp(&b.key)));
        Ok(entries)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs/sha256")
    }

    fn rows(&self) -> PathBuf {
        self.folder.join("rows")
    }

    fn drafts(&self) -> PathBuf {
        self.folder.join("drafts")
    }

    fn lock_file(&self) -> Result<File, CacheError> {
        let path = self.folder.join("lock");
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| CacheError::write(&path, source))
    }

    fn shared(&self) -> Result<Held, CacheError> {
        let file = self.lock_file()?;
        file.lock_shared()
            .map_err(|source| CacheError::lock(&self.folder, source))?;
        Ok(Held { _file: file })
    }

    fn alone(&self) -> Result<Held, CacheError> {
        let file = self.lock_file()?;
        file.lock()
            .map_err(|source| CacheError::lock(&self.folder, source))?;
        Ok(Held { _file: file })
    }

    /// `None` while somebody else reads or stores.
    fn try_alone(&self) -> Result<Option<Held>, CacheError> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(source)) => {
                Err(CacheError::lock(&self.folder, source))
            }
        }
    }

    fn read_contents(&self, row: &row::Row) -> Result<Found, CacheError> {
        let mut blobs = Vec::new();
        for blob in row.blobs() {
            match self.read_blob(blob)? {
                blobs::Read::Good(bytes) => blobs.push(bytes),
                blobs::Read::Missing => return Ok(Found::Missing),
                blobs::Read::Damaged => {
                    return Ok(Found::Damaged {
                        digest: blob.digest,
                    });
                }
            }
        }
        Ok(Found::Kept(Box::new(row.contents(blobs))))
    }

    /// Removes a row whose blobs aren't what they were, and those blobs. They are looked
    /// at again: another process may just have put good ones in their place.
    fn remove_damaged(&self, path: &Path, row: &row::Row) -> Result<(), CacheError> {
        let _held = self.alone()?;
        let mut whole = true;
        for blob in row.blobs() {
            match self.read_blob(blob)? {
                blobs::Read::Good(_) => {}
                blobs::Read::Missing => whole = false,
                blobs::Read::Damaged => {
                    tracing::warn!(digest = %blob.digest, folder = %self.folder.display(), "removed a damaged blob");
                    blobs::remove(&self.blob_path(&blob.digest))?;
                    whole = false;
                }
            }
        }
        if whole { Ok(()) } else { blobs::remove(path) }
    }

    fn remove_drafts(&self) -> Result<(), CacheError> {
        for path in blobs::files(&self.drafts())? {
            blobs::remove(&path)?;
        }
        Ok(())
    }
}

/// Whether a file just isn't there.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
