//! Commands of Cloud Assistant: each in a thread of the supervisor that is its
//! parent, reads its output, keeps its time and writes its end.
//!
//! A command's life: accepted (`begin.json`, synced) → started → ended (`end.json`,
//! synced) → told. A `begin.json` without an `end.json` and without a supervisor is a
//! command that was interrupted; the driver says so.
//!
//! Used by `serve`. Commands never outlive the boot that they began in.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Pid, Uid};
use serde::{Deserialize, Serialize};

use super::super::accounts::{Accounts, User};
use super::super::cgroup::CommandGroup;
use super::super::child::{Failure, Place, Record, run};
use super::super::folder::{Folder, write_json};
use super::super::sys;
use super::log::Log;
use super::machine::{Boot, pointers, readable_within};
use super::output::Tail;
use crate::driver::{
    CommandFault, CommandKind, CommandSpec, CommandState, CommandStatus, Finished, Termination,
};
use darkroom_ecs::id::InvokeId;

/// The folder of scripts inside an instance: on a tmpfs, so that no script gets into
/// an image.
pub(super) const SCRIPTS: &str = "/run/darkroom-agent";

/// Output that a command has written, but that isn't read when its process ends, is
/// waited for this long without news, and this long in all: something that it left
/// behind may hold the pipe for ever.
const QUIET: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_millis(500);

/// A command that was killed may have been killed because its instance ended; the
/// kernel shows that a moment later.
const END_OF_INIT: Duration = Duration::from_millis(500);

/// How long a killed command may take to be gone.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// `commands/<invoke>.begin.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// All commands of one supervisor.
#[derive(Debug)]
pub struct Commands {
    folder: Folder,
    log: Arc<Log>,
    running: Mutex<HashMap<InvokeId, Arc<Entry>>>,
    none_running: Condvar,
    ended_scripts: Mutex<Vec<CString>>,
}

/// A command that has not ended.
#[derive(Debug)]
struct Entry {
    started_at: Mutex<Option<Timestamp>>,
    tail: Mutex<Tail>,
    stopped: AtomicBool,
    wake: OwnedFd,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is kept, or was kept before.
    Yes,
    /// The agent does not take commands now.
    NoAgent,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that ended early leaves data that is still whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Commands {
    /// None yet.
    pub fn new(folder: Folder, log: Arc<Log>) -> Self {
        Self {
            folder,
            log,
            running: Mutex::default(),
            none_running: Condvar::new(),
            ended_scripts: Mutex::default(),
        }
    }

    /// Takes a command; it runs in a thread of its own.
    ///
    /// # Errors
    /// When it can't be recorded.
    pub fn accept(self: &Arc<Self>, boot: &Arc<Boot>, spec: CommandSpec) -> io::Result<Accepted> {
        let begin = self.folder.command(&spec.invoke, "begin")?;
        let mut running = lock(&self.running);
        if begin.exists() {
            return Ok(Accepted::Yes);
        }
        if !boot.agent() {
            return Ok(Accepted::NoAgent);
        }
        let entry = Arc::new(Entry {
            started_at: Mutex::default(),
            tail: Mutex::default(),
            stopped: AtomicBool::new(false),
            wake: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let accepted_at = Timestamp::now();
        write_json(&begin, &Begin { accepted_at })?;
        running.insert(spec.invoke.clone(), Arc::clone(&entry));
        drop(running);
        let (all, boot) = (Arc::clone(self), Arc::clone(boot));
        std::thread::spawn(move || all.run(&boot, &spec, &entry));
        Ok(Accepted::Yes)
    }

    /// What has become of a command that has not ended; none when it has, or never
    /// was.
    pub fn state(&self, invoke: &InvokeId) -> Option<CommandState> {
        let entry = lock(&self.running).get(invoke).map(Arc::clone)?;
        let started_at = *lock(&entry.started_at);
        Some(match started_at {
            None => CommandState::Pending,
            Some(started_at) => CommandState::Running {
                started_at,
                output: lock(&entry.tail).running(),
            },
        })
    }

    /// Ends a command. False: there is none, or it has ended.
    pub fn stop(&self, invoke: &InvokeId) -> bool {
        let entry = lock(&self.running).get(invoke).map(Arc::clone);
        if let Some(entry) = &entry {
            entry.stopped.store(true, Ordering::Release);
            let _ = rustix::io::write(&entry.wake, &1_u64.to_ne_bytes());
        }
        entry.is_some()
    }

    /// Waits until all have ended and are written.
    pub fn wait_for_all(&self, patience: Duration) {
        let running = lock(&self.running);
        let _ = self
            .none_running
            .wait_timeout_while(running, patience, |running| !running.is_empty());
    }

    fn run(&self, boot: &Boot, spec: &CommandSpec, entry: &Entry) {
        let outcome = Execution {
            all: self,
            boot,
            spec,
            entry,
        }
        .run();
        let (finished, rest) = match outcome {
            Ok(Outcome { finished, rest }) => (finished, rest),
            Err(error) => (self.not_started(boot, &error), None),
        };
        let written = self
            .folder
            .command(&spec.invoke, "end")
            .and_then(|path| write_json(&path, &finished));
        if let Err(error) = written {
            self.log.say(&format!("{}: {error}", spec.invoke));
        }
        lock(&self.running).remove(&spec.invoke);
        self.none_running.notify_all();
        if let Some(rest) = rest {
            discard(&rest);
        }
    }

    fn not_started(&self, boot: &Boot, error: &NotStarted) -> Finished {
        let (status, fault) = if boot.ended_within(END_OF_INIT) {
            (CommandStatus::Failed, CommandFault::ExecutionInterrupted)
        } else {
            (CommandStatus::Error, error.fault)
        };
        self.log.say(&format!("a command was not started: {error}"));
        Finished {
            status,
            exit_code: None,
            output: Vec::new(),
            dropped: 0,
            error_code: Some(fault),
            error_info: Some(error.to_string()),
            started_at: None,
            finished_at: Timestamp::now(),
        }
    }
}

/// A command that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct NotStarted {
    fault: CommandFault,
    message: String,
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        Self {
            fault: CommandFault::ExecutionException,
            message: error.to_string(),
        }
    }
}

impl From<Errno> for NotStarted {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

struct Outcome {
    finished: Finished,
    /// The output's end, while something that the command left holds it.
    rest: Option<OwnedFd>,
}

/// Why a command was killed by us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Killed {
    Timeout,
    Stopped,
}

/// One command on its way.
struct Execution<'a> {
    all: &'a Commands,
    boot: &'a Boot,
    spec: &'a CommandSpec,
    entry: &'a Entry,
}

