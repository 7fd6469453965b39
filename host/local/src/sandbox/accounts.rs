//! Users and groups of an instance, read from its own `/etc/passwd` and `/etc/group`.
//!
//! Used by the supervisor before it starts a command or writes a file. The files are
//! opened so that links end inside the instance's root, only when they are regular,
//! and never more than `LIMIT` is read: they belong to somebody else.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

/// What is read of an instance's account files at most.
const LIMIT: u64 = 4 * 1024 * 1024;

/// A user as a command needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the first group.
    pub gid: u32,
    /// The home directory.
    pub home: String,
    /// The numbers of the other groups.
    pub groups: Vec<u32>,
}

/// The two files of an instance.
#[derive(Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads them below the instance's root. A missing file is an empty one.
    ///
    /// # Errors
    /// When one is there and can't be read.
    pub fn read(root: &OwnedFd) -> io::Result<Self> {
        Ok(Self {
            passwd: read_inside(root, "etc/passwd")?,
            group: read_inside(root, "etc/group")?,
        })
    }

    /// A user by name or by number. Root is always there.
    pub fn user(&self, wanted: &str) -> Option<User> {
        let found = self.passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?;
            if name != wanted && uid != wanted {
                return None;
            }
            let gid = number(fields.next()?)?;
            let home = fields.nth(1).filter(|home| home.starts_with('/'));
            Some(User {
                name: name.to_owned(),
                uid: number(uid)?,
                gid,
                home: home.unwrap_or("/").to_owned(),
                groups: self.groups_of(name, gid),
            })
        });
        found.or_else(|| {
            (wanted == "root").then(|| User {
                name: "root".into(),
                uid: 0,
                gid: 0,
                home: "/root".into(),
                groups: Vec::new(),
            })
        })
    }

    /// A group's number by name or by number.
    pub fn group(&self, wanted: &str) -> Option<u32> {
        let found = self.group.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?;
            (name == wanted || gid == wanted).then(|| number(gid))?
        });
        found.or((wanted == "root").then_some(0))
    }

    fn groups_of(&self, user: &str, first: u32) -> Vec<u32> {
        self.group
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let gid = number(fields.nth(2)?)?;
                let member = fields.next()?.split(',').any(|name| name.trim() == user);
                (member && gid != first).then_some(gid)
            })
            .collect()
    }
}

/// A user's or group's number. The highest one means "leave it as it is" to the kernel.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

/// Opens a path below a root; links end inside it. What is opened for reading may be
/// a pipe that nobody writes to: pass `NONBLOCK`.
pub(super) fn open_inside(root: &OwnedFd, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(
        root.as_fd(),
        path,
        flags,
        Mode::empty(),
        resolve,
    )?)
}

fn read_inside(root: &OwnedFd, path: &str) -> io::Result<String> {
    let file = match open_inside(root, path, OFlags::NONBLOCK | OFlags::NOCTTY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other?,
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other(format!("/{path} is no regular file")));
    }
    let mut bytes = Vec::new();
    File::from(file).take(LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn open(path: &std::path::Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn users_come_with_their_other_groups() {
        let accounts = Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n".into(),
            group: "root:x:0:\nadm:x:4:syslog,app\napp:x:1000:app\n".into(),
        };
        let app = accounts.user("app").unwrap();
        assert_eq!(
            (app.uid, app.gid, app.groups.as_slice()),
            (1000, 1000, &[4][..])
        );
        assert_eq!(app.home, "/home/app");
        assert_eq!(accounts.user("1000").unwrap().name, "app");
        assert_eq!(accounts.user("nobody"), None);
        assert_eq!(accounts.group("adm"), Some(4));
        assert_eq!(accounts.group("none"), None);
    }

    #[test]
    fn the_number_that_means_no_change_is_nobodys() {
        let (none, last) = (u32::MAX, u32::MAX - 1);
        let accounts = Accounts {
            passwd: format!("odd:x:{none}:0::/:\nlow:x:1:{none}::/:\nlast:x:{last}:0::/:\n"),
            group: format!("odd:x:{none}:last\n"),
        };
        assert_eq!(accounts.user("odd"), None);
        assert_eq!(accounts.user("low"), None);
        assert_eq!(accounts.group("odd"), None);
        let user = accounts.user("last").unwrap();
        assert_eq!((user.uid, user.groups), (last, vec![]));
    }

    #[test]
    fn an_empty_instance_still_has_root() {
        let accounts = Accounts::default();
        assert_eq!(accounts.user("root").unwrap().uid, 0);
        assert_eq!(accounts.group("root"), Some(0));
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("root");
        std::fs::create_dir_all(inside.join("etc")).unwrap();
        std::fs::write(folder.path().join("secret"), "spy:x:0:0::/:\n").unwrap();
        symlink("../../secret", inside.join("etc/passwd")).unwrap();
        symlink(folder.path().join("secret"), inside.join("etc/group")).unwrap();
        let accounts = Accounts::read(&open(&inside)).unwrap();
        assert_eq!(accounts.user("spy"), None);
        assert_eq!(accounts.group, "");
    }

    #[test]
    fn a_folder_in_the_place_of_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/passwd")).unwrap();
        assert!(Accounts::read(&open(folder.path())).is_err());
    }
}
