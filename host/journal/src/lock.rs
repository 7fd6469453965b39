//! The lock that keeps two processes from running one run.
//!
//! It is a flock on a file beside the journal, and not a row in it: the kernel lets go
//! of it when the process dies, however it dies. The file holds the pid for the
//! message. It is removed when the lock is released; a process that locked a removed
//! file notices and begins again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::id::RunId;

/// The right to run a run, held until dropped or until the process ends.
#[derive(Debug)]
pub struct RunLock {
    run: RunId,
    path: PathBuf,
    file: File,
}

/// The run is being run by another process, or by another session of this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run} is being run by process {pid}")]
pub struct HeldBy {
    /// The run.
    pub run: RunId,
    /// The process that runs it.
    pub pid: u32,
}

/// Why a run can't be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error(transparent)]
    Held(HeldBy),
    /// The lock's file can't be made or read.
    #[error("can't lock {path}", path = path.display())]
    File {
        /// The lock's file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl RunLock {
    /// The run that is locked.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Takes the lock `folder/run`, or says who has it.
    pub(crate) fn take(folder: &Path, run: &RunId) -> Result<Self, LockError> {
        let path = folder.join(run.as_str());
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut looks = 0;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    file.set_len(0)
                        .and_then(|()| write!(file, "{}", std::process::id()))
                        .map_err(failed)?;
                    return Ok(Self {
                        run: run.clone(),
                        path,
                        file,
                    });
                }
                // Its holder removed the file after we had opened it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => match holder(&mut file) {
                    Some(pid) => {
                        return Err(LockError::Held(HeldBy {
                            run: run.clone(),
                            pid,
                        }));
                    }
                    // Locked, and its pid not written yet: a moment.
                    None if looks < PATIENCE => {
                        looks += 1;
                        std::thread::sleep(MOMENT);
                    }
                    None => {
                        return Err(failed(io::Error::other(
                            "it is locked and names no process",
                        )));
                    }
                },
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// The process that has the lock `folder/run`, if any.
    pub(crate) fn holder(folder: &Path, run: &RunId) -> Result<Option<u32>, LockError> {
        // Nothing is locked that has no file, and asking must not make one.
        if !folder.join(run.as_str()).exists() {
            return Ok(None);
        }
        match Self::take(folder, run) {
            Ok(_) => Ok(None),
            Err(LockError::Held(held)) => Ok(Some(held.pid)),
            Err(error) => Err(error),
        }
    }
}

/// How often and how long the pid of a lock's holder is looked for.
const PATIENCE: u32 = 200;
const MOMENT: Duration = Duration::from_millis(5);

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while locked, so that nobody else's file is removed. If it can't be,
        // the next holder uses it.
        if is_at(&self.file, &self.path) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Whether `path` still leads to `file`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

/// The pid in a lock's file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_nothing_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "261122-160402-baaaaa".parse().unwrap();
        assert_eq!(RunLock::holder(folder.path(), &run).unwrap(), None);
        let lock = RunLock::take(folder.path(), &run).unwrap();
        let Err(LockError::Held(held)) = RunLock::take(folder.path(), &run) else {
            panic!("locked twice");
        };
        assert_eq!(held.pid, std::process::id());
        assert_eq!(
            RunLock::holder(folder.path(), &run).unwrap(),
            Some(held.pid)
        );
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        RunLock::take(folder.path(), &run).unwrap();
    }

    #[test]
    fn many_threads_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let run: RunId = "261122-160402-baaaaa".parse().unwrap();
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < 50 {
                        if let Ok(lock) = RunLock::take(folder.path(), &run) {
                            use std::sync::atomic::Ordering::SeqCst;
                            assert_eq!(inside.fetch_add(1, SeqCst), 0);
                            inside.fetch_sub(1, SeqCst);
                            drop(lock);
                            taken += 1;
                        }
                    }
                });
            }
        });
    }
}