struct Process {
    pidfd: OwnedFd,
    output: OwnedFd,
}

impl Execution<'_> {
    fn run(&self) -> Result<Outcome, NotStarted> {
        if self.spec.kind != CommandKind::Shell {
            return Err(NotStarted {
                fault: CommandFault::CommandNotApplicable,
                message: "this system has no such command language".into(),
            });
        }
        let name = self.spec.username.as_deref().unwrap_or("root");
        let user = Accounts::read(&self.boot.root)?
            .user(name)
            .ok_or_else(|| NotStarted {
                fault: CommandFault::AccountNotExists,
                message: format!("there is no user '{name}'"),
            })?;
        let group = self.boot.groups.make_command(self.boot.next_command())?;
        let outcome = self.run_in(&user, &group);
        group.close();
        // The next command removes it.
        lock(&self.all.ended_scripts).extend(self.script());
        outcome
    }

    fn run_in(&self, user: &User, group: &CommandGroup) -> Result<Outcome, NotStarted> {
        let started_at = Timestamp::now();
        let deadline = Instant::now() + Duration::from_secs(self.spec.timeout_seconds);
        let process = self.start(user, group)?;
        *lock(&self.entry.started_at) = Some(started_at);
        darkroom_failpoint::reach_blocking("supervisor.command");
        let killed = self.follow(&process, group, deadline)?;
        let exit = sys::wait(process.pidfd.as_fd())?;
        let ended_by_us = killed.is_some();
        let rest = if self.drain(&process.output, !ended_by_us)? {
            None
        } else {
            Some(process.output)
        };
        Ok(Outcome {
            finished: self.finished(started_at, exit, killed),
            rest,
        })
    }

    fn start(&self, user: &User, group: &CommandGroup) -> Result<Process, NotStarted> {
        let text = |text: &str| {
            CString::new(text).map_err(|_| NotStarted {
                fault: CommandFault::ExecutionException,
                message: format!("'{}' holds a zero byte", text.escape_debug()),
            })
        };
        let script = self.script().ok_or(Errno::INVAL)?;
        let directory = text(self.spec.working_dir.as_deref().unwrap_or(&user.home))?;
        let folder = text(SCRIPTS)?;
        let shell = c"/bin/sh".to_owned();
        let arguments = if self.spec.content.starts_with(b"#!") {
            vec![script.clone()]
        } else {
            vec![shell, script.clone()]
        };
        let environment = [
            text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")?,
            text(&format!("HOME={}", user.home))?,
            text(&format!("USER={}", user.name))?,
            text(&format!("LOGNAME={}", user.name))?,
            text("LANG=C.UTF-8")?,
        ];
        let others: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let ended_scripts = std::mem::take(&mut *lock(&self.all.ended_scripts));
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (report, report_end) = pipe()?;
        let (output, output_end) = pipe()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let input = rustix::fs::open("/dev/null", flags, Mode::empty())?;
        let program = arguments.first().cloned().unwrap_or_default();
        let argument_array = pointers(&arguments);
        let environment_array = pointers(&environment);
        let plan = run::Plan {
            init: self.boot.init.pidfd.as_fd(),
            groups_v1: &self.boot.groups.joins_v1,
            report: report_end.as_fd(),
            input: input.as_fd(),
            output: output_end.as_fd(),
            is_terminal: false,
            script_folder: &folder,
            ended_scripts: &ended_scripts,
            script: &script,
            content: &self.spec.content,
            user: Uid::from_raw(user.uid),
            group: Gid::from_raw(user.gid),
            other_groups: &others,
            directory: &directory,
            any_directory: self.spec.working_dir.is_none(),
            program: &program,
            arguments: &argument_array,
            environment: &environment_array,
        };
        let mut first = || plan.execute();
        #[expect(unsafe_code, reason = "clone3 of a process with threads")]
        // SAFETY: the plan's program makes system calls on prepared memory only.
        let cloned = unsafe { sys::spawn_child(0, Some(group.folder().as_fd()), &mut first) }?;
        drop((report_end, output_end));
        let pidfd = self.await_exec(&report);
        // The first process ends by itself once it has said the second's number.
        sys::wait(cloned.pidfd.as_fd())?;
        Ok(Process {
            pidfd: pidfd?,
            output,
        })
    }

    /// The script's path inside the instance.
    fn script(&self) -> Option<CString> {
        CString::new(format!("{SCRIPTS}/{}", self.spec.invoke)).ok()
    }

    /// Waits until the command's own program runs. Ends in any case: when every
    /// holder of the report is gone.
    fn await_exec(&self, report: &OwnedFd) -> Result<OwnedFd, NotStarted> {
        let mut process = None;
        let mut failed = None;
        while let Some(record) = Record::receive(report)? {
            match record {
                Record::Started(pid) => {
                    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
                    // Our own child: the number is its until we reap it.
                    let flags = rustix::process::PidfdFlags::empty();
                    process = Some(rustix::process::pidfd_open(pid, flags)?);
                }
                Record::Failed(failure) => failed = Some(failure),
            }
        }
        match (process, failed) {
            (Some(process), None) => Ok(process),
            (process, failed) => {
                if let Some(process) = process {
                    sys::wait(process.as_fd())?;
                }
                Err(self.explain(failed))
            }
        }
    }

    fn explain(&self, failure: Option<Failure>) -> NotStarted {
        let Some(failure) = failure else {
            return NotStarted {
                fault: CommandFault::ExecutionException,
                message: "it ended before it was started".into(),
            };
        };
        let error = failure.error();
        if failure.place == Place::Directory {
            let directory = self.spec.working_dir.as_deref().unwrap_or("/");
            return NotStarted {
                fault: CommandFault::DirectoryNotExists,
                message: format!("the directory {directory} can't be entered: {error}"),
            };
        }
        NotStarted {
            fault: CommandFault::ExecutionException,
            message: format!("starting it ({:?}): {error}", failure.place),
        }
    }

    /// Reads output until the command's process has ended; kills it at its time
    /// limit and when it is told to.
    fn follow(
        &self,
        process: &Process,
        group: &CommandGroup,
        deadline: Instant,
    ) -> io::Result<Option<Killed>> {
        rustix::io::ioctl_fionbio(&process.output, true)?;
        let mut killed = None;
        let mut open = true;
        let mut patience_ends = deadline;
        loop {
            let left = patience_ends.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            let mut polled = vec![
                PollFd::new(&process.pidfd, PollFlags::IN),
                PollFd::new(&self.entry.wake, PollFlags::IN),
            ];
            if open {
                polled.push(PollFd::new(&process.output, PollFlags::IN));
            }
            match rustix::event::poll(&mut polled, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let seen: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
            if seen.get(2) == Some(&true) {
                open = !matches!(self.read(&process.output)?, Read::End);
            }
            if seen.first() == Some(&true) {
                return Ok(killed);
            }
            let late = Instant::now() >= patience_ends;
            if killed.is_some() {
                if late {
                    return Err(io::Error::other("it can't be killed"));
                }
            } else if late || self.entry.stopped.load(Ordering::Acquire) {
                killed = Some(if late {
                    Killed::Timeout
                } else {
                    Killed::Stopped
                });
                if !late && self.spec.termination == Termination::Process {
                    sys::send_signal(process.pidfd.as_fd(), libc::SIGKILL)?;
                } else {
                    group.kill();
                }
                patience_ends = Instant::now() + KILL_GRACE;
                // The wake-up has been heard.
                let _ = rustix::io::read(&self.entry.wake, &mut [0_u8; 8]);
            }
        }
    }

    /// Reads what is left when the process has ended; true at the end of the pipe.
    fn drain(&self, output: &OwnedFd, patiently: bool) -> io::Result<bool> {
        let end = Instant::now() + if patiently { DRAIN } else { QUIET };
        loop {
            match self.read(output)? {
                Read::End => return Ok(true),
                Read::Nothing if !readable_within(output, QUIET) => return Ok(false),
                Read::Some | Read::Nothing => {}
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    fn read(&self, output: &OwnedFd) -> io::Result<Read> {
        let mut buffer = vec![0; CHUNK];
        match rustix::io::read(output, &mut buffer) {
            Ok(0) => Ok(Read::End),
            Ok(length) => {
                lock(&self.entry.tail).push(buffer.get(..length).unwrap_or_default());
                Ok(Read::Some)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn finished(&self, started_at: Timestamp, exit: sys::Exit, killed: Option<Killed>) -> Finished {
        let (status, exit_code, error_code, error_info) = match (killed, exit) {
            (Some(Killed::Timeout), _) => (
                CommandStatus::Timeout,
                None,
                Some(CommandFault::ExecutionTimeout),
                Some(format!(
                    "it was ended after {} seconds",
                    self.spec.timeout_seconds
                )),
            ),
            (Some(Killed::Stopped), _) => (CommandStatus::Terminated, None, None, None),
            (None, sys::Exit::Code(0)) => (CommandStatus::Success, Some(0), None, None),
            (None, sys::Exit::Code(code)) => (
                CommandStatus::Failed,
                Some(code),
                Some(CommandFault::ExitCodeNonzero),
                None,
            ),
            (None, sys::Exit::Signal(signal)) if self.interrupted(signal) => (
                CommandStatus::Failed,
                None,
                Some(CommandFault::ExecutionInterrupted),
                Some("the instance went down".into()),
            ),
            (None, sys::Exit::Signal(signal)) => (
                CommandStatus::Failed,
                Some(128 + signal),
                Some(CommandFault::ExitCodeNonzero),
                Some(format!("signal {signal} ended it")),
            ),
        };
        let tail = lock(&self.entry.tail);
        Finished {
            status,
            exit_code,
            output: tail.kept(),
            dropped: tail.dropped(),
            error_code,
            error_info,
            started_at: Some(started_at),
            finished_at: Timestamp::now(),
        }
    }

    /// Whether a signal came from the end of the instance.
    fn interrupted(&self, signal: i32) -> bool {
        let fitting = [libc::SIGKILL, libc::SIGTERM, libc::SIGHUP].contains(&signal);
        fitting && (self.boot.going_down() || self.boot.ended_within(END_OF_INIT))
    }
}

enum Read {
    Some,
    Nothing,
    End,
}

/// Reads on for nobody, so that what a command left behind isn't killed by its next
/// line of output.
fn discard(output: &OwnedFd) {
    if rustix::io::ioctl_fionbio(output, false).is_err() {
        return;
    }
    let mut buffer = vec![0; CHUNK];
    while matches!(rustix::io::read(output, &mut buffer), Ok(length) if length > 0) {}
}
