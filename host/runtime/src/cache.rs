//! Compiled code that is kept: `<folder>/<sha256 of the component>-<settings>.cwasm`.
//!
//! wasmtime's own cache compresses and copies, which is ten to a hundred times
//! slower than mapping a file. The folder is 0700; a file gets its name when it is
//! complete and synced. A cache that can't be used is not an error: the component is
//! compiled again.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::trusted;

/// The folder and what is part of every name in it.
pub(crate) struct Cache {
    folder: PathBuf,
    settings: u64,
}

impl Cache {
    /// Opens the folder; makes it where it is missing.
    ///
    /// # Errors
    /// Where it can't be made, or is open to others and can't be closed.
    pub fn open(folder: PathBuf, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        if fs::metadata(&folder)?.permissions().mode() & 0o077 != 0 {
            // Only its owner can do that, so that a folder of somebody else's fails.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            folder,
            settings: hasher.finish(),
        })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder
            .join(format!("{digest}-{:016x}.cwasm", self.settings))
    }

    /// What is kept for a component of this digest.
    pub fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        if !path.is_file() {
            return None;
        }
        trusted::load(engine, &path)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "compiled code can't be used");
            })
            .ok()
    }

    /// Keeps compiled code; failing costs time only.
    pub fn keep(&self, component: &Component, digest: &str) {
        let kept = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.store(&self.path(digest), &code));
        if let Err(error) = kept {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled code can't be kept");
        }
    }

    /// Under a name of its own at first, in a new file: what two wrote into one would be
    /// executed. Synced before it is renamed, for the same reason after a power cut.
    fn store(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let mut named = tempfile::Builder::new();
        let mut draft = named.suffix(".draft").tempfile_in(&self.folder)?;
        draft.write_all(code)?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        Ok(())
    }
}
