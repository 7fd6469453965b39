//! Trees of files as layers hold them: reading all that counts of an entry, copying
//! a tree with hard links, and copying it for real.
//!
//! Used by the layer store. Folders are opened one below the other and never by a
//! path from the top, so that neither links nor long paths matter. What counts:
//! kind, mode, owner, times, extended attributes, hard links, holes; a whiteout is a
//! character device 0:0.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// The deepest tree: each level holds a descriptor.
const DEEPEST: usize = 400;

/// Extended attributes of overlay that mean something only where they were written.
const LOCAL_ATTRIBUTES: [&[u8]; 8] = [
    b"trusted.overlay.origin",
    b"trusted.overlay.impure",
    b"trusted.overlay.uuid",
    b"trusted.overlay.nlink",
    b"user.overlay.origin",
    b"user.overlay.impure",
    b"user.overlay.uuid",
    b"user.overlay.nlink",
];

/// The mark of a folder that hides what the layers below have in its place, by who
/// mounted the overlay: the machine's root, or the root of a user namespace.
const OPAQUE: [&CStr; 2] = [c"trusted.overlay.opaque", c"user.overlay.opaque"];

/// One entry, seen from its folder.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The folder that it is in.
    pub parent: &'a OwnedFd,
    /// Its name.
    pub name: &'a CStr,
    /// What the file system says of it.
    pub stat: Stat,
}

impl Entry<'_> {
    /// What it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens it, not following a link.
    ///
    /// # Errors
    /// What the system answered.
    pub fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        open_at(self.parent, self.name, flags)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// What the system answered.
    pub fn target(&self) -> io::Result<CString> {
        Ok(rustix::fs::readlinkat(self.parent, self.name, Vec::new())?)
    }

    /// A path that leads to the entry itself for calls that know no descriptors.
    fn path(&self) -> PathBuf {
        let folder = PathBuf::from(format!("/proc/self/fd/{}", self.parent.as_raw_fd()));
        folder.join(os_str(self.name))
    }

    /// Its extended attributes, sorted, without those that overlay needs only where
    /// they are.
    ///
    /// # Errors
    /// What the system answered.
    pub fn attributes(&self) -> io::Result<Vec<(CString, Vec<u8>)>> {
        let mut found = Vec::new();
        for name in attribute_names(&self.path())? {
            if !LOCAL_ATTRIBUTES.contains(&name.as_bytes()) {
                let value = attribute(&self.path(), &name)?;
                found.push((name, value));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes what overlay needs only where it is.
    ///
    /// # Errors
    /// What the system answered.
    pub fn forget_local_attributes(&self) -> io::Result<()> {
        for name in attribute_names(&self.path())? {
            if LOCAL_ATTRIBUTES.contains(&name.as_bytes()) {
                rustix::fs::lremovexattr(self.path(), name.as_c_str())?;
            }
        }
        Ok(())
    }
}

/// Opens the folder at the top of a tree.
///
/// # Errors
/// What the system answered.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The entries of a folder in the order of their bytes.
///
/// # Errors
/// What the system answered.
pub fn names(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// An entry of a folder; `.` is the folder itself.
///
/// # Errors
/// What the system answered.
pub fn entry<'a>(parent: &'a OwnedFd, name: &'a CStr) -> io::Result<Entry<'a>> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Entry { parent, name, stat })
}

/// What visits every entry of a tree: a folder before what is in it, the top as `.`.
pub type Visit<'a> = dyn FnMut(&[u8], &Entry<'_>) -> io::Result<()> + 'a;

/// Visits a tree in the order of names; the first argument is the entry's path below
/// the top.
///
/// # Errors
/// What the system or the visitor answered.
pub fn walk(top: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    let folder = open(top)?;
    visit(b".", &entry(&folder, c".")?)?;
    walk_in(&folder, &mut Vec::new(), 0, visit)
}

fn walk_in(
    folder: &OwnedFd,
    path: &mut Vec<u8>,
    depth: usize,
    visit: &mut Visit<'_>,
) -> io::Result<()> {
    check_depth(depth)?;
    for name in names(folder)? {
        let one = entry(folder, &name)?;
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend(name.as_bytes());
        visit(path, &one)?;
        if one.kind() == FileType::Directory {
            let inner = one.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
            walk_in(&inner, path, depth + 1, visit)?;
        }
        path.truncate(length);
    }
    Ok(())
}

pub(super) fn check_depth(depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!(
            "the tree has more than {DEEPEST} folders inside each other"
        )));
    }
    Ok(())
}

/// Levels of a tree that is going to be removed, at most: std takes a descriptor and a
/// piece of the stack for each.
const SHALLOW: usize = 200;

