//! What runs between clone and exec: programs made of system calls only.
//!
//! The supervisor has several threads, and a copy of such a process may neither
//! allocate nor lock. Everything that these programs need is therefore prepared as
//! plain data before the clone ([`boot::Plan`], [`run::Plan`], [`place::Plan`]),
//! and they tell what happened through a pipe in records of twelve bytes
//! ([`Record`]). rustix calls the kernel directly, without errno and without
//! allocation for C strings, so that most of this is safe code.
//!
//! Used by [`super::supervisor`]. A function here must not allocate, print, lock or
//! panic.

pub mod boot;
mod init;
pub mod place;
pub mod run;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Where a program was when a call failed. The numbers travel through the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// The supervisor went away.
    Parent = 1,
    /// Taking the identity of the instance's root.
    Identity,
    /// Entering namespaces.
    Namespaces,
    /// Joining cgroups.
    Cgroups,
    /// Putting the root file system in.
    Root,
    /// Mounting proc.
    Proc,
    /// Mounting sysfs.
    Sys,
    /// Mounting the cgroup2.
    CgroupMount,
    /// Making /dev.
    Dev,
    /// Making /run.
    Run,
    /// Putting the boot id in.
    BootId,
    /// Putting resolv.conf in.
    ResolvConf,
    /// Leaving the host's root.
    Pivot,
    /// Setting the host name.
    HostName,
    /// Standard input and output.
    Standard,
    /// Writing the script.
    Script,
    /// Becoming the user.
    User,
    /// Entering the working directory.
    Directory,
    /// Executing the program.
    Execute,
    /// Making the folders above a file.
    Parents,
    /// The file is there already.
    Exists,
    /// Writing the file.
    File,
}

const PLACES: [Place; 22] = [
    Place::Parent,
    Place::Identity,
    Place::Namespaces,
    Place::Cgroups,
    Place::Root,
    Place::Proc,
    Place::Sys,
    Place::CgroupMount,
    Place::Dev,
    Place::Run,
    Place::BootId,
    Place::ResolvConf,
    Place::Pivot,
    Place::HostName,
    Place::Standard,
    Place::Script,
    Place::User,
    Place::Directory,
    Place::Execute,
    Place::Parents,
    Place::Exists,
    Place::File,
];

/// A call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub place: Place,
    /// What the kernel answered.
    pub errno: i32,
}

impl Failure {
    /// The kernel's answer as an error.
    pub fn error(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// Attaches the place to an answer of the kernel.
trait At<T> {
    fn at(self, place: Place) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, place: Place) -> Result<T, Failure> {
        self.map_err(|errno| Failure {
            place,
            errno: errno.raw_os_error(),
        })
    }
}

impl<T> At<T> for io::Result<T> {
    fn at(self, place: Place) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            place,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }
}

/// What a program says through its pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The command's process, by the host's number.
    Started(i32),
    /// The program ended here.
    Failed(Failure),
}

impl Record {
    /// A record is written at once and never torn.
    pub const LENGTH: usize = 12;

    fn encode(self) -> [u8; Self::LENGTH] {
        let (kind, first, second) = match self {
            Self::Started(pid) => (1_u32, pid.cast_unsigned(), 0),
            Self::Failed(failure) => (2, failure.place as u32, failure.errno.cast_unsigned()),
        };
        let mut bytes = [0; Self::LENGTH];
        for (slot, number) in bytes.chunks_exact_mut(4).zip([kind, first, second]) {
            slot.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let mut numbers = [0_u32; 3];
        for (number, slot) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
            *number = u32::from_ne_bytes(slot.try_into().ok()?);
        }
        match numbers {
            [1, pid, _] => Some(Self::Started(pid.cast_signed())),
            [2, place, errno] => Some(Self::Failed(Failure {
                place: *PLACES.iter().find(|known| **known as u32 == place)?,
                errno: errno.cast_signed(),
            })),
            _ => None,
        }
    }

    /// Writes the record; nothing can be done when nobody reads it.
    fn send(self, pipe: BorrowedFd<'_>) {
        let _ = rustix::io::write(pipe, &self.encode());
    }

    /// Reads the next record; none at the end of the pipe.
    ///
    /// # Errors
    /// When the pipe can't be read.
    pub fn receive(pipe: &OwnedFd) -> io::Result<Option<Self>> {
        let mut bytes = [0; Self::LENGTH];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(pipe.as_fd(), rest) {
                Ok(0) => return Ok(None),
                Ok(count) => read += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::decode(bytes))
    }
}

/// Writes all bytes or says why not.
fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_pipe() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let failed = Record::Failed(Failure {
            place: Place::Directory,
            errno: libc::ENOENT,
        });
        Record::Started(4711).send(write.as_fd());
        failed.send(write.as_fd());
        drop(write);
        assert_eq!(Record::receive(&read).unwrap(), Some(Record::Started(4711)));
        assert_eq!(Record::receive(&read).unwrap(), Some(failed));
        assert_eq!(Record::receive(&read).unwrap(), None);
    }

    #[test]
    fn every_place_has_its_own_number() {
        for place in PLACES {
            let sent = Record::Failed(Failure { place, errno: 1 });
            assert_eq!(Record::decode(sent.encode()), Some(sent));
        }
    }
}
