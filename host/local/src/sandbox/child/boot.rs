//! From the fresh process to the image's own init: the start sequence inside.
//!
//! 1. Wait for the root file system, which the supervisor can only make once the
//!    user namespace exists; the end of the socket means that it died.
//! 2. Become the instance's root, then ask to die with the supervisor. In this
//!    order: a change of identity clears the request.
//! 3. Private mounts; the root file system over the host's /dev, which is in every
//!    root; then proc, sysfs, cgroup2, /dev, /run, the boot id and resolv.conf.
//! 4. `pivot_root`, detach the host's root, host name, null standard descriptors.
//! 5. Execute init with a clean environment and no other descriptor, or go on as init
//!    where the image has none (`super::init`). The report pipe closes by itself: its
//!    end without a record says that init runs.
//!
//! Mount points of the image are opened without following symbolic links, so that
//! an image can't aim a mount at another place.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Gid, Signal, Uid};

use super::{At, Failure, Place, Record, write_all};
use crate::sandbox::sys;

/// What the supervisor says with the root file system: which init there will be.
pub const IMAGES_INIT: u8 = b'i';
/// The same for an image that has none.
pub const OWN_INIT: u8 = b'o';

/// All that the program needs, prepared before the clone.
pub struct Plan<'a> {
    /// The root file system comes through it.
    pub socket: BorrowedFd<'a>,
    /// The supervisor's end of it, of which the child has a copy.
    pub supervisors: BorrowedFd<'a>,
    /// Failures go here.
    pub report: BorrowedFd<'a>,
    /// The devices of /dev: name, and a detached mount of the host's node.
    pub devices: &'a [(&'static CStr, OwnedFd)],
    /// The boot id's file.
    pub boot_id: &'a [u8],
    /// The content of resolv.conf.
    pub resolv_conf: &'a [u8],
    /// The highest process id, where no control group limits their number.
    pub highest_pid: Option<&'a [u8]>,
    /// The host name.
    pub host_name: &'a [u8],
    /// What our own init hides.
    pub words: sys::OwnWords,
    /// Init's path in the image.
    pub program: &'a CStr,
    /// Its arguments, null at the end.
    pub arguments: &'a [*const libc::c_char],
    /// Its environment, null at the end.
    pub environment: &'a [*const libc::c_char],
}

