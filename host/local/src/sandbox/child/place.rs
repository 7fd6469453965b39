//! Puts one file into an instance, from a process that has joined its namespaces:
//! links in the path end inside the instance, and nothing is done with more rights
//! than the instance's root has.
//!
//! The file appears whole or not at all: it is written beside its place and renamed
//! into it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::run::enter;
use super::{At, Failure, Place, Record, write_all};
use crate::sandbox::sys;

/// All that the program needs, prepared before the clone.
pub struct Plan<'a> {
    /// The instance's init.
    pub init: BorrowedFd<'a>,
    /// `cgroup.procs` of the v1 cgroups.
    pub groups_v1: &'a [OwnedFd],
    /// Failures go here.
    pub report: BorrowedFd<'a>,
    /// Every folder above the file, the topmost first; missing ones are made.
    pub parents: &'a [CString],
    /// The file.
    pub path: &'a CStr,
    /// The name that it has while it is written, in the same folder.
    pub draft: &'a CStr,
    /// The bytes.
    pub content: &'a [u8],
    /// The owner.
    pub user: Uid,
    /// The group.
    pub group: Gid,
    /// The mode.
    pub mode: Mode,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
}

impl Plan<'_> {
    /// Runs in the child; 0 when the file is there.
    pub fn execute(&self) -> i32 {
        match enter(self.init, self.groups_v1, false).and_then(|()| self.place()) {
            Ok(()) => 0,
            Err(failure) => {
                Record::Failed(failure).send(self.report);
                1
            }
        }
    }

    fn place(&self) -> Result<(), Failure> {
        // Links of the instance must find no descriptor of the host's to lead through.
        #[expect(unsafe_code, reason = "closes descriptors that others own")]
        // SAFETY: this is a child's copy; from here on only the report is used.
        unsafe { sys::close_all_but(self.report) }.at(Place::Standard)?;
        rustix::process::umask(Mode::empty());
        for parent in self.parents {
            match rustix::fs::mkdir(parent.as_c_str(), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error).at(Place::Parents),
            }
        }
        match rustix::fs::statat(CWD, self.path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).at(Place::Parents),
            Ok(_) if !self.overwrite => return Err(Errno::EXIST).at(Place::Exists),
            Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Directory => {
                return Err(Errno::ISDIR).at(Place::File);
            }
            Ok(_) => {}
        }
        let written = self.write_draft().at(Place::File);
        let placed = written.and_then(|()| self.rename());
        if placed.is_err() {
            let _ = rustix::fs::unlink(self.draft);
        }
        placed
    }

    fn write_draft(&self) -> Result<(), Errno> {
        let _ = rustix::fs::unlink(self.draft);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.draft, flags, Mode::from_raw_mode(0o600))?;
        self.fill(&file)?;
        rustix::fs::fsync(&file)
    }

    fn fill(&self, file: &OwnedFd) -> Result<(), Errno> {
        write_all(file.as_fd(), self.content)?;
        rustix::fs::fchown(file, Some(self.user), Some(self.group))?;
        // After the owner, whose change clears the set-uid bits.
        rustix::fs::fchmod(file, self.mode)
    }

    fn rename(&self) -> Result<(), Failure> {
        let flags = if self.overwrite {
            RenameFlags::empty()
        } else {
            RenameFlags::NOREPLACE
        };
        match rustix::fs::renameat_with(CWD, self.draft, CWD, self.path, flags) {
            Err(Errno::EXIST) => Err(Errno::EXIST).at(Place::Exists),
            // Something is mounted on the file, such as on resolv.conf: it can only
            // be written in place.
            Err(Errno::BUSY) => self.write_in_place().at(Place::File),
            other => other.at(Place::File),
        }
    }

    fn write_in_place(&self) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.path, flags, Mode::empty())?;
        self.fill(&file)?;
        rustix::fs::unlink(self.draft)
    }
}
