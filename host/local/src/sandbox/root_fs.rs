//! The root file system of one boot: layers and the instance's own writes, as one
//! detached overlay mount that shows true owners inside the instance.
//!
//! Used by the supervisor between clone and exec of init. Nothing is ever mounted
//! where a path of the host leads to it: all mounts stay detached until the instance
//! takes the overlay, so that killing the supervisor leaves nothing behind.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags,
};

use super::sys;

/// The most layers that one instance can have; the kernel's own limit is 500.
pub const MAXIMUM_LAYERS: usize = 400;

/// What stands as the device in the instance's list of mounts.
const SOURCE: &str = "darkroom";

/// Every layer must be whole in itself, also where the kernel was built with other
/// defaults: no renamed folder and no changed owner may point into a layer below.
const OPTIONS: [(&str, &str); 3] = [
    ("redirect_dir", "nofollow"),
    ("metacopy", "off"),
    ("index", "off"),
];

/// Where overlay keeps its marks when the machine's root didn't mount it.
const USER_ATTRIBUTES: &str = "userxattr";

/// What the overlay is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The folders of the layers, the base first.
    pub layers: Vec<PathBuf>,
    /// The folder that holds `upper` and `work`.
    pub disk: PathBuf,
    /// How the owners in them become the instance's.
    pub owners: Owners,
}

/// How the owners of files on disk become those that an instance sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// By mapped mounts: files have their true owners, the instance has a range of the
    /// host's ids.
    Mapped {
        /// The instance's root as the host sees it.
        first: u32,
    },
    /// They are the same: this process is in a user namespace itself, and the instance
    /// in one inside that repeats its numbers.
    Same,
}

impl Owners {
    /// The instance's root as this process sees it.
    pub fn root(self) -> u32 {
        match self {
            Self::Mapped { first } => first,
            Self::Same => 0,
        }
    }
}

/// Makes the overlay. `user_namespace` must map 0 to [`Owners::root`].
///
/// It runs in a thread of its own, which takes the file identity of the instance's
/// root: without that, overlay can't make the folder inside its work directory and
/// falls back to read-only without saying so.
///
/// # Errors
/// Which part could not be mounted, and why.
pub fn assemble(parts: &Parts, user_namespace: &OwnedFd) -> io::Result<OwnedFd> {
    std::thread::scope(|scope| {
        let mounter = scope.spawn(|| mount(parts, user_namespace));
        mounter
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the mounting thread ended early")))
    })
}

fn mount(parts: &Parts, user_namespace: &OwnedFd) -> io::Result<OwnedFd> {
    let mut lowers = Vec::with_capacity(parts.layers.len());
    for layer in parts.layers.iter().rev() {
        lowers.push(detached(layer, parts.owners, user_namespace)?);
    }
    let disk = detached(&parts.disk, parts.owners, user_namespace)?;
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let overlay = if takes_descriptors(&context, &lowers) {
        by_descriptors(&context, &lowers, &disk, parts.owners)?
    } else {
        by_names(&lowers, &disk, parts.owners)?
    };
    let flags = rustix::fs::fstatvfs(&overlay)?.f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) {
        return Err(io::Error::other(
            "the kernel made the overlay read-only; its log says why",
        ));
    }
    Ok(overlay)
}

/// Gives the layers to the mount context; false on kernels before 6.13.
fn takes_descriptors(context: &OwnedFd, lowers: &[OwnedFd]) -> bool {
    lowers.iter().all(|lower| {
        rustix::mount::fsconfig_set_fd(context.as_fd(), "lowerdir+", lower.as_fd()).is_ok()
    })
}

