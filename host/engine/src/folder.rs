//! A run's folder: what is kept of it besides the journal.
//!
//! ```text
//! runs/<run>/
//!     template.yaml        as it was when the run began
//!     components/<digest>  the components it uses, so that a resume uses the same
//!     events.ndjson        what happened
//!     manifest.json        what came of it
//!     logs/<step>/<attempt>.log     all output of each attempt
//!     files/<sha256>       what was sent to instances
//!     collected/<step>     what components collected
//! ```
//!
//! Nothing of a cloud is in here, and the folder can be copied. Paths inside are made of
//! step paths and digests, never of text that a component chose.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use darkroom_contract::Content;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::carry::wrap::hex;

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

/// The size and digest of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Bytes.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
}

impl RunFolder {
    /// The folder at `root`, made if it isn't there, for its owner alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(root: PathBuf) -> io::Result<Self> {
        private(&root)?;
        Ok(Self { root })
    }

    /// The folder at `root`, which is there already.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A file in it, by its relative path.
    pub fn file(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a file in one move and syncs it, so that it is there whole or not at all.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, relative: &str, content: &[u8]) -> io::Result<()> {
        self.write_with(relative, |file| file.write_all(content))
    }

    /// The same with what `fill` writes.
    ///
    /// # Errors
    /// When it can't be written, or `fill` fails.
    pub fn write_with(
        &self,
        relative: &str,
        fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> io::Result<()> {
        let path = self.file(relative);
        if let Some(parent) = path.parent() {
            private(parent)?;
        }
        let draft = path.with_extension("draft");
        let mut file = fs::File::create(&draft)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    }

    /// A file without a name, on the disk of `relative`: it is gone with its handle.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn nameless(&self, relative: &str) -> io::Result<fs::File> {
        let path = self.file(relative);
        if let Some(parent) = path.parent() {
            private(parent)?;
        }
        let draft = path.with_extension("nameless");
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&draft)?;
        fs::remove_file(&draft)?;
        Ok(file)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, relative: &str) -> io::Result<Vec<u8>> {
        fs::read(self.file(relative))
    }

    /// Keeps content to be sent under its digest, and returns the digest.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&self, content: &[u8]) -> io::Result<String> {
        let digest = hex(&Sha256::digest(content));
        let relative = format!("files/{digest}");
        if !self.file(&relative).exists() {
            self.write(&relative, content)?;
        }
        Ok(digest)
    }

    /// Bytes `offset..offset + length` of a kept file.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn kept(&self, digest: &str, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let file = fs::File::open(self.file(&format!("files/{digest}")))?;
        let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut content, offset)?;
        Ok(content)
    }

    /// Size and digest of a file, without holding it in memory.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn measure(&self, relative: &str) -> io::Result<Measured> {
        let mut file = fs::File::open(self.file(relative))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
        Ok(Measured {
            size,
            sha256: hex(&hasher.finalize()),
        })
    }

    /// The last `limit` bytes of a file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn tail(&self, relative: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = fs::File::open(self.file(relative))?;
        let size = file.metadata()?.len();
        let start = size.saturating_sub(limit);
        let mut content = vec![0; usize::try_from(size - start).map_err(io::Error::other)?];
        file.read_exact_at(&mut content, start)?;
        Ok(content)
    }
}

/// Makes a folder and those above it, readable by the owner alone.
///
/// # Errors
/// When it can't be made.
pub fn private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// A file of the run as the content of a step's result.
pub(crate) struct FileContent(pub(crate) PathBuf);

impl Content for FileContent {
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = fs::File::open(&self.0)?;
        let left = file.metadata()?.len().saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(length);
        let mut content = vec![0; length];
        file.read_exact_at(&mut content, offset)?;
        Ok(content)
    }
}
