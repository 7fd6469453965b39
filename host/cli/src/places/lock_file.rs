//! `darkroom.lock` beside a template. What is in it is for the template's crate to say;
//! here it is only read and written.

use std::io;
use std::path::{Path, PathBuf};

use darkroom_template::lock::{FILE_NAME, Lock};

use super::replace::replace;
use crate::failure::Failure;

/// The lock can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be {act}", path.display())]
struct LockFileError {
    act: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The lock of the templates in one folder.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    /// What it says; nothing where there is none.
    pub(crate) lock: Lock,
}

impl LockFile {
    /// Reads the lock of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE_NAME);
        let lock = match std::fs::read_to_string(&path) {
            Ok(text) => Lock::parse(&text, &path.display().to_string())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Lock::default(),
            Err(source) => {
                let act = "read";
                return Err(Failure::config(LockFileError { act, path, source }));
            }
        };
        Ok(Self { path, lock })
    }

    /// Makes the file say this, in one step; a file that says it already is not touched.
    pub(crate) fn write(&self, lock: &Lock) -> Result<(), Failure> {
        if *lock == self.lock {
            return Ok(());
        }
        replace(&self.path, lock.to_text().as_bytes()).map_err(|source| {
            let path = self.path.clone();
            let act = "written";
            Failure::config(LockFileError { act, path, source })
                .hint("it belongs beside the template: keep that in a folder you can write to")
        })
    }
}

#[cfg(test)]
mod tests {
    use darkroom_template::lock::LockedComponent;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = LockFile::read(folder.path()).unwrap();
        assert_eq!(file.lock, Lock::default());
        file.write(&Lock::default()).unwrap();
        assert!(!folder.path().join(FILE_NAME).exists());
        let lock = Lock::new([LockedComponent {
            name: "darkroom:packages".into(),
            version: "0.1.0".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            registry: None,
            signer: None,
        }]);
        file.write(&lock).unwrap();
        assert_eq!(LockFile::read(folder.path()).unwrap().lock, lock);
        std::fs::write(folder.path().join(FILE_NAME), "version = 7\n").unwrap();
        assert!(LockFile::read(folder.path()).is_err());
    }
}