/// Moves the folders that are too deep up to the top, so that the tree can be removed.
/// Instances can make trees of any depth.
///
/// # Errors
/// What the system answered.
pub fn flatten(path: &Path) -> io::Result<()> {
    let top = open(path)?;
    let mut lifted = Vec::new();
    lift(&top, &top, 0, &mut lifted)?;
    while let Some(name) = lifted.pop() {
        let folder = open_at(&top, &name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        lift(&top, &folder, 1, &mut lifted)?;
    }
    Ok(())
}

fn lift(
    top: &OwnedFd,
    folder: &OwnedFd,
    depth: usize,
    lifted: &mut Vec<CString>,
) -> io::Result<()> {
    for name in names(folder)? {
        let one = entry(folder, &name)?;
        if one.kind() != FileType::Directory {
            continue;
        }
        if depth < SHALLOW {
            let inner = one.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
            lift(top, &inner, depth + 1, lifted)?;
        } else {
            let new = CString::new(uuid::Uuid::new_v4().to_string()).map_err(io::Error::other)?;
            rustix::fs::renameat(folder, &name, top, &new)?;
            lifted.push(new);
        }
    }
    Ok(())
}

/// Copies a tree to a folder that does not exist yet. Files are hard links; where
/// the two places can't share any, their content is copied.
///
/// # Errors
/// What the system answered; the target may be there in part.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_as(from, to, true)
}

/// The same with files of its own, whatever becomes of the source.
///
/// # Errors
/// As for [`copy`].
pub fn duplicate(from: &Path, to: &Path) -> io::Result<()> {
    copy_as(from, to, false)
}

fn copy_as(from: &Path, to: &Path, links: bool) -> io::Result<()> {
    let source = open(from)?;
    rustix::fs::mkdir(to, Mode::from_raw_mode(0o700))?;
    let target = open(to)?;
    let mut copier = Copier {
        links,
        top: open(to)?,
        seen: HashMap::new(),
    };
    copier.folder(&source, &target, &mut Vec::new(), 0)?;
    copy_look(&entry(&source, c".")?, &entry(&target, c".")?)
}

struct Copier {
    links: bool,
    top: OwnedFd,
    /// Where files with several names were put first.
    seen: HashMap<(u64, u64), CString>,
}

