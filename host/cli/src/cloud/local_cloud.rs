//! Finding the local cloud, and starting it where it isn't running.
//!
//! Nobody else looks for it: the engine gets a function that answers with an endpoint
//! ([`LocalCloud::resolver`]), and calls it again after a refused connection, so that a
//! build survives the server's death.
//!
//! 1. Read `server.json` and ask the server that it names (`/-/ping`). A server of this
//!    build that answers is the one.
//! 2. Else take `start.lock`, so that of several command lines only one starts a server,
//!    and look again.
//! 3. A server of another build is asked to leave; its instances stay, and the next
//!    server adopts them.
//! 4. Start `darkroom local serve` as a session of its own, with no descriptor of ours,
//!    its log in `server.log`, and wait until it answers.
//!
//! The server's own `lock` is held by the server for its life and never taken here: a
//! look at it at the wrong moment would turn a starting server away.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use darkroom_ecs::endpoint::{Endpoint, EndpointError, Resolver};
use darkroom_local::files::{FileError, LOG, PROTOCOL, ServerFile};
use rustix::fs::FlockOperation;

use crate::cloud::local_admin::{Admin, AdminError};
use crate::places::roots::{RootError, Roots};

/// How long a started server may take until it answers, and an old one to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(25);
/// How many lines of the log stand in an error.
const LOG_LINES: usize = 12;
/// The lock between command lines that want to start a server.
const START_LOCK: &str = "start.lock";

/// Why the local cloud can't be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalCloudError {
    #[error("the local cloud's folder can't be used")]
    Root(#[source] RootError),
    #[error("the local cloud's files can't be used")]
    Files(#[source] FileError),
    #[error("{operation} {path} failed")]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the local cloud ended when it was started ({how}); the end of {log} says:\n{tail}")]
    Ended {
        how: String,
        log: PathBuf,
        tail: String,
    },
    #[error("the local cloud did not answer within {} s; the end of {log} says:\n{tail}", PATIENCE.as_secs())]
    Silent { log: PathBuf, tail: String },
    #[error("the local cloud of another build (process {pid}) did not leave when asked")]
    Stays {
        pid: u32,
        #[source]
        source: Option<AdminError>,
    },
}

impl LocalCloudError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Root(error) => error.hint(),
            Self::Files(_) | Self::Io { .. } => {
                "check the folder's owner and free space, or set `DARKROOM_LOCAL` to another".into()
            }
            Self::Stays { pid, .. } => {
                format!("end it with `kill {pid}`; its instances are not touched by that")
            }
            Self::Ended { .. } | Self::Silent { .. } => {
                "`darkroom local serve` starts it in this terminal and shows everything it says"
                    .into()
            }
        }
    }
}

/// The local cloud of these roots.
#[derive(Clone, Debug)]
pub(crate) struct LocalCloud {
    roots: Roots,
    build_id: String,
}

impl LocalCloud {
    pub(crate) fn new(roots: Roots) -> Self {
        Self {
            roots,
            build_id: build_id(),
        }
    }

    /// The server if one runs and answers, of whatever build.
    pub(crate) async fn running(&self) -> Result<Option<ServerFile>, LocalCloudError> {
        let server = ServerFile::read(&self.roots.local).map_err(LocalCloudError::Files)?;
        let Some(server) = server.filter(ServerFile::alive) else {
            return Ok(None);
        };
        let answers = Admin::new(&server).ping().await.is_ok();
        Ok(answers.then_some(server))
    }

    /// The server of this build, started if need be.
    pub(crate) async fn ensure(&self) -> Result<ServerFile, LocalCloudError> {
        if let Some(server) = self.running().await?
            && self.is_ours(&server)
        {
            return Ok(server);
        }
        let lock = self.start_lock().await?;
        let found = self.running().await?;
        let server = match found {
            Some(server) if self.is_ours(&server) => server,
            Some(other) => {
                self.replace(&other).await?;
                self.start().await?
            }
            None => self.start().await?,
        };
        drop(lock);
        Ok(server)
    }

    /// What the engine calls for an endpoint: the server is started if it is gone.
    pub(crate) fn resolver(&self) -> Resolver {
        let cloud = Arc::new(self.clone());
        Arc::new(move |region| {
            let cloud = Arc::clone(&cloud);
            Box::pin(async move {
                let server = cloud
                    .ensure()
                    .await
                    .map_err(|error| EndpointError::Unavailable {
                        region,
                        source: Arc::new(error),
                    })?;
                server.url.parse::<Endpoint>()
            })
        })
    }

    fn is_ours(&self, server: &ServerFile) -> bool {
        server.build_id == self.build_id && server.protocol == PROTOCOL
    }