fn by_descriptors(
    context: &OwnedFd,
    lowers: &[OwnedFd],
    disk: &OwnedFd,
    owners: Owners,
) -> io::Result<OwnedFd> {
    debug_assert!(!lowers.is_empty());
    let open = |name: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(disk, name, flags, Mode::empty())
    };
    let explained = |error| explain(context, error);
    become_mounter(owners)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", SOURCE)?;
    for (name, value) in OPTIONS {
        rustix::mount::fsconfig_set_string(context.as_fd(), name, value).map_err(explained)?;
    }
    if owners == Owners::Same {
        let set = rustix::mount::fsconfig_set_flag(context.as_fd(), USER_ATTRIBUTES);
        set.map_err(explained)?;
    }
    rustix::mount::fsconfig_set_fd(context.as_fd(), "upperdir", open("upper")?.as_fd())
        .map_err(explained)?;
    rustix::mount::fsconfig_set_fd(context.as_fd(), "workdir", open("work")?.as_fd())
        .map_err(explained)?;
    rustix::mount::fsconfig_create(context.as_fd()).map_err(explained)?;
    // Layers hold no device nodes, but nothing depends on that.
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV;
    let cloexec = FsMountFlags::FSMOUNT_CLOEXEC;
    Ok(rustix::mount::fsmount(
        context.as_fd(),
        cloexec,
        attributes,
    )?)
}

/// The way for older kernels: in a mount namespace of this thread alone the layers
/// get short names in a file system in memory, and the overlay is taken out of it.
fn by_names(lowers: &[OwnedFd], disk: &OwnedFd, owners: Owners) -> io::Result<OwnedFd> {
    sys::unshare_mounts()?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", private)?;
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let cloexec = FsMountFlags::FSMOUNT_CLOEXEC;
    let names = rustix::mount::fsmount(context.as_fd(), cloexec, MountAttrFlags::empty())?;
    // A folder that every host has; nothing in it is needed here.
    place(&names, "/sys")?;
    rustix::process::fchdir(&names)?;
    let mut layers = String::new();
    for (number, lower) in lowers.iter().enumerate() {
        let name = number.to_string();
        rustix::fs::mkdir(&name, Mode::from_raw_mode(0o755))?;
        place(lower, &name)?;
        layers = if layers.is_empty() {
            name
        } else {
            format!("{layers}:{name}")
        };
    }
    for name in ["disk", "root"] {
        rustix::fs::mkdir(name, Mode::from_raw_mode(0o755))?;
    }
    place(disk, "disk")?;
    become_mounter(owners)?;
    let mut options = format!("lowerdir={layers},upperdir=disk/upper,workdir=disk/work");
    for (name, value) in OPTIONS {
        options = format!("{options},{name}={value}");
    }
    if owners == Owners::Same {
        options = format!("{options},{USER_ATTRIBUTES}");
    }
    let options = CString::new(options).map_err(io::Error::other)?;
    let flags = MountFlags::NODEV;
    rustix::mount::mount(SOURCE, "root", "overlay", flags, options.as_c_str())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, "root", flags)?)
}

fn place(mount: &OwnedFd, at: &str) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", CWD, at, flags)?)
}

/// The thread's file identity while it mounts is the instance's root.
fn become_mounter(owners: Owners) -> io::Result<()> {
    match owners {
        Owners::Mapped { first } => sys::become_file_user(first),
        Owners::Same => Ok(()),
    }
}

/// A detached mount of a folder that shows the owners as the instance sees them.
fn detached(folder: &Path, owners: Owners, user_namespace: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let mount =
        rustix::mount::open_tree(CWD, folder, flags).map_err(|error| named(error.into()))?;
    if owners != Owners::Same {
        sys::map_owners(mount.as_fd(), user_namespace.as_fd()).map_err(named)?;
    }
    Ok(mount)
}

/// A detached mount of a device node of the host.
///
/// # Errors
/// What the kernel answered.
pub fn device(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, path, flags)?)
}

