//! Our own init, for images that have none: the first process of such an instance. It
//! reaps what others leave, ends everything in order when it is told to, and runs
//! nothing.
//!
//! It is not executed: the image has nothing to execute, and this program needs
//! libraries that the image hasn't got. It is the child itself that goes on, so that it
//! first hides what it has of the supervisor: descriptors are closed, arguments and
//! environment overwritten, and everything else of it in `/proc/1` is closed to the
//! instance, because a process that can't be dumped is its namespace's owner's only.
//!
//! The signals are those of systemd for the supervisor, and those of busybox, whose
//! `reboot`, `poweroff` and `halt` are what such images have.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, WaitId, WaitIdOptions};
use rustix::system::RebootCommand;

use super::{At, Failure, Place};
use crate::sandbox::network::NOTIFY;
use crate::sandbox::sys;

/// How long processes may take to end when they are asked to, and when they are killed.
const GRACE: Duration = Duration::from_secs(10);

/// How often is looked whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// systemd's signals, counted from the first real-time signal.
const HALT: i32 = 3;
const REBOOT: i32 = 5;

/// Goes on as init and returns only when that failed. `report` ends without a record.
pub(super) fn go_on(words: &sys::OwnWords, report: BorrowedFd<'_>) -> Failure {
    match become_init(words, report) {
        Ok(()) => live(),
        Err(failure) => failure,
    }
}

fn become_init(words: &sys::OwnWords, report: BorrowedFd<'_>) -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Place::Execute)?;
    sys::block_signals().at(Place::Execute)?;
    rustix::thread::set_name(c"init").at(Place::Execute)?;
    #[expect(unsafe_code, reason = "the child's copy of its parent's words")]
    // SAFETY: this is a child, which never looks at them.
    unsafe {
        words.overwrite(b"init\0");
    }
    #[expect(unsafe_code, reason = "closes descriptors that others own")]
    // SAFETY: this is a child's copy; only the report is used, and closed last.
    unsafe {
        sys::close_all_but(report).at(Place::Standard)?;
        sys::close_copy(report);
    }
    Ok(())
}

fn live() -> ! {
    loop {
        let Some(signal) = sys::next_signal(None) else {
            continue;
        };
        if signal == libc::SIGCHLD {
            reap();
        } else if let Some(how) = meaning(signal) {
            end(how);
        }
    }
}

/// What a signal asks for.
fn meaning(signal: i32) -> Option<RebootCommand> {
    let halt = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR];
    let again = [libc::SIGTERM, libc::SIGINT];
    if halt.contains(&signal) || signal == sys::real_time_signal(HALT) {
        Some(RebootCommand::PowerOff)
    } else if again.contains(&signal) || signal == sys::real_time_signal(REBOOT) {
        Some(RebootCommand::Restart)
    } else {
        None
    }
}

fn reap() {
    let flags = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while matches!(rustix::process::waitid(WaitId::All, flags), Ok(Some(_))) {}
}

fn end(how: RebootCommand) -> ! {
    say_that_it_ends();
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        sys::signal_all_others(signal);
        let patience = Instant::now() + GRACE;
        while Instant::now() < patience && sys::signal_all_others(0) {
            let _ = sys::next_signal(Some(LOOK));
            reap();
        }
    }
    // In a process namespace it ends the caller, by a signal that says which it was.
    let _ = rustix::system::reboot(how);
    sys::exit_now(0)
}

/// In systemd's words, to the supervisor: commands that end now are interrupted.
fn say_that_it_ends() {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
    if let (Ok(socket), Ok(address)) =
        (socket, SocketAddrUnix::new_abstract_name(NOTIFY.as_bytes()))
    {
        let flags = SendFlags::DONTWAIT;
        let _ = rustix::net::sendto(socket.as_fd(), b"STOPPING=1", flags, &address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_vocabularies_are_known() {
        let restarts = [sys::real_time_signal(REBOOT), libc::SIGTERM];
        assert!(
            restarts
                .iter()
                .all(|one| meaning(*one) == Some(RebootCommand::Restart))
        );
        let halts = [sys::real_time_signal(HALT), libc::SIGUSR2];
        assert!(
            halts
                .iter()
                .all(|one| meaning(*one) == Some(RebootCommand::PowerOff))
        );
        assert_eq!(meaning(libc::SIGHUP), None);
    }
}
