//! `supervisor.log` in the instance's folder: what a person reads when an instance
//! behaves strangely. Nothing reads it but people.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A log that never makes its writer fail.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Opens or makes it.
    ///
    /// # Errors
    /// What the system answered.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self(file))
    }

    /// One line.
    pub fn say(&self, text: &str) {
        let line = format!("{} {text}\n", jiff::Timestamp::now());
        // A full disk must not end an instance.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}
