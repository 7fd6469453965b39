//! The files by which a command line finds a running server and its accounts:
//! `lock`, `server.json` and `accounts.json` in the cloud's folder.
//!
//! Written only here, read by whoever looks for the cloud. All are readable by
//! their owner only. `server.json` appears (renamed into place) when the server
//! listens and goes when it leaves in order; a file that is left behind names a
//! process that lives no more, or another one of the same number, which
//! [`ServerFile::alive`] tells apart by its start time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use darkroom_ecs::id::AccountId;
use serde::{Deserialize, Serialize};

/// The number of the protocol between a command line and the admin API. A server
/// of another number is asked to leave.
pub const PROTOCOL: u32 = 1;

/// The lock that a server holds for its life.
pub const LOCK: &str = "lock";
/// Where a server says how it is reached.
pub const SERVER: &str = "server.json";
/// Where a server that was started by a command line writes its log.
pub const LOG: &str = "server.log";
/// The accounts and their keys.
pub const ACCOUNTS: &str = "accounts.json";
/// The state.
pub const STATE: &str = "cloud.sqlite";

/// Why a file of the cloud's folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another server runs on this folder.
    #[error("another server holds {path}")]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// It can't be read or written.
    #[error("{operation} {path} failed")]
    Io {
        /// "reading", "writing", ….
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path} can't be understood: remove it if it is damaged")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// `server.json`: how the running server is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// The server's process.
    pub pid: u32,
    /// When that process started, in clock ticks since the machine's boot (field 22
    /// of `/proc/<pid>/stat`): another process of the same number differs in it.
    pub started: u64,
    /// The build that it comes from.
    pub build_id: String,
    /// Its [`PROTOCOL`].
    pub protocol: u32,
    /// Where it listens, such as `http://127…:1234`, with no `/` at the end.
    pub url: String,
    /// The token of the admin API.
    pub token: String,
}

impl std::fmt::Debug for ServerFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ServerFile")
            .field("pid", &self.pid)
            .field("url", &self.url)
            .field("build_id", &self.build_id)
            .finish_non_exhaustive()
    }
}

impl ServerFile {
    /// Reads the file of a cloud's folder; none when there is none.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(root: &Path) -> Result<Option<Self>, FileError> {
        read_json(&root.join(SERVER))
    }

    /// Whether the process that wrote it still runs.
    pub fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    pub(crate) fn write(&self, root: &Path) -> Result<(), FileError> {
        write_json(&root.join(SERVER), self)
    }

    pub(crate) fn remove(root: &Path) {
        // A file that stays is told from a living server by its start time.
        drop(fs::remove_file(root.join(SERVER)));
    }
}

/// `accounts.json`: the cloud's accounts and their keys. These are keys of this
/// cloud alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsFile {
    /// The file's version, 1.
    pub version: u32,
    /// At least two.
    pub accounts: Vec<Account>,
}

/// One account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What people call it: `first`, `second`.
    pub name: String,
    /// Its number, 16 digits.
    pub id: AccountId,
    /// Its key's id.
    pub access_key_id: String,
    /// Its key's secret.
    pub access_key_secret: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Account")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl AccountsFile {
    /// Reads the file of a cloud's folder; none when there is none.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(root: &Path) -> Result<Option<Self>, FileError> {
        read_json(&root.join(ACCOUNTS))
    }

    /// Reads the file, or makes it with two new accounts.
    pub(crate) fn ensure(root: &Path) -> Result<Self, FileError> {
        if let Some(file) = Self::read(root)? {
            return Ok(file);
        }
        let accounts = ACCOUNT_IDS
            .iter()
            .filter_map(|(name, id)| new_account(name, id))
            .collect();
        let file = Self {
            version: 1,
            accounts,
        };
        write_json(&root.join(ACCOUNTS), &file)?;
        Ok(file)
    }
}

/// The accounts of a new cloud. The ids are the same on every machine, so that a
/// template can name whom it shares with; the keys are not.
const ACCOUNT_IDS: [(&str, &str); 2] = [
    ("first", "1000000000000001"),
    ("second", "2000000000000002"),
];

fn new_account(name: &str, id: &str) -> Option<Account> {
    Some(Account {
        name: name.to_owned(),
        id: id.parse().ok()?,
        access_key_id: format!("LTAI{}", random_text(20)),
        access_key_secret: random_text(30),
    })
}

/// Letters and digits that nobody can guess.
pub(crate) fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let seed = [
        *uuid::Uuid::new_v4().as_bytes(),
        *uuid::Uuid::new_v4().as_bytes(),
    ]
    .concat();
    let mut stream = blake3::Hasher::new().update(&seed).finalize_xof();
    let mut text = String::with_capacity(length);
    let mut byte = [0_u8; 1];
    while text.len() < length {
        stream.fill(&mut byte);
        // Bytes above the last whole multiple would favour some letters.
        if let Some(letter) = LETTERS.get(usize::from(byte[0] & 63)) {
            text.push(char::from(*letter));
        }
    }
    text
}

/// The lock of a cloud's folder, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    pub(crate) fn take(root: &Path) -> Result<Self, FileError> {
        let path = root.join(LOCK);
        let opened = |source| FileError::Io {
            operation: "opening",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(opened)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FileError::Locked { path }),
            Err(error) => Err(opened(error.into())),
        }
    }
}

/// Makes a folder that only its owner can enter.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| FileError::Io {
            operation: "making the folder",
            path: path.to_owned(),
            source,
        })
}

/// When a process started, in ticks since boot; none when it doesn't run.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in brackets and may hold anything, hence the last one.
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?;
    let started = words.nth(18)?.parse().ok()?;
    (state != "Z").then_some(started)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(FileError::Io {
                operation: "reading",
                path: path.to_owned(),
                source,
            });
        }
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| FileError::Parse {
            path: path.to_owned(),
            source,
        })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let failed = |source| FileError::Io {
        operation: "writing",
        path: path.to_owned(),
        source,
    };
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&draft, path))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn accounts_are_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let made = AccountsFile::ensure(folder.path()).unwrap();
        assert_eq!(made.accounts.len(), 2);
        assert_eq!(made.accounts[0].name, "first");
        assert_eq!(made.accounts[0].id.to_string().len(), 16);
        assert!(made.accounts[0].access_key_id.starts_with("LTAI"));
        assert_ne!(
            made.accounts[0].access_key_secret,
            made.accounts[1].access_key_secret
        );
        assert_eq!(AccountsFile::ensure(folder.path()).unwrap(), made);
        let mode = fs::metadata(folder.path().join(ACCOUNTS))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{made:?}").contains(&made.accounts[0].access_key_secret));
    }

    #[test]
    fn a_second_lock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        assert!(matches!(
            Lock::take(folder.path()),
            Err(FileError::Locked { .. })
        ));
        drop(held);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_dead_servers_file_is_told_from_a_living_one() {
        let me = std::process::id();
        let mut file = ServerFile {
            pid: me,
            started: start_time(me).unwrap(),
            build_id: "b".into(),
            protocol: PROTOCOL,
            url: "http://x".into(),
            token: "secret-token".into(),
        };
        assert!(file.alive());
        assert!(!format!("{file:?}").contains("secret-token"));
        file.started += 1;
        assert!(!file.alive());
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ServerFile::read(folder.path()).unwrap(), None);
        file.write(folder.path()).unwrap();
        assert_eq!(ServerFile::read(folder.path()).unwrap(), Some(file));
        fs::write(folder.path().join(SERVER), "{").unwrap();
        let error = ServerFile::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("server.json"));
    }
}
