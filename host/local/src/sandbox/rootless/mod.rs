//! Instances without root: an ordinary user becomes the root of a user namespace of his
//! own, in which the whole local cloud then runs.
//!
//! ```text
//! machine's ids:       1001 (the user)   165536 … 231070 (his subordinate ids)
//!                        │                 │
//! user's namespace:      0                 1 … 65535      server, supervisors, bootstrap
//!                        │                 │
//! instance's namespace:  0                 1 … 65535      init and all its processes
//! ```
//! Files on disk are shifted so; seen from inside the namespace they have the owners
//! that the instance sees. Everything that reads, writes, copies, hashes or removes
//! trees therefore needs to know nothing of it, and the digest of a layer is the same
//! as root's. The alternative, a helper for each piece of work that enters the
//! namespace, would put a process boundary through the layer store.
//!
//! To the machine an instance's root is then the user himself, and what keeps it in are
//! the namespaces alone; root's instances have ids besides that own nothing.
//!
//! Three things differ from root's way ([`Standing::Namespace`]): owners need no mapped
//! mounts, because the instance's namespace repeats the numbers; overlay keeps its marks
//! in `user.` attributes; and control groups are made in the group that the user has.
//!
//! Used by the command line, before it has a second thread. It must be asked before
//! anything is read from the cloud's folders.

pub mod delegation;
pub mod ids;
pub mod layout;

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Gid, Resource, Rlimit, Uid};

use super::network::{PATH, TOOLS};
use super::{probe, sys};
use crate::driver::Problem;
use ids::{IdMap, Kind, User};

/// Who this process is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The machine's root: files have their true owners on disk.
    Root,
    /// The root of a user namespace, which may be one that [`enter`] made or a
    /// container's: files are shifted on disk.
    Namespace,
    /// Nobody's root: no instance can be run.
    User,
}

impl Standing {
    /// The calling process's.
    pub fn own() -> Self {
        // It is asked for each file, and a process enters before it asks.
        static MACHINES: OnceLock<bool> = OnceLock::new();
        if !rustix::process::geteuid().is_root() {
            return Self::User;
        }
        let machines =
            MACHINES.get_or_init(|| IdMap::own(Kind::User).is_ok_and(|map| map.is_the_machines()));
        if *machines {
            Self::Root
        } else {
            Self::Namespace
        }
    }
}

/// Whether [`enter`] has made this process root, who is an ordinary user outside.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether the person who runs this program is root: not who only seems to be, because
/// [`enter`] made him so.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root() && !ENTERED.load(Ordering::Relaxed)
}

/// Makes an ordinary user the root of a namespace of his own; root stays what he is.
///
/// `again` starts this very program again with the same arguments, and with something
/// by which it knows not to give one the second time: it is the way to a control group
/// of the user's own. It may happen that this process becomes that program.
///
/// It must be called while the process has one thread.
///
/// # Errors
/// Everything that is missing, each with the command that mends it.
pub fn enter(again: Option<Command>) -> Result<(), Vec<Problem>> {
    raise_descriptor_limit();
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let user = User::own();
    let mut problems = probe::missing_tools(PATH, &MAPPERS);
    problems.extend(probe::missing_tools(PATH, &TOOLS));
    let (users, groups) = (user.map(Kind::User), user.map(Kind::Group));
    let namespaces = probe::namespaces().err();
    problems.extend(namespaces.map(|error| probe::no_namespaces(&error)));
    let complete = problems.is_empty() && users.is_ok() && groups.is_ok();
    let group = delegation::ensure(&user, again, complete);
    let (users, groups) = match (users, groups, group) {
        (Ok(users), Ok(groups), Ok(())) if complete => (users, groups),
        (users, groups, group) => {
            problems.extend(users.err());
            problems.extend(groups.err());
            problems.extend(group.err());
            return Err(problems);
        }
    };
    become_root(&users, &groups).map_err(|error| vec![not_entered(&user, &error)])?;
    ENTERED.store(true, Ordering::Relaxed);
    Ok(())
}

/// The set-uid programs that give subordinate ids, with the package that they are in.
const MAPPERS: [(&str, &str); 2] = [("newuidmap", "uidmap"), ("newgidmap", "uidmap")];

/// Waits for a line, then maps the process: it must happen from outside the namespace
/// and only when that is there. Arguments: process, words for users, words for groups.
const MAP: &str = "read -r go && newuidmap \"$1\" $2 && newgidmap \"$1\" $3";

fn become_root(users: &IdMap, groups: &IdMap) -> io::Result<()> {
    let mut outside = Command::new("/bin/sh")
        .args(["-c", MAP, "map"])
        .arg(std::process::id().to_string())
        .args([users.words(), groups.words()])
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let unshared = sys::unshare_users_and_mounts();
    if let (Some(mut stdin), true) = (outside.stdin.take(), unshared.is_ok()) {
        stdin.write_all(b"go\n")?;
    }
    // Without its line the program outside ends by itself.
    let ended = outside.wait_with_output()?;
    unshared?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(io::Error::other(said.trim().to_owned()));
    }
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    Ok(())
}

fn not_entered(user: &User, error: &io::Error) -> Problem {
    let name = &user.name;
    Problem {
        message: format!("{name} can't become root of a user namespace: {error}"),
        hint: format!(
            "look whether the ranges of {name} in /etc/subuid and /etc/subgid overlap with \
             others, and whether newuidmap and newgidmap are set-uid root; in a container, \
             allow new privileges"
        ),
    }
}

/// A server has a descriptor for each connection and for each level of a tree. Where
/// more aren't allowed it goes on with what it has.
pub fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_descriptors_is_the_highest_afterwards() {
        raise_descriptor_limit();
        let limit = rustix::process::getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
