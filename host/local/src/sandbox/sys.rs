//! The few system calls that neither std nor rustix offers, each behind a function
//! that can't be misused from safe code, except those that are marked unsafe, whose
//! contracts are in their own words.
//!
//! Used by everything in [`crate::sandbox`] that makes processes or mounts. This
//! and [`super::child`] are the only places with unsafe code; no policy may stand
//! here.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

/// A child that was cloned, with the descriptor that names it for ever.
#[derive(Debug)]
pub struct Child {
    /// Its process id as the host sees it.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called exit.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl From<WaitIdStatus> for Exit {
    fn from(status: WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Code(-1),
        }
    }
}

/// Clones the calling process and runs `program` in the copy, which exits with the
/// number that it returns.
///
/// `namespaces` are `CLONE_NEW*` flags; `cgroup` is a folder of a cgroup2 that the
/// child starts in.
///
/// # Safety
/// The calling process may have other threads, whose locks stay locked for ever in
/// the copy. `program` must therefore only make system calls on memory that was
/// prepared before: no allocation, no lock, no std input or output, no panic.
///
/// # Errors
/// What clone3 answered.
#[expect(unsafe_code, reason = "clone3 has no safe wrapper")]
pub unsafe fn spawn_child(
    namespaces: libc::c_int,
    cgroup: Option<BorrowedFd<'_>>,
    program: &mut dyn FnMut() -> i32,
) -> io::Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let mut flags = u64::from(namespaces.cast_unsigned()) | widen(libc::CLONE_PIDFD);
    let mut group = 0;
    if let Some(folder) = cgroup {
        flags |= CLONE_INTO_CGROUP;
        group = widen(folder.as_raw_fd());
    }
    let arguments = CloneArguments {
        flags,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: widen(libc::SIGCHLD),
        cgroup: group,
        ..CloneArguments::default()
    };
    // SAFETY: the structure is as long as is said and outlives the call; without
    // CLONE_VM the child has its own copy of all memory, this stack included.
    let pid = unsafe { clone3(&arguments) }?;
    match Pid::from_raw(pid) {
        None => exit_now(program()),
        Some(pid) => Ok(Child {
            pid,
            // SAFETY: CLONE_PIDFD made this descriptor for us alone.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// In a child made by [`spawn_child`]: makes a sibling, a child of the child's own
/// parent, and runs `program` in it. Returns the sibling's process id in the
/// caller's process namespace.
///
/// # Safety
/// As for [`spawn_child`].
///
/// # Errors
/// What clone3 answered.
#[expect(unsafe_code, reason = "clone3 has no safe wrapper")]
pub unsafe fn spawn_sibling(program: &mut dyn FnMut() -> i32) -> io::Result<i32> {
    let arguments = CloneArguments {
        flags: widen(libc::CLONE_PARENT),
        ..CloneArguments::default()
    };
    // SAFETY: as in `spawn_child`.
    let pid = unsafe { clone3(&arguments) }?;
    if pid == 0 {
        exit_now(program());
    }
    Ok(pid)
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The kernel's `struct clone_args`, 88 bytes.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

fn widen(number: libc::c_int) -> u64 {
    u64::from(number.cast_unsigned())
}

#[expect(unsafe_code, reason = "clone3 has no safe wrapper")]
unsafe fn clone3(arguments: &CloneArguments) -> io::Result<i32> {
    // SAFETY: the pointer and the length describe one live structure.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_ref(arguments),
            size_of::<CloneArguments>(),
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(answer).unwrap_or(i32::MAX))
}

/// Ends the process at once: no destructor, no exit handler.
#[expect(unsafe_code, reason = "std only offers an exit that runs handlers")]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(code) }
}

/// Replaces the process by a program; returns only when that failed.
///
/// # Safety
/// `arguments` and `environment` must be arrays of live C strings that end with a
/// null pointer.
#[expect(
    unsafe_code,
    reason = "execve has no safe wrapper that doesn't allocate"
)]
pub unsafe fn execute(
    program: &CStr,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> io::Error {
    // SAFETY: by the contract of this function.
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
    }
    io::Error::last_os_error()
}

/// Gives every signal its default action and lets all of them through, as a fresh
/// program expects it: a Rust process ignores SIGPIPE, and ignoring is inherited.
#[expect(unsafe_code, reason = "std and rustix leave signal actions to libc")]
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: no handler is installed; unknown and unchangeable signals are
        // refused by the kernel, which is fine.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    // SAFETY: the set is initialized by sigemptyset before it is used.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Gives the process the usual limit of descriptors, which it may raise: the supervisor's