    async fn start_lock(&self) -> Result<File, LocalCloudError> {
        let folder = self.roots.local_folder().map_err(LocalCloudError::Root)?;
        let path = folder.join(START_LOCK);
        let failed = |source| LocalCloudError::Io {
            operation: "locking",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                // Who holds it is replacing and starting a server, each with its patience.
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < PATIENCE * 3 => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Asks a server of another build to leave, and waits for it.
    async fn replace(&self, other: &ServerFile) -> Result<(), LocalCloudError> {
        tracing::info!(
            pid = other.pid,
            "replacing the local cloud of another build"
        );
        let asked = Admin::new(other).stop().await;
        let begun = Instant::now();
        while other.alive() {
            if begun.elapsed() > PATIENCE {
                return Err(LocalCloudError::Stays {
                    pid: other.pid,
                    source: asked.err(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn start(&self) -> Result<ServerFile, LocalCloudError> {
        let folder = self.roots.local_folder().map_err(LocalCloudError::Root)?;
        let log = folder.join(LOG);
        let failed = |source| LocalCloudError::Io {
            operation: "opening",
            path: log.clone(),
            source,
        };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&log)
            .map_err(failed)?;
        let before = file.metadata().map_err(failed)?.len();
        let mut child = self.spawn(&file).map_err(|source| LocalCloudError::Io {
            operation: "starting the local cloud by",
            path: EXECUTABLE.into(),
            source,
        })?;
        let begun = Instant::now();
        loop {
            if let Some(server) = self.running().await? {
                return Ok(server);
            }
            let tail = || tail_since(&log, before);
            if let Ok(Some(status)) = child.try_wait() {
                // Somebody may have started one by hand meanwhile: that one is as good.
                if let Some(server) = self.running().await? {
                    return Ok(server);
                }
                let how = status.to_string();
                return Err(LocalCloudError::Ended {
                    how,
                    tail: tail(),
                    log,
                });
            }
            if begun.elapsed() > PATIENCE {
                return Err(LocalCloudError::Silent { tail: tail(), log });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn spawn(&self, log: &File) -> io::Result<Child> {
        let mut command = Command::new(EXECUTABLE);
        command
            .arg0("darkroom")
            .args(["-v", "local", "serve", "--background"])
            // Relative paths mean nothing to it, and it must not hold a file system busy.
            .current_dir("/")
            .env("DARKROOM_STATE", &self.roots.state)
            .env("DARKROOM_LOCAL", &self.roots.local)
            .env("DARKROOM_CACHE", &self.roots.cache)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        // The local cloud never sees real keys, nor what somebody put into a variable for
        // a secret of the template: it outlives this command by hours.
        for (name, _) in std::env::vars_os() {
            if !is_for_the_server(&name.to_string_lossy()) {
                command.env_remove(&name);
            }
        }
        leave_everything_behind(&mut command);
        command.spawn()
    }
}

/// Whether the server and the supervisors that it starts have a use for a variable.
fn is_for_the_server(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "DBUS_SESSION_BUS_ADDRESS",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
    ];
    const BEGINNINGS: [&str; 4] = ["DARKROOM_", "LC_", "RUST_", "XDG_"];
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(|start| name.starts_with(start))
        || name.to_ascii_lowercase().ends_with("_proxy")
}

/// This very program, even if its file has been replaced or removed since it started.
pub(crate) const EXECUTABLE: &str = "/proc/self/exe";

/// A session of its own, so that Ctrl-C and a closed terminal don't reach it, and none of
/// our descriptors beyond the three standard ones: also those that we were given and know
/// nothing of, such as the pipe of a `make` that would wait for their end.
fn leave_everything_behind(command: &mut Command) {
    let child = || {
        rustix::process::setsid()?;
        let first = 3;
        // Marked and not closed at once: the standard library's own pipe, by which it
        // learns that the program could not be started, is among them.
        #[expect(unsafe_code, reason = "rustix has no close_range")]
        // SAFETY: it takes numbers only and touches no memory of ours.
        let done =
            unsafe { libc::close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    #[expect(
        unsafe_code,
        reason = "the standard library has no other way to setsid"
    )]
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(child);
    }
}

/// What tells one build of this program from another: the identity of its file. A digest
/// of a hundred megabytes would take longer than everything else that a command does.
pub(crate) fn build_id() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match std::fs::metadata(EXECUTABLE) {
        Ok(file) => format!(
            "{version}-{:x}-{:x}-{:x}{:08x}",
            file.ino(),
            file.len(),
            file.mtime(),
            file.mtime_nsec()
        ),
        Err(_) => version.to_owned(),
    }
}

/// The last lines that a log got since it was `before` bytes long.
fn tail_since(log: &std::path::Path, before: u64) -> String {
    const MOST: u64 = 64 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(before.max(length.saturating_sub(MOST))))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    match &lines[lines.len().saturating_sub(LOG_LINES)..] {
        [] => "  (nothing)".to_owned(),
        last => last
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_new_lines_of_a_log_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "old\n").unwrap();
        assert_eq!(tail_since(&log, 4), "  (nothing)");
        std::fs::write(&log, "old\nnew\nerror: no\n").unwrap();
        assert_eq!(tail_since(&log, 4), "  new\n  error: no");
        assert_eq!(tail_since(&folder.path().join("missing"), 0), "  (nothing)");
    }

    #[tokio::test]
    async fn nothing_runs_where_nothing_was_started() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            state: folder.path().join("state"),
            local: folder.path().join("local"),
            cache: folder.path().join("cache"),
        };
        let cloud = LocalCloud::new(roots);
        assert!(cloud.running().await.unwrap().is_none());
        // Looking makes no folder.
        assert!(!folder.path().join("local").exists());
    }

    #[test]
    fn a_build_knows_itself() {
        assert_eq!(build_id(), build_id());
        assert!(build_id().starts_with(env!("CARGO_PKG_VERSION")));
    }
}
