//! A real terminal in an instance of the local cloud: a pseudo terminal whose one end the
//! instance's shell gets, and whose other end is joined with this process's terminal.
//!
//! This terminal is raw meanwhile, so that every key, Ctrl-C included, goes to the shell,
//! and is put back however the session ends.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::Failure;

/// The end of a session that didn't go as it should.
#[derive(Debug, thiserror::Error)]
#[error("the shell in {instance} could not be run")]
struct SessionError {
    instance: String,
    #[source]
    source: io::Error,
}

/// Whether an instance of the local cloud in `root` has a supervisor that could start a
/// shell.
pub(super) fn is_there(root: &Path, instance: &str) -> bool {
    let folder = root.join("instances").join(instance);
    folder.join("supervisor.sock").exists()
}

/// Runs the login shell of an instance on this terminal. `root` is the local cloud's
/// folder.
pub(super) async fn session(root: PathBuf, instance: String) -> Result<Exit, Failure> {
    let failed = |source: io::Error| {
        let instance = instance.clone();
        Failure::config(SessionError { instance, source })
    };
    let (ours, theirs) = pair().map_err(|errno| failed(errno.into()))?;
    follow_size(&ours);
    let raw = Raw::enter().map_err(|errno| failed(errno.into()))?;
    let (end, ended) = rustix::pipe::pipe().map_err(|errno| failed(errno.into()))?;
    let joined = join(&ours, &end).map_err(failed)?;
    let kind = std::env::var("TERM").unwrap_or_default();
    let name = instance.clone();
    let running = tokio::task::spawn_blocking(move || {
        darkroom_local::sandbox::shell(&root, &name, &kind, theirs)
    });
    let exit = until_ended(running, &ours).await;
    // Both threads see the closed end of this pipe, and the output's one reads what is left.
    drop(ended);
    for thread in joined {
        drop(thread.join());
    }
    drop(raw);
    let code = exit.map_err(failed)?;
    Ok(Exit(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Waits for the session and lets it know meanwhile how large the terminal is.
async fn until_ended(
    mut running: tokio::task::JoinHandle<io::Result<i32>>,
    ours: &OwnedFd,
) -> io::Result<i32> {
    let mut resized = signal(SignalKind::window_change())?;
    loop {
        tokio::select! {
            ended = &mut running => return ended.map_err(io::Error::other)?,
            _ = resized.recv() => follow_size(ours),
        }
    }
}

fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let theirs = rustix::pty::ioctl_tiocgptpeer(
        &ours,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    Ok((ours, theirs))
}

/// Sets the size of the pseudo terminal to this one's; nothing where it has none.
fn follow_size(ours: &OwnedFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(ours, size);
    }
}

/// This terminal, raw until the value is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> rustix::io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let stdin = rustix::stdio::stdin();
        // Where the terminal itself is gone there is nothing to put back.
        let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &self.0);
    }
}

/// Joins both ends, in two threads, so that neither direction waits for the other.
fn join(ours: &OwnedFd, end: &OwnedFd) -> io::Result<[JoinHandle<()>; 2]> {
    let (keys, keys_end) = (ours.try_clone()?, end.try_clone()?);
    let (picture, picture_end) = (ours.try_clone()?, end.try_clone()?);
    let typing = std::thread::spawn(move || {
        let stdin = io::stdin();
        let mut keys = std::fs::File::from(keys);
        let mut bytes = [0; 4096];
        while wait(&stdin, &keys_end) {
            // Not through the buffer of the standard library, which poll can't see.
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(count) if keys.write_all(&bytes[..count]).is_err() => break,
                Ok(_) => {}
            }
        }
    });
    let showing = std::thread::spawn(move || {
        let mut picture = std::fs::File::from(picture);
        let mut bytes = [0; 4096];
        while wait(&picture, &picture_end) {
            // When nobody holds the other end any more the kernel says so by an error.
            match picture.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(count) => crate::terminal::Terminal::raw(&bytes[..count]),
            }
        }
    });
    Ok([typing, showing])
}

/// Waits until there is something to read, or the other end is gone: true. False when
/// the session has ended and nothing is left.
fn wait(from: &impl AsFd, end: &OwnedFd) -> bool {
    let mut polled = [
        PollFd::new(from, PollFlags::IN),
        PollFd::new(end, PollFlags::IN),
    ];
    loop {
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => return !polled[0].revents().is_empty(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
