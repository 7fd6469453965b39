//! Looks whether this machine can run instances, before one is asked for.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::FsOpenFlags;

use super::cgroup::Layout;
use super::network::{PATH, TOOLS};
use super::sys;
use crate::driver::Problem;

/// All that is missing.
pub(super) fn probe() -> Result<(), Vec<Problem>> {
    if !rustix::process::geteuid().is_root() {
        // What else is missing can't be seen without.
        return Err(vec![no_root()]);
    }
    let mut problems = Vec::new();
    problems.extend(missing_tools(PATH));
    problems.extend(namespaces().err().map(|error| no_namespaces(&error)));
    problems.extend(overlay().err());
    problems.extend(Layout::discover().err());
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// The problem of an ordinary user.
pub fn no_root() -> Problem {
    Problem {
        message: "the sandbox driver needs root in this version".into(),
        hint: "run the command as root, for example with sudo".into(),
    }
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

fn missing_tools(path: &str) -> Vec<Problem> {
    TOOLS
        .into_iter()
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
        let problems = missing_tools("/nowhere");
        assert_eq!(problems.len(), TOOLS.len());
        assert!(problems[1].hint.contains("nftables"));
    }

    #[test]
    fn problems_say_what_to_do() {
        assert!(no_root().hint.contains("root"));
        let refused = io::Error::from_raw_os_error(libc::ENOSPC);
        assert!(no_namespaces(&refused).hint.contains("max_user_namespaces"));
    }
}
