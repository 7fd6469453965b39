//! Where things are: the folder of one instance, its files, and the two ways in
//! which a file comes to be (written, synced, renamed; never half).
//!
//! ```text
//! instances/<id>/
//!   spec.json          what was asked for                       driver, once
//!   disk.json          the layers below the instance's writes   driver, at commit
//!   disk/upper, work   the instance's writes                    overlay
//!   orders.json        configuration for the next boot          driver, at start
//!   supervisor.lock    held by the living supervisor
//!   supervisor.json    its pid and start time                   supervisor
//!   init.json          the same of the last init                supervisor
//!   supervisor.sock    where it answers                         supervisor
//!   supervisor.log     what it has to say                       supervisor
//!   commands/<invoke>.begin.json, .end.json                     supervisor
//!   commits/<id>.intent.json, <id>.json                         driver
//! ```
//! Used by the driver and the supervisor. Ids become folder names here and nowhere
//! else: [`plain_name`] refuses those that would be paths.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use darkroom_ecs::id::InvokeId;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::driver::{InstanceSpec, LayerId};

/// The layers of an instance's disk, the base first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// They lie below the instance's own writes.
    pub layers: Vec<LayerId>,
}

/// Who supervises: process ids are used again, start times are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process.
    pub pid: i32,
    /// Field 22 of its `/proc/<pid>/stat`.
    pub start_time: u64,
}

impl Identity {
    /// The calling process.
    ///
    /// # Errors
    /// When /proc can't be read.
    pub fn own() -> io::Result<Self> {
        Self::of(rustix::process::getpid())
    }

    /// A process that can't be reaped meanwhile.
    ///
    /// # Errors
    /// When /proc can't be read.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let pid = pid.as_raw_nonzero().get();
        Ok(Self {
            pid,
            start_time: start_time(pid)?,
        })
    }

    /// A descriptor of the process, if it is still the same one.
    pub fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let flags = rustix::process::PidfdFlags::empty();
        let process = rustix::process::pidfd_open(pid, flags).ok()?;
        // After opening: now the number can't be given to another one unseen.
        (start_time(self.pid).ok()? == self.start_time).then_some(process)
    }
}

/// When a process was started, in the kernel's ticks since boot.
fn start_time(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_start_time(&stat).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is cut")))
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

/// The folder of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Names a folder; nothing is made.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is there, whole.
    pub fn exists(&self) -> bool {
        self.0.join("spec.json").exists()
    }

    /// What was asked for.
    ///
    /// # Errors
    /// When there is none.
    pub fn spec(&self) -> io::Result<InstanceSpec> {
        read_json(&self.0.join("spec.json"))
    }

    /// The layers.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn disk(&self) -> io::Result<Disk> {
        read_json(&self.0.join("disk.json"))
    }

    /// Changes the layers.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set_disk(&self, disk: &Disk) -> io::Result<()> {
        write_json(&self.0.join("disk.json"), disk)
    }

    /// The folder of `upper` and `work`.
    pub fn disk_folder(&self) -> PathBuf {
        self.0.join("disk")
    }

    /// What the instance has written.
    pub fn upper(&self) -> PathBuf {
        self.0.join("disk/upper")
    }

    /// A file directly in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The record of a command's start (`begin`) or end (`end`).
    ///
    /// # Errors
    /// When the id can't be a file name.
    pub fn command(&self, invoke: &InvokeId, what: &str) -> io::Result<PathBuf> {
        let name = plain_name(invoke.as_str())?;
        Ok(self.0.join("commands").join(format!("{name}.{what}.json")))
    }

    /// The record of a commit.
    ///
    /// # Errors
    /// When the id can't be a file name.
    pub fn commit(&self, id: &str, what: &str) -> io::Result<PathBuf> {
        Ok(self
            .0
            .join("commits")
            .join(format!("{}{what}.json", plain_name(id)?)))
    }

    /// The supervisor that was here last.
    pub fn identity(&self) -> Option<Identity> {
        read_json(&self.0.join("supervisor.json")).ok()
    }

    /// Takes the lock of the living supervisor, for as long as the file is open.
    /// None: somebody else has it.
    ///
    /// # Errors
    /// When the folder is gone.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.0.join("supervisor.lock"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The init that was started last.
    pub fn init(&self) -> Option<Identity> {
        read_json(&self.0.join("init.json")).ok()
    }

    /// Takes the lock and waits until the last init is gone: when a supervisor is
    /// killed, the kernel frees its lock a moment before it kills init. None:
    /// somebody supervises.
    ///
    /// # Errors
    /// When the folder is gone, or init doesn't end.
    pub fn lock_settled(&self) -> io::Result<Option<File>> {
        let end = Instant::now() + FORK;
        let lock = loop {
            if let Some(lock) = self.lock()? {
                break lock;
            }
            // A process that is being started has a copy of every lock of its starter
            // until it executes: only a living supervisor counts at once.
            let supervised = self.identity().and_then(Identity::open).is_some();
            if supervised || Instant::now() > end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Some(init) = self.init().and_then(Identity::open)
            && !ended_within(&init, SETTLE)
        {
            // The instance has taken back its wish to die with its supervisor.
            super::sys::send_signal(init.as_fd(), libc::SIGKILL)?;
            if !ended_within(&init, SETTLE) {
                return Err(io::Error::other("the instance's init doesn't end"));
            }
        }
        Ok(Some(lock))
    }

    /// Runs `with` on a path of the socket that is short however long the folder's
    /// own path is: socket addresses hold 108 bytes.
    ///
    /// # Errors
    /// When the folder is gone, or what `with` answers.
    pub fn with_socket<T>(&self, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&self.0, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/supervisor.sock", folder.as_raw_fd());
        with(Path::new(&path))
    }
}

