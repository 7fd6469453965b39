//! Looks whether this machine can run instances, before one is asked for.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::FsOpenFlags;

use super::cgroup::Layout;
use super::network::{PATH, TOOLS};
use super::rootless::Standing;
use super::rootless::ids::{COUNT, IdMap, Kind};
use super::sys;
use crate::driver::Problem;

/// All that is missing.
pub(super) fn probe() -> Result<(), Vec<Problem>> {
    let standing = Standing::own();
    if standing == Standing::User {
        // What else is missing can't be seen without.
        return Err(vec![no_root()]);
    }
    let mut problems = missing_tools(PATH, &TOOLS);
    problems.extend(too_few_ids(standing));
    problems.extend(namespaces().err().map(|error| no_namespaces(&error)));
    problems.extend(overlay().err());
    problems.extend(Layout::discover().err());
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
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