/// own is far above what programs expect that close all that they could have.
pub fn lower_descriptor_limit() {
    const USUAL: u64 = 1024;
    let resource = rustix::process::Resource::Nofile;
    let mut limit = rustix::process::getrlimit(resource);
    limit.current = Some(limit.maximum.unwrap_or(USUAL).min(USUAL));
    let _ = rustix::process::setrlimit(resource, limit);
}

/// Blocks every signal, so that [`next_signal`] finds it.
///
/// # Errors
/// What the kernel answered.
#[expect(unsafe_code, reason = "std and rustix leave signal masks to libc")]
pub fn block_signals() -> io::Result<()> {
    // SAFETY: the set is initialized by sigfillset before it is used.
    let answer = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut())
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits for one of the blocked signals, for some time or for ever.
#[expect(unsafe_code, reason = "std and rustix leave signals to libc")]
pub fn next_signal(patience: Option<Duration>) -> Option<i32> {
    let time = patience.map(|patience| libc::timespec {
        tv_sec: patience.as_secs().cast_signed(),
        tv_nsec: i64::from(patience.subsec_nanos()),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set is initialized by sigfillset; the time lives until the call ends.
    let signal = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigtimedwait(&raw const all, std::ptr::null_mut(), time)
    };
    (signal > 0).then_some(signal)
}

/// Sends a signal to every process that the caller may send one to, except itself; with
/// 0 it only looks. False: there is none.
#[expect(unsafe_code, reason = "rustix has no kill of all processes")]
pub fn signal_all_others(signal: i32) -> bool {
    // Outside of a process namespace that would be the whole machine.
    if !rustix::process::getpid().is_init() {
        return false;
    }
    // SAFETY: plain numbers.
    unsafe { libc::kill(-1, signal) == 0 }
}

/// Where the kernel reads the arguments and the environment of this process that it
/// shows in `/proc`.
#[derive(Clone, Copy, Debug)]
pub struct OwnWords {
    begin: usize,
    end: usize,
}

impl OwnWords {
    /// Finds them.
    ///
    /// # Errors
    /// When /proc doesn't say where they are.
    pub fn find() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // The second field is the program's name in brackets and may hold anything. The
        // arguments begin at field 48, the environment ends at field 51.
        let found = stat.rsplit_once(") ").and_then(|(_, rest)| {
            let mut fields = rest.split_whitespace().skip(45);
            let begin = fields.next()?.parse().ok()?;
            let end = fields.nth(2)?.parse().ok()?;
            (0 < begin && begin < end).then_some(Self { begin, end })
        });
        found.ok_or_else(|| io::Error::other("/proc/self/stat names no arguments"))
    }

    /// Replaces all of them by `name`.
    ///
    /// # Safety
    /// Only in a child made by [`spawn_child`], which never looks at its arguments and
    /// its environment.
    #[expect(unsafe_code, reason = "memory that Rust knows nothing of is written")]
    pub unsafe fn overwrite(&self, name: &[u8]) {
        let length = self.end - self.begin;
        let words = std::ptr::with_exposed_provenance_mut::<u8>(self.begin);
        // SAFETY: the kernel put the words there, writable, one behind the other, and
        // nobody else reads them.
        unsafe {
            std::ptr::write_bytes(words, 0, length);
            std::ptr::copy_nonoverlapping(name.as_ptr(), words, name.len().min(length));
        }
    }
}

/// Marks every descriptor from `first` on to be closed by the next `execve`.
pub fn close_on_execute_from(first: u32) {
    #[expect(unsafe_code, reason = "close_range has no safe wrapper")]
    // SAFETY: only sets a flag on descriptors, closes none.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// Closes one descriptor.
///
/// # Safety
/// Only in a child made by [`spawn_child`], which uses this descriptor of its parent
/// not any more.
#[expect(unsafe_code, reason = "a borrowed descriptor is closed")]
pub unsafe fn close_copy(descriptor: BorrowedFd<'_>) {
    // SAFETY: the child's copy is its own; the parent's stays open.
    unsafe {
        libc::syscall(libc::SYS_close, descriptor.as_raw_fd());
    }
}

/// Closes every descriptor from 3 on, except one.
///
/// # Safety
/// Only in a child made by [`spawn_child`] or [`spawn_sibling`], which uses no other
/// descriptor of its parent afterwards.
///
/// # Errors
/// What `close_range` answered.
#[expect(unsafe_code, reason = "close_range has no safe wrapper")]
pub unsafe fn close_all_but(kept: BorrowedFd<'_>) -> io::Result<()> {
    // The first three are kept anyway.
    let kept = kept.as_raw_fd().cast_unsigned().max(2);
    for (first, last) in [(3, kept - 1), (kept + 1, u32::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: by the contract of this function nobody misses what is closed.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Leaves the cgroup namespace of the caller for a new one that begins at the
/// cgroup it is in.
///
/// # Errors
/// What unshare answered.
pub fn unshare_cgroup_namespace() -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix marks unshare unsafe because of FILES")]
    // SAFETY: descriptors stay shared.
    unsafe {
        rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP)?;
    }
    Ok(())
}

/// Puts the calling thread into a new network namespace.
///
/// # Errors
/// What unshare answered.
pub fn unshare_network() -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix marks unshare unsafe because of FILES")]
    // SAFETY: descriptors stay shared.
    unsafe {
        rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET)?;
    }
    Ok(())
}