/// How long a process may be between fork and exec on a busy machine.
const FORK: Duration = Duration::from_secs(2);

/// How long the end of an init that is being killed may take.
const SETTLE: Duration = Duration::from_secs(5);

fn ended_within(process: &OwnedFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).ok();
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    matches!(rustix::event::poll(&mut polled, timeout.as_ref()), Ok(count) if count > 0)
}

/// A text that can be the name of a file or a control group.
///
/// # Errors
/// When it has other characters than letters, digits, `-` and `_`. A dot would be a
/// path, or the separator in the names of control groups.
pub fn plain_name(text: &str) -> io::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !text.is_empty() && text.len() <= 128 && text.bytes().all(plain) {
        Ok(text)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{text}' can't be the name of a folder"),
        ))
    }
}

/// Makes a folder that only its owner may enter, and those above it.
///
/// # Errors
/// What the system answered.
pub fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Reads a file of JSON.
///
/// # Errors
/// When it can't be read, or isn't what it should be.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let text = fs::read(path)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Writes a file of JSON: whole, synced, and the folder, too.
///
/// # Errors
/// What the system answered.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(value).map_err(io::Error::other)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_parent(path)
}

/// Makes renames in the folder of `path` last.
///
/// # Errors
/// What the system answered.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_are_refused() {
        for bad in ["", ".", "..", "a/b", "../x", "a b", "a.b", "ä"] {
            assert!(plain_name(bad).is_err(), "{bad}");
        }
        assert!(plain_name("i-abc_1").is_ok());
    }

    #[test]
    fn a_process_is_known_by_its_start_time() {
        let own = Identity::own().unwrap();
        assert!(own.open().is_some());
        let other = Identity {
            start_time: own.start_time + 1,
            ..own
        };
        assert!(other.open().is_none());
    }

    #[test]
    fn a_program_name_with_brackets_does_not_confuse() {
        let mut stat = String::from("7 (a) b) S");
        for field in 4..30 {
            stat = format!("{stat} {field}");
        }
        assert_eq!(parse_start_time(&stat), Some(22));
    }

    #[test]
    fn the_socket_is_reached_however_long_the_path_is() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("x".repeat(120));
        make_private(&long).unwrap();
        let folder = Folder::new(&long);
        let listener = folder
            .with_socket(|path| std::os::unix::net::UnixListener::bind(path))
            .unwrap();
        folder
            .with_socket(|path| std::os::unix::net::UnixStream::connect(path))
            .unwrap();
        drop(listener);
    }

    #[test]
    fn a_copy_of_a_lock_in_a_starting_process_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let copy = folder.lock().unwrap().unwrap();
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| folder.lock_settled().unwrap().is_some());
            std::thread::sleep(Duration::from_millis(20));
            drop(copy);
            waiting.join().unwrap()
        });
        assert!(waiting, "nobody supervises");
        let held = folder.lock().unwrap();
        write_json(&folder.file("supervisor.json"), &Identity::own().unwrap()).unwrap();
        assert!(folder.lock_settled().unwrap().is_none(), "we supervise");
        drop(held);
    }

    #[test]
    fn the_lock_is_one_supervisors() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let held = folder.lock().unwrap();
        assert!(held.is_some());
        assert!(folder.lock().unwrap().is_none());
        drop(held);
        assert!(folder.lock().unwrap().is_some());
    }
}