impl Plan<'_> {
    /// Runs in the child; returns only when it failed, with the exit code.
    pub fn execute(&self) -> i32 {
        if let Err(failure) = self.boot() {
            Record::Failed(failure).send(self.report);
        }
        1
    }

    fn boot(&self) -> Result<(), Failure> {
        // Else the child would keep the socket open itself, and wait for ever for a
        // supervisor that has died.
        #[expect(unsafe_code, reason = "a borrowed descriptor is closed")]
        // SAFETY: we are the child, and only the supervisor uses its end.
        unsafe {
            sys::close_copy(self.supervisors);
        }
        let (root, which) = self.receive_root()?;
        become_root()?;
        self.die_with_the_supervisor()?;
        sys::unshare_cgroup_namespace().at(Place::Namespaces)?;
        self.mount_all(&root)?;
        rustix::system::sethostname(self.host_name).at(Place::HostName)?;
        null_standard_descriptors()?;
        // A session leader already, when the supervisor's is inherited: no matter.
        let _ = rustix::process::setsid();
        rustix::process::umask(Mode::from_raw_mode(0o022));
        sys::lower_descriptor_limit();
        if which == OWN_INIT {
            return Err(super::init::go_on(&self.words, self.report));
        }
        sys::reset_signals();
        sys::close_on_execute_from(3);
        #[expect(unsafe_code, reason = "execve on prepared arrays")]
        // SAFETY: the plan's arrays end with null and live until exec.
        let error = unsafe { sys::execute(self.program, self.arguments, self.environment) };
        Err(error).at(Place::Execute)
    }

    fn receive_root(&self) -> Result<(OwnedFd, u8), Failure> {
        let mut byte = [0_u8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [std::io::IoSliceMut::new(&mut byte)];
        let got = rustix::net::recvmsg(
            self.socket,
            &mut parts,
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        )
        .at(Place::Parent)?;
        if got.bytes == 1 {
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
                    && let Some(root) = descriptors.next()
                {
                    return Ok((root, byte[0]));
                }
            }
        }
        Err(Errno::PIPE).at(Place::Parent)
    }

    /// The supervisor may have died before the request was made: then its end of
    /// the socket is closed, and ours of it has been from the beginning.
    fn die_with_the_supervisor(&self) -> Result<(), Failure> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).at(Place::Parent)?;
        let mut byte = [0_u8];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(self.socket, &mut byte, flags) {
            Err(Errno::AGAIN) => Ok(()),
            Ok(_) => Err(Errno::PIPE).at(Place::Parent),
            Err(error) => Err(error).at(Place::Parent),
        }
    }

    fn mount_all(&self, root: &OwnedFd) -> Result<(), Failure> {
        rustix::mount::mount_change(
            c"/",
            MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
        )
        .at(Place::Root)?;
        rustix::mount::move_mount(
            root,
            c"",
            CWD,
            c"/dev",
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .at(Place::Root)?;
        rustix::process::fchdir(root).at(Place::Root)?;

        let proc = attach(root, c"proc", c"proc", &[], nothing_special()).at(Place::Proc)?;
        let sys = attach(
            root,
            c"sys",
            c"sysfs",
            &[],
            nothing_special() | MountAttrFlags::MOUNT_ATTR_RDONLY,
        )
        .at(Place::Sys)?;
        let group = open_folder(&sys, c"fs/cgroup").at(Place::CgroupMount)?;
        let group_mount = make_mount(c"cgroup2", &[], nothing_special()).at(Place::CgroupMount)?;
        cover(&group_mount, &group).at(Place::CgroupMount)?;
        self.make_devices(root).at(Place::Dev)?;
        let run = attach(
            root,
            c"run",
            c"tmpfs",
            &[(c"mode", c"755"), (c"size", c"20%")],
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
        )
        .at(Place::Run)?;
        self.put_boot_id(&run, &proc).at(Place::BootId)?;
        let _ = self.limit_processes(&proc);
        self.put_resolv_conf(&run, root).at(Place::ResolvConf)?;

        rustix::process::pivot_root(c".", c".").at(Place::Pivot)?;
        rustix::mount::unmount(c".", UnmountFlags::DETACH).at(Place::Pivot)?;
        rustix::process::chdir(c"/").at(Place::Pivot)
    }

    fn make_devices(&self, root: &OwnedFd) -> Result<(), Errno> {
        let exec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let options = [(c"mode", c"755"), (c"size", c"64k")];
        let dev = attach(root, c"dev", c"tmpfs", &options, exec)?;
        let plain = Mode::from_raw_mode(0o666);
        for (name, node) in self.devices {
            rustix::fs::mknodat(&dev, *name, FileType::RegularFile, plain, 0)?;
            cover(node, &open_path(&dev, name, OFlags::empty())?)?;
        }
        let options = [
            (c"newinstance", c""),
            (c"ptmxmode", c"0666"),
            (c"mode", c"0620"),
            (c"gid", c"5"),
        ];
        attach(&dev, c"pts", c"devpts", &options, exec)?;
        let options = [(c"mode", c"1777")];
        // Programs may map code from here, as on any Debian.
        let shared = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        attach(&dev, c"shm", c"tmpfs", &options, shared)?;
        for (name, target) in [
            (c"ptmx", c"pts/ptmx"),
            (c"fd", c"/proc/self/fd"),
            (c"stdin", c"/proc/self/fd/0"),
            (c"stdout", c"/proc/self/fd/1"),
            (c"stderr", c"/proc/self/fd/2"),
        ] {
            rustix::fs::symlinkat(target, &dev, name)?;
        }
        Ok(())
    }

    fn put_boot_id(&self, run: &OwnedFd, proc: &OwnedFd) -> Result<(), Errno> {
        let target = open_path(proc, c"sys/kernel/random/boot_id", OFlags::empty())?;
        cover_with_text(run, self.boot_id, &target, true)
    }

    /// Since Linux 6.14 each process namespace has its own highest id. The file is made
    /// read-only afterwards, because systemd sets it to the most that there is. Where
    /// it can't be written there is no limit, as the log says.
    fn limit_processes(&self, proc: &OwnedFd) -> Result<(), Errno> {
        let Some(highest) = self.highest_pid else {
            return Ok(());
        };
        let path = c"sys/kernel/pid_max";
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(proc, path, flags, Mode::empty())?;
        write_all(file.as_fd(), highest)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = rustix::mount::open_tree(proc, path, flags)?;
        if let Err(error) = sys::make_plain_read_only(mount.as_fd()) {
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        }
        cover(&mount, &open_path(proc, path, OFlags::empty())?)
    }

    /// Over the image's own file. An image whose resolv.conf is a link to something
    /// that only its own resolver makes is left alone.
    fn put_resolv_conf(&self, run: &OwnedFd, root: &OwnedFd) -> Result<(), Errno> {
        let etc = match open_folder(root, c"etc") {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let target = match open_path(&etc, c"resolv.conf", OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => {
                let mode = Mode::from_raw_mode(0o644);
                rustix::fs::mknodat(&etc, c"resolv.conf", FileType::RegularFile, mode, 0)?;
                open_path(&etc, c"resolv.conf", OFlags::NOFOLLOW)?
            }
            other => other?,
        };
        let kind = rustix::fs::statat(&target, c"", AtFlags::EMPTY_PATH)?.st_mode;
        if FileType::from_raw_mode(kind) == FileType::RegularFile {
            cover_with_text(run, self.resolv_conf, &target, false)?;
        }
        Ok(())
    }
}

/// Covers a file with a private one, made in a tmpfs of the instance and unlinked
/// there: no path of the host appears in the list of mounts.
fn cover_with_text(
    run: &OwnedFd,
    content: &[u8],
    target: &OwnedFd,
    read_only: bool,
) -> Result<(), Errno> {
    let name = c".darkroom";
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(run, name, flags, Mode::from_raw_mode(0o644))?;
    write_all(file.as_fd(), content)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = rustix::mount::open_tree(run, name, flags)?;
    if read_only && let Err(error) = sys::make_plain_read_only(mount.as_fd()) {
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    cover(&mount, target)?;
    rustix::fs::unlinkat(run, name, AtFlags::empty())
}

/// Becomes the root of the user namespace.
pub(super) fn become_root() -> Result<(), Failure> {
    rustix::thread::set_thread_groups(&[]).at(Place::Identity)?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(Place::Identity)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(Place::Identity)
}

fn null_standard_descriptors() -> Result<(), Failure> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()).at(Place::Standard)?;
    rustix::stdio::dup2_stdin(&null).at(Place::Standard)?;
    rustix::stdio::dup2_stdout(&null).at(Place::Standard)?;
    rustix::stdio::dup2_stderr(&null).at(Place::Standard)
}

fn nothing_special() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}

fn make_mount(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?;
        } else {
            rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)?;
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Makes a file system and puts it at a folder directly in `parent`, which is made
/// when it is missing.
fn attach(
    parent: &OwnedFd,
    name: &CStr,
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let mount = make_mount(kind, options, attributes)?;
    let target = match open_folder(parent, name) {
        Err(Errno::NOENT) => {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
            open_folder(parent, name)?
        }
        other => other?,
    };
    cover(&mount, &target)?;
    Ok(mount)
}

fn cover(mount: &impl AsFd, target: &OwnedFd) -> Result<(), Errno> {
    rustix::mount::move_mount(
        mount.as_fd(),
        c"",
        target,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

fn open_folder(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    open_path(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

fn open_path(parent: &OwnedFd, name: &CStr, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | more;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