/// Puts the calling thread into a new mount namespace, with a root and a working
/// directory of its own.
///
/// # Errors
/// What unshare answered.
pub fn unshare_mounts() -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix marks unshare unsafe because of FILES")]
    // SAFETY: descriptors stay shared.
    unsafe {
        rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)?;
    }
    Ok(())
}

/// Makes the process the owner of a new user namespace, in which it has no ids yet, and
/// gives it a mount namespace that belongs to it.
///
/// # Errors
/// What unshare answered; a process with several threads is refused.
pub fn unshare_users_and_mounts() -> io::Result<()> {
    use rustix::thread::UnshareFlags;
    #[expect(unsafe_code, reason = "rustix marks unshare unsafe because of FILES")]
    // SAFETY: descriptors stay shared.
    unsafe {
        rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    }
    Ok(())
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Makes a detached mount show its owners through a user namespace's mapping.
///
/// # Errors
/// What `mount_setattr` answered.
pub fn map_owners(mount: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    set_attributes(
        mount,
        &MountAttributes {
            set: libc::MOUNT_ATTR_IDMAP,
            user_namespace: widen(user_namespace.as_raw_fd()),
            ..MountAttributes::default()
        },
    )
}

/// Makes a detached mount read-only, without devices, programs and set-uid bits.
///
/// # Errors
/// What `mount_setattr` answered.
pub fn make_plain_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_attributes(
        mount,
        &MountAttributes {
            set: libc::MOUNT_ATTR_RDONLY
                | libc::MOUNT_ATTR_NODEV
                | libc::MOUNT_ATTR_NOEXEC
                | libc::MOUNT_ATTR_NOSUID,
            ..MountAttributes::default()
        },
    )
}

fn set_attributes(mount: BorrowedFd<'_>, attributes: &MountAttributes) -> io::Result<()> {
    #[expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]
    // SAFETY: the pointer and the length describe one live structure.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the calling thread touch files as another user, with all of its
/// capabilities kept. The thread must end afterwards.
///
/// # Errors
/// When the kernel didn't do it.
pub fn become_file_user(id: u32) -> io::Result<()> {
    let kept = rustix::thread::capabilities(None)?;
    #[expect(unsafe_code, reason = "setfsuid has no safe wrapper")]
    // SAFETY: plain numbers; the calls change the calling thread only.
    let now = unsafe {
        libc::setfsgid(id);
        libc::setfsuid(id);
        libc::setfsuid(u32::MAX)
    };
    if now.cast_unsigned() != id {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    rustix::thread::set_capabilities(None, kept)?;
    Ok(())
}

/// Waits until the child ends, and reaps it.
///
/// # Errors
/// When it is not a child, or was reaped already.
pub fn wait(child: BorrowedFd<'_>) -> io::Result<Exit> {
    loop {
        match rustix::process::waitid(WaitId::PidFd(child), WaitIdOptions::EXITED) {
            Ok(Some(status)) => return Ok(status.into()),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lets a command that std is going to start begin in a session of its own with no
/// descriptor but the three, and without the kernel keys of our session: they are
/// inherited, and who has them reads them, also in a user namespace.
pub fn detach(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    #[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
    // SAFETY: only system calls on no memory at all.
    unsafe {
        command.pre_exec(|| {
            close_on_execute_from(3);
            rustix::process::setsid()?;
            // A kernel without keys has none to give away.
            libc::syscall(
                libc::SYS_keyctl,
                libc::KEYCTL_JOIN_SESSION_KEYRING,
                std::ptr::null::<libc::c_char>(),
            );
            Ok(())
        });
    }
}

/// The number of a real-time signal as C libraries count them.
pub fn real_time_signal(number: i32) -> i32 {
    libc::SIGRTMIN() + number
}

/// Sends a signal by number to the process that a pidfd names.
///
/// # Errors
/// What the kernel answered; a process that has ended is none.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "rustix doesn't know real-time signals")]
    // SAFETY: the null pointer means plain signal information.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if answer < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error);
        }
    }
    Ok(())
}
