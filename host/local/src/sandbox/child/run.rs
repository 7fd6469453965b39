//! From the supervisor to a command inside the instance.
//!
//! Two processes. The first one, a child of the supervisor on the host's side,
//! joins the instance's cgroups and namespaces; only children of it are in the
//! instance's process namespace. It makes the second one as a sibling, so that the
//! supervisor is the command's own parent and reads its exit status itself, tells
//! its process id and ends. The command's process writes the script, becomes the
//! user and executes.
//!
//! Neither can be looked into from the instance: the first isn't visible there, and
//! both are marked as not to be traced until exec. The second one closes what it has
//! of the supervisor's descriptors before it looks at any path: the instance's
//! `/proc/self/fd` would lead through them to folders of the host.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::ThreadNameSpaceType;

use super::boot::become_root;
use super::{At, Failure, Place, Record, write_all};
use crate::sandbox::sys;

/// All that the programs need, prepared before the clone.
pub struct Plan<'a> {
    /// The instance's init.
    pub init: BorrowedFd<'a>,
    /// `cgroup.procs` of the v1 cgroups; the cgroup2 is joined by the clone.
    pub groups_v1: &'a [OwnedFd],
    /// What is told goes here.
    pub report: BorrowedFd<'a>,
    /// Standard input.
    pub input: BorrowedFd<'a>,
    /// Standard output and error.
    pub output: BorrowedFd<'a>,
    /// Whether those are a terminal, which becomes the session's own.
    pub is_terminal: bool,
    /// The folder of scripts inside the instance.
    pub script_folder: &'a CStr,
    /// Scripts of commands that have ended, to be removed.
    pub ended_scripts: &'a [std::ffi::CString],
    /// The script's path inside the instance.
    pub script: &'a CStr,
    /// Its content.
    pub content: &'a [u8],
    /// The user.
    pub user: Uid,
    /// The user's group.
    pub group: Gid,
    /// The user's other groups.
    pub other_groups: &'a [Gid],
    /// The working directory.
    pub directory: &'a CStr,
    /// Whether the root folder will do when that one can't be entered.
    pub any_directory: bool,
    /// The program: the script itself, or the shell.
    pub program: &'a CStr,
    /// Its arguments, null at the end.
    pub arguments: &'a [*const libc::c_char],
    /// Its environment, null at the end.
    pub environment: &'a [*const libc::c_char],
}

impl Plan<'_> {
    /// Runs in the first process; the exit code says nothing.
    pub fn execute(&self) -> i32 {
        let entered = enter(self.init, self.groups_v1, true);
        let started = entered.and_then(|()| {
            let mut program = || self.second();
            #[expect(unsafe_code, reason = "clone3 between clone and exec")]
            // SAFETY: `second` makes system calls on prepared memory only.
            unsafe { sys::spawn_sibling(&mut program) }.at(Place::Namespaces)
        });
        match started {
            Ok(pid) => Record::Started(pid).send(self.report),
            Err(failure) => Record::Failed(failure).send(self.report),
        }
        0
    }

    fn second(&self) -> i32 {
        if let Err(failure) = self.become_command() {
            Record::Failed(failure).send(self.report);
        }
        127
    }

    fn become_command(&self) -> Result<(), Failure> {
        rustix::process::setsid().at(Place::Standard)?;
        rustix::stdio::dup2_stdin(self.input).at(Place::Standard)?;
        rustix::stdio::dup2_stdout(self.output).at(Place::Standard)?;
        rustix::stdio::dup2_stderr(self.output).at(Place::Standard)?;
        if self.is_terminal {
            rustix::process::ioctl_tiocsctty(self.input).at(Place::Standard)?;
        }
        #[expect(unsafe_code, reason = "closes descriptors that others own")]
        // SAFETY: this is a child's copy; from here on only the report is used.
        unsafe { sys::close_all_but(self.report) }.at(Place::Standard)?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        self.write_script().at(Place::Script)?;
        rustix::thread::set_thread_groups(self.other_groups).at(Place::User)?;
        rustix::thread::set_thread_res_gid(self.group, self.group, self.group).at(Place::User)?;
        rustix::thread::set_thread_res_uid(self.user, self.user, self.user).at(Place::User)?;
        if let Err(errno) = rustix::process::chdir(self.directory) {
            if !self.any_directory {
                return Err(errno).at(Place::Directory);
            }
            rustix::process::chdir(c"/").at(Place::Directory)?;
        }
        sys::lower_descriptor_limit();
        sys::reset_signals();
        sys::close_on_execute_from(3);
        #[expect(unsafe_code, reason = "execve on prepared arrays")]
        // SAFETY: the plan's arrays end with null and live until exec.
        let error = unsafe { sys::execute(self.program, self.arguments, self.environment) };
        Err(error).at(Place::Execute)
    }

    fn write_script(&self) -> Result<(), Errno> {
        match rustix::fs::mkdir(self.script_folder, Mode::from_raw_mode(0o711)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        for ended in self.ended_scripts {
            let _ = rustix::fs::unlink(ended.as_c_str());
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.script, flags, Mode::from_raw_mode(0o700))?;
        write_all(file.as_fd(), self.content)?;
        rustix::fs::fchown(&file, Some(self.user), Some(self.group))
    }
}

/// Joins an instance. `processes`: whether children shall be in its process
/// namespace, too.
pub(super) fn enter(
    init: BorrowedFd<'_>,
    groups_v1: &[OwnedFd],
    processes: bool,
) -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Place::Namespaces)?;
    for group in groups_v1 {
        // Zero is whoever writes it.
        write_all(group.as_fd(), b"0").at(Place::Cgroups)?;
    }
    let mut spaces = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    if processes {
        spaces |= ThreadNameSpaceType::PROCESS_ID;
    }
    rustix::thread::move_into_thread_name_spaces(init, spaces).at(Place::Namespaces)?;
    become_root()
}