impl Copier {
    fn folder(
        &mut self,
        source: &OwnedFd,
        target: &OwnedFd,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        check_depth(depth)?;
        for name in names(source)? {
            let one = entry(source, &name)?;
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend(name.as_bytes());
            if one.kind() == FileType::Directory {
                rustix::fs::mkdirat(target, &name, Mode::from_raw_mode(0o700))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let (inner, copy) = (one.open(flags)?, open_at(target, &name, flags)?);
                self.folder(&inner, &copy, path, depth + 1)?;
                copy_look(&one, &entry(target, &name)?)?;
            } else {
                self.file(&one, target, path)?;
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn file(&mut self, one: &Entry<'_>, target: &OwnedFd, path: &[u8]) -> io::Result<()> {
        if self.links {
            let linked =
                rustix::fs::linkat(one.parent, one.name, target, one.name, AtFlags::empty());
            match linked {
                Ok(()) => return Ok(()),
                // Another file system, or more links than this one allows.
                Err(Errno::XDEV) => self.links = false,
                // The same; or a file of somebody else, of which an ordinary user may
                // make no other name.
                Err(Errno::MLINK | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let key = (one.stat.st_dev, one.stat.st_ino);
        if let Some(first) = self.seen.get(&key) {
            let linked = rustix::fs::linkat(&self.top, first, target, one.name, AtFlags::empty());
            return Ok(linked?);
        }
        copy_file(one, target)?;
        if one.stat.st_nlink > 1 {
            let path = CString::new(path).map_err(io::Error::other)?;
            self.seen.insert(key, path);
        }
        Ok(())
    }
}

/// Copies one entry that is no folder.
pub(super) fn copy_file(one: &Entry<'_>, target: &OwnedFd) -> io::Result<()> {
    match one.kind() {
        FileType::RegularFile => {
            let source = File::from(one.open(OFlags::RDONLY)?);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let made = rustix::fs::openat(target, one.name, flags, Mode::from_raw_mode(0o600))?;
            copy_content(&source, &File::from(made), one.stat.st_size.unsigned_abs())?;
        }
        FileType::Symlink => rustix::fs::symlinkat(one.target()?, target, one.name)?,
        kind => {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(target, one.name, kind, mode, one.stat.st_rdev)?;
        }
    }
    copy_look(one, &entry(target, one.name)?)
}

/// Copies the parts of a file that hold data; holes stay holes.
fn copy_content(source: &File, target: &File, size: u64) -> io::Result<()> {
    rustix::fs::ftruncate(target, size)?;
    let mut at = 0;
    while at < size {
        let begin = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole from here on.
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(begin))?;
        copy_range(source, target, begin, end)?;
        at = end;
    }
    Ok(())
}

fn copy_range(source: &File, target: &File, begin: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut at = begin;
    while at < end {
        let wanted = usize::try_from(end - at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = rustix::io::pread(source, part, at)?;
        if read == 0 {
            return Ok(());
        }
        std::os::unix::fs::FileExt::write_all_at(
            target,
            buffer.get(..read).unwrap_or_default(),
            at,
        )?;
        at += read as u64;
    }
    Ok(())
}

/// Gives an entry the owner, attributes, mode and times of another: in this order,
/// because a new owner clears set-uid bits and capabilities.
pub(super) fn copy_look(from: &Entry<'_>, to: &Entry<'_>) -> io::Result<()> {
    let stat = &from.stat;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(to.parent, to.name, Some(user), Some(group), flags)?;
    for (name, value) in from.attributes()? {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::lsetxattr(to.path(), name.as_c_str(), &value, flags)?;
    }
    if from.kind() != FileType::Symlink {
        let mode = Mode::from_raw_mode(stat.st_mode);
        rustix::fs::chmodat(to.parent, to.name, mode, AtFlags::empty())?;
    }
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::utimensat(to.parent, to.name, &times, flags)?;
    Ok(())
}

fn time(seconds: impl TryInto<i64>, nanoseconds: impl TryInto<i64>) -> Timespec {
    Timespec {
        tv_sec: seconds.try_into().unwrap_or_default(),
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    }
}

fn open_at(parent: &OwnedFd, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Makes a folder with the look of another.
///
/// # Errors
/// What the system answered.
pub fn make_like(path: &Path, model: &Path) -> io::Result<()> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(0o700))?;
    let (model, made) = (open(model)?, open(path)?);
    copy_look(&entry(&model, c".")?, &entry(&made, c".")?)?;
    // What is opaque is the model, not its look.
    for mark in OPAQUE {
        match rustix::fs::lremovexattr(path, mark) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn attribute_names(path: &Path) -> io::Result<Vec<CString>> {
    let mut buffer = vec![0_u8; 64 * 1024];
    let length = match rustix::fs::llistxattr(path, buffer.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    Ok(buffer
        .get(..length)
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .map(CStr::to_owned)
        .collect())
}

fn attribute(path: &Path, name: &CStr) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0_u8; 64 * 1024];
    let length = rustix::fs::lgetxattr(path, name, buffer.as_mut_slice())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn os_str(name: &CStr) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes())
}

/// Makes everything below a path last.
///
/// # Errors
/// What the system answered.
pub fn sync(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::digest;
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn sample(top: &Path) {
        fs::create_dir_all(top.join("bin/empty")).unwrap();
        fs::write(top.join("bin/tool"), "tool").unwrap();
        fs::set_permissions(top.join("bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(top.join("bin/tool"), top.join("bin/again")).unwrap();
        symlink("/nowhere", top.join("link")).unwrap();
        fs::write(top.join("x".repeat(255)), "long").unwrap();
        let sparse = File::create(top.join("sparse")).unwrap();
        std::os::unix::fs::FileExt::write_at(&sparse, b"end", 50 << 20).unwrap();
    }

    #[test]
    fn both_ways_of_copying_keep_everything_that_counts() {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("from");
        sample(&from);
        let was = digest(&from).unwrap();
        for (name, links) in [("linked", true), ("copied", false)] {
            let to = place.path().join(name);
            copy_as(&from, &to, links).unwrap();
            assert_eq!(digest(&to).unwrap(), was, "{name}");
            let tool = fs::metadata(to.join("bin/tool")).unwrap();
            assert_eq!(
                tool.ino(),
                fs::metadata(to.join("bin/again")).unwrap().ino()
            );
            assert_eq!(tool.mode() & 0o7777, 0o4755);
            let sparse = fs::metadata(to.join("sparse")).unwrap();
            assert!(sparse.blocks() * 512 < 1 << 20, "{name} filled the hole");
        }
    }

    #[test]
    fn a_real_copy_shares_nothing() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        sample(&from);
        copy_as(&from, &to, false).unwrap();
        let inode = |top: &Path| fs::metadata(top.join("bin/tool")).unwrap().ino();
        assert_ne!(inode(&from), inode(&to));
    }

    #[test]
    fn a_tree_that_is_too_deep_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = open(place.path()).unwrap();
        for _ in 0..=DEEPEST + 1 {
            rustix::fs::mkdirat(&folder, c"d", Mode::from_raw_mode(0o700)).unwrap();
            folder = open_at(&folder, c"d", OFlags::RDONLY).unwrap();
        }
        assert!(walk(place.path(), &mut |_, _| Ok(())).is_err());
    }
}
