//! Takes out of a tree what belongs to a host or to one machine, and gives it the
//! folders that an instance is mounted on.
//!
//! The tree may come from a stranger's archive, with links that point out of it, so
//! every access is by cap-std.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// Files that an instance writes for itself.
const EMPTIED: [&str; 3] = ["etc/hostname", "etc/resolv.conf", "etc/machine-id"];

/// Folders that other file systems are mounted on.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "run", "sys"];

/// Tidies the tree.
pub(super) fn tidy(rootfs: &Path) -> io::Result<()> {
    let root = Dir::open_ambient_dir(rootfs, ambient_authority())?;
    root.create_dir_all("etc")?;
    for file in EMPTIED {
        remove(&root, file)?;
        root.write(file, "")?;
    }
    let hosts = format!(
        "{}\tlocalhost\n{}\tlocalhost ip6-localhost ip6-loopback\n",
        Ipv4Addr::LOCALHOST,
        Ipv6Addr::LOCALHOST
    );
    remove(&root, "etc/hosts")?;
    root.write("etc/hosts", hosts)?;
    for folder in MOUNT_POINTS {
        match root.symlink_metadata(folder) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => root.remove_file(folder)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        root.create_dir_all(folder)?;
    }
    // Nobody needs device nodes: an instance gets its own.
    let devices = root.open_dir("dev")?;
    for entry in devices.entries()? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            devices.remove_dir_all(entry.file_name())?;
        } else {
            devices.remove_file(entry.file_name())?;
        }
    }
    Ok(())
}

fn remove(root: &Dir, path: &str) -> io::Result<()> {
    match root.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_came_from_the_host_is_taken_out() {
        let place = tempfile::tempdir().unwrap();
        for folder in ["etc", "dev/pts"] {
            fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        fs::write(place.path().join("etc/hostname"), "my-laptop").unwrap();
        fs::write(place.path().join("dev/null"), "").unwrap();
        tidy(place.path()).unwrap();
        let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
        assert_eq!(read("etc/hostname"), "");
        assert_eq!(read("etc/machine-id"), "");
        assert!(read("etc/hosts").contains("localhost"));
        assert_eq!(fs::read_dir(place.path().join("dev")).unwrap().count(), 0);
        assert!(place.path().join("proc").is_dir());
    }

    #[test]
    fn nothing_outside_of_the_tree_is_written() {
        let place = tempfile::tempdir().unwrap();
        let (rootfs, outside) = (place.path().join("rootfs"), place.path().join("outside"));
        fs::create_dir(&rootfs).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("hosts"), "mine").unwrap();
        symlink(&outside, rootfs.join("etc")).unwrap();
        tidy(&rootfs).unwrap_err();
        fs::remove_file(rootfs.join("etc")).unwrap();
        symlink(&outside, rootfs.join("dev")).unwrap();
        tidy(&rootfs).unwrap();
        assert_eq!(fs::read_to_string(outside.join("hosts")).unwrap(), "mine");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