/// Adds what the mount context has to say to a bare error number.
fn explain(context: &OwnedFd, error: rustix::io::Errno) -> io::Error {
    let mut text = [0_u8; 512];
    let said = rustix::io::read(context, &mut text).unwrap_or(0);
    let said = String::from_utf8_lossy(text.get(..said).unwrap_or_default());
    let error = io::Error::from(error);
    io::Error::new(
        error.kind(),
        format!("mounting the overlay: {error} {}", said.trim()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::rootless::Standing;
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    const FIRST: u32 = 0x5000_0000;

    /// A user namespace that maps root to [`FIRST`], held by a child until the pipe
    /// is closed.
    fn user_namespace() -> (OwnedFd, sys::Child, OwnedFd) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let held = std::os::fd::AsRawFd::as_raw_fd(&write);
        let mut program = || {
            // Its own copy of the writing end would keep the pipe open.
            #[expect(unsafe_code, reason = "the copy of a descriptor in a child")]
            // SAFETY: the child uses it for nothing.
            unsafe {
                libc::close(held);
            }
            let _ = rustix::io::read(&read, &mut [0_u8; 1]);
            0
        };
        #[expect(unsafe_code, reason = "clone3 of a test with threads")]
        // SAFETY: only system calls.
        let child = unsafe { sys::spawn_child(libc::CLONE_NEWUSER, None, &mut program) }.unwrap();
        let proc = format!("/proc/{}", child.pid.as_raw_nonzero());
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("{proc}/{map}"), format!("0 {FIRST} 65536")).unwrap();
        }
        let namespace = fs::File::open(format!("{proc}/ns/user")).unwrap();
        (namespace.into(), child, write)
    }

    #[test]
    fn both_ways_make_the_same_file_system() {
        if Standing::own() != Standing::Root {
            println!("not run: needs root");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        for folder in ["base", "top", "disk/upper", "disk/work"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        fs::write(place.path().join("base/file"), "base").unwrap();
        fs::write(place.path().join("base/below"), "below").unwrap();
        fs::write(place.path().join("top/file"), "top").unwrap();
        let (namespace, child, hold) = user_namespace();
        for way in [true, false] {
            let overlay = std::thread::scope(|scope| {
                let make = || {
                    let owners = Owners::Mapped { first: FIRST };
                    let map = |name: &str| {
                        detached(&place.path().join(name), owners, &namespace).unwrap()
                    };
                    let (lowers, disk) = ([map("top"), map("base")], map("disk"));
                    let cloexec = FsOpenFlags::FSOPEN_CLOEXEC;
                    let context = rustix::mount::fsopen("overlay", cloexec).unwrap();
                    if way && !takes_descriptors(&context, &lowers) {
                        return None;
                    }
                    let made = if way {
                        by_descriptors(&context, &lowers, &disk, owners)
                    } else {
                        by_names(&lowers, &disk, owners)
                    };
                    Some(made.unwrap())
                };
                scope.spawn(make).join().unwrap()
            });
            let Some(overlay) = overlay else {
                println!("not run: this kernel takes no descriptors");
                continue;
            };
            let root = format!(
                "/proc/self/fd/{}",
                std::os::fd::AsRawFd::as_raw_fd(&overlay)
            );
            let root = Path::new(&root);
            assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "top");
            assert_eq!(fs::read_to_string(root.join("below")).unwrap(), "below");
            assert_eq!(fs::metadata(root.join("file")).unwrap().uid(), FIRST);
            fs::remove_file(root.join("below")).unwrap();
            assert!(!root.join("below").exists());
            drop(overlay);
            let upper = place.path().join("disk/upper");
            let whiteout = fs::symlink_metadata(upper.join("below")).unwrap();
            assert_eq!((whiteout.uid(), whiteout.rdev()), (0, 0));
            fs::remove_dir_all(place.path().join("disk")).unwrap();
            fs::create_dir_all(upper).unwrap();
            fs::create_dir_all(place.path().join("disk/work")).unwrap();
        }
        drop(hold);
        sys::wait(child.pidfd.as_fd()).unwrap();
    }
}
