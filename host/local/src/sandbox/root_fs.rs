//! The root file system of one boot: layers and the instance's own writes, as one
//! detached overlay mount that shows true owners inside the instance.
//!
//! Used by the supervisor between clone and exec of init. Nothing is ever mounted
//! where a path of the host leads to it: all mounts stay detached until the instance
//! takes the overlay, so that killing the supervisor leaves nothing behind.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use super::sys;

/// The most layers that one instance can have; the kernel's own limit is 500.
pub const MAXIMUM_LAYERS: usize = 400;

/// What the overlay is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The folders of the layers, the base first.
    pub layers: Vec<PathBuf>,
    /// The folder that holds `upper` and `work`.
    pub disk: PathBuf,
    /// The instance's root as the host sees it.
    pub first_id: u32,
}

/// Makes the overlay. `user_namespace` must map 0 to [`Parts::first_id`].
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
        lowers.push(mapped(layer, user_namespace)?);
    }
    let disk = mapped(&parts.disk, user_namespace)?;
    let open = |name: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&disk, name, flags, Mode::empty())
    };
    let (upper, work) = (open("upper")?, open("work")?);

    sys::become_file_user(parts.first_id)?;
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "source", "darkroom")?;
    for lower in &lowers {
        rustix::mount::fsconfig_set_fd(context.as_fd(), "lowerdir+", lower.as_fd())
            .map_err(|error| explain(&context, error))?;
    }
    rustix::mount::fsconfig_set_fd(context.as_fd(), "upperdir", upper.as_fd())
        .map_err(|error| explain(&context, error))?;
    rustix::mount::fsconfig_set_fd(context.as_fd(), "workdir", work.as_fd())
        .map_err(|error| explain(&context, error))?;
    rustix::mount::fsconfig_create(context.as_fd()).map_err(|error| explain(&context, error))?;
    // Layers hold no device nodes, but nothing depends on that.
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV;
    let overlay =
        rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    if rustix::fs::fstatvfs(&overlay)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY)
    {
        return Err(io::Error::other(
            "the kernel made the overlay read-only; its log says why",
        ));
    }
    Ok(overlay)
}

/// A detached mount of a folder that shows the owners as the instance sees them.
fn mapped(folder: &Path, user_namespace: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let mount =
        rustix::mount::open_tree(CWD, folder, flags).map_err(|error| named(error.into()))?;
    sys::map_owners(mount.as_fd(), user_namespace.as_fd()).map_err(named)?;
    Ok(mount)
}

/// A detached, read-only mount of one file.
///
/// # Errors
/// What the kernel answered.
pub fn read_only_file(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = rustix::mount::open_tree(CWD, path, flags)?;
    sys::make_plain_read_only(mount.as_fd())?;
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
