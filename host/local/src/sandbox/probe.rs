//! Looks whether this machine can run instances, before one is asked for.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::FsOpenFlags;
use serde::{Deserialize, Serialize};

use super::cgroup::Layout;
use super::network::{PATH, TOOLS};
use super::rootless::Standing;
use super::rootless::ids::{COUNT, IdMap, Kind};
use super::sys;
use crate::driver::Problem;

/// All that is missing.
pub(super) fn probe() -> Result<(), Vec<Problem>> {
    let problems: Vec<_> = abilities()
        .into_iter()
        .filter_map(|ability| ability.found.err())
        .flatten()
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Something that instances need of this machine, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ability {
    /// What it is, in a few words.
    pub name: String,
    /// How it is here; else what is missing.
    pub found: Result<String, Vec<Problem>>,
}

impl Ability {
    fn of(name: &str, found: Result<impl Into<String>, Vec<Problem>>) -> Self {
        Self {
            name: name.to_owned(),
            found: found.map(Into::into),
        }
    }
}

/// Looks at all that instances need. A process that has not become root of a user
/// namespace, see [`super::rootless::enter`], learns nothing but that.
pub fn abilities() -> Vec<Ability> {
    let standing = Standing::own();
    if standing == Standing::User {
        // What else is missing can't be seen without.
        return vec![Ability::of("user", Err::<&str, _>(vec![no_root()]))];
    }
    let (who, ids) = match standing {
        Standing::Root => ("root of this machine", "all of the machine's"),
        _ => ("root of a user namespace", "subordinate ones, enough"),
    };
    let several = |found: Vec<Problem>, good| {
        if found.is_empty() {
            Ok(good)
        } else {
            Err(found)
        }
    };
    let tools = missing_tools(PATH, &TOOLS);
    let few = too_few_ids(standing).into_iter().collect();
    let spaces = namespaces().map_err(|error| vec![no_namespaces(&error)]);
    let overlay = overlay().map_err(|problem| vec![problem]);
    let groups = Layout::discover().map(|layout| layout.describe());
    vec![
        Ability::of("user", Ok(who)),
        Ability::of("user and group ids", several(few, ids)),
        Ability::of(
            "namespaces",
            spaces.map(|()| "user, mount, process and network namespaces"),
        ),
        Ability::of(
            "overlay file systems",
            overlay.map(|()| "the kernel has them"),
        ),
        Ability::of("control groups", groups.map_err(|problem| vec![problem])),
        Ability::of("programs", several(tools, "ip and nft")),
    ]
}

/// The problem of a process that has not become root of a user namespace, see
/// [`super::rootless::enter`].
pub fn no_root() -> Problem {
    Problem {
        message: "instances need root, or the root of a user namespace".into(),
        hint: "let `darkroom` start the local cloud: it makes the namespace first".into(),
    }
}

/// A container may have given its root only a few ids.
fn too_few_ids(standing: Standing) -> Option<Problem> {
    let enough = |kind| IdMap::own(kind).is_ok_and(|map| map.is_enough());
    let few = standing != Standing::Root && !(enough(Kind::User) && enough(Kind::Group));
    few.then(|| Problem {
        message: format!("this user namespace has fewer than {COUNT} users and groups"),
        hint: "give the container a range of that many ids in /etc/subuid and /etc/subgid".into(),
    })
}

/// The problem of a machine without user namespaces.
pub fn no_namespaces(error: &io::Error) -> Problem {
    Problem {
        message: format!("user namespaces can't be made here: {error}"),
        hint: "set the sysctl user.max_user_namespaces above 0; in a container, run it with \
               the right to make namespaces (--privileged)"
            .into(),
    }
}

/// Which programs are not there; each comes with its Debian package.
pub(super) fn missing_tools(path: &str, tools: &[(&str, &str)]) -> Vec<Problem> {
    tools
        .iter()
        .filter(|(tool, _)| {
            !path
                .split(':')
                .any(|folder| Path::new(folder).join(tool).exists())
        })
        .map(|(tool, package)| Problem {
            message: format!("the program {tool} is missing"),
            hint: format!("apt-get install {package}"),
        })
        .collect()
}

/// Makes the namespaces of an instance for a moment.
pub(crate) fn namespaces() -> io::Result<()> {
    let spaces = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET;
    #[expect(unsafe_code, reason = "clone3 of a process with threads")]
    // SAFETY: the program does nothing.
    let child = unsafe { sys::spawn_child(spaces, None, &mut || 0) }?;
    sys::wait(child.pidfd.as_fd())?;
    Ok(())
}

fn overlay() -> Result<(), Problem> {
    rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map(drop)
        .map_err(|error| Problem {
            message: format!(
                "there is no overlay file system: {}",
                io::Error::from(error)
            ),
            hint: "load the kernel's module overlay".into(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let problems = missing_tools("/nowhere", &TOOLS);
        assert_eq!(problems.len(), TOOLS.len());
        assert!(problems[1].hint.contains("nftables"));
    }

    #[test]
    fn problems_say_what_to_do() {
        assert!(no_root().hint.contains("namespace"));
        let refused = io::Error::from_raw_os_error(libc::ENOSPC);
        assert!(no_namespaces(&refused).hint.contains("max_user_namespaces"));
    }
}
