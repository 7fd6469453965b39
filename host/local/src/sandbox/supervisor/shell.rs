//! A person in the instance: a login shell on a terminal that the person's program has
//! made and passed here.
//!
//! The supervisor only starts the shell and tells how it ended. The terminal's other end
//! stays with the person's program: when that goes away, the kernel hangs the session
//! up. Unlike a command nothing of it is recorded or survives the supervisor.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Gid, Pid, PidfdFlags, Uid};

use super::super::accounts::Accounts;
use super::super::child::{Record, run};
use super::super::sys;
use super::commands::SCRIPTS;
use super::keeper::Shared;
use super::machine::{Boot, pointers};
use super::protocol::Answer;

/// Becomes root's own login shell. It removes itself first, so that the instance keeps no
/// trace of it.
const LAUNCHER: &str = "#!/bin/sh\nrm -f \"$0\"\n\
    shell=$(sed -n 's/^root:.*:\\([^:]*\\)$/\\1/p' /etc/passwd)\n\
    [ -x \"$shell\" ] || shell=/bin/sh\n\
    SHELL=$shell\nexport SHELL\nexec \"$shell\" -l\n";

/// Runs a shell until it ends.
pub(super) fn answer(shared: &Shared, name: &str, terminal: Option<OwnedFd>) -> Answer {
    let Some(terminal) = terminal else {
        return Answer::Failed("no terminal came with the question".into());
    };
    let Some(boot) = shared.boot() else {
        return Answer::NoAgent;
    };
    match run(&boot, name, terminal) {
        Ok(sys::Exit::Code(exit)) => Answer::Ended { exit },
        // As shells say it.
        Ok(sys::Exit::Signal(signal)) => Answer::Ended { exit: 128 + signal },
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn run(boot: &Boot, name: &str, terminal: OwnedFd) -> io::Result<sys::Exit> {
    let user = Accounts::read(&boot.root)?
        .user("root")
        .ok_or_else(|| io::Error::other("the instance has no user root"))?;
    let number = boot.next_command();
    let group = boot.groups.make_command(number)?;
    let text = |text: String| CString::new(text).map_err(io::Error::other);
    let script = text(format!("{SCRIPTS}/shell-{number}"))?;
    let folder = text(SCRIPTS.into())?;
    let directory = text(user.home.clone())?;
    let environment = [
        text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())?,
        text(format!("HOME={}", user.home))?,
        text("USER=root".into())?,
        text("LOGNAME=root".into())?,
        text("LANG=C.UTF-8".into())?,
        text(format!("TERM={}", plain(name)))?,
    ];
    let others: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let (report, report_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let arguments = pointers(std::slice::from_ref(&script));
    let environment = pointers(&environment);
    let plan = run::Plan {
        init: boot.init.pidfd.as_fd(),
        groups_v1: &boot.groups.joins_v1,
        report: report_end.as_fd(),
        input: terminal.as_fd(),
        output: terminal.as_fd(),
        is_terminal: true,
        script_folder: &folder,
        ended_scripts: &[],
        script: &script,
        content: LAUNCHER.as_bytes(),
        user: Uid::from_raw(user.uid),
        group: Gid::from_raw(user.gid),
        other_groups: &others,
        directory: &directory,
        any_directory: true,
        program: &script,
        arguments: &arguments,
        environment: &environment,
    };
    let mut first = || plan.execute();
    #[expect(unsafe_code, reason = "clone3 of a process with threads")]
    // SAFETY: the plan's program makes system calls on prepared memory only.
    let cloned = unsafe { sys::spawn_child(0, Some(group.folder().as_fd()), &mut first) }?;
    drop(report_end);
    // Nobody but the session holds the terminal, so that its end is seen.
    drop(terminal);
    let process = await_exec(&report);
    // The first process ends by itself once it has said the second's number.
    sys::wait(cloned.pidfd.as_fd())?;
    let exit = process.and_then(|process| sys::wait(process.as_fd()));
    group.close();
    exit
}

/// Waits until the shell's own program runs.
fn await_exec(report: &OwnedFd) -> io::Result<OwnedFd> {
    let mut process = None;
    let mut failed = None;
    while let Some(record) = Record::receive(report)? {
        match record {
            Record::Started(pid) => {
                let pid = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH)?;
                // Our own child: the number is its until we reap it.
                process = Some(rustix::process::pidfd_open(pid, PidfdFlags::empty())?);
            }
            Record::Failed(failure) => failed = Some(failure.error()),
        }
    }
    match (process, failed) {
        (Some(process), None) => Ok(process),
        (process, failed) => {
            if let Some(process) = process {
                sys::wait(process.as_fd())?;
            }
            let ended = || io::Error::other("it ended before it was started");
            Err(failed.map_or_else(ended, io::Error::other))
        }
    }
}

/// The name of a kind of terminal, if it is one.
fn plain(name: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '_');
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) {
        name
    } else {
        "dumb"
    }
}
