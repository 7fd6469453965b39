//! The control group of an ordinary user: looks for one that can be written, asks his
//! own systemd for one, and says which command makes one.
//!
//! systemd gives groups away only to those who ask: `systemd-run --user --scope -p
//! Delegate=yes` runs a program in a group of its own, with its process id, its
//! descriptors and its environment unchanged.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::cgroup::Layout;
use super::ids::User;
use crate::driver::Problem;

const SYSTEMD_RUN: &str = "systemd-run";

/// What stands before a program that shall have a group of its own.
const SCOPE: [&str; 7] = [
    "--user",
    "--scope",
    "--quiet",
    "--collect",
    "-p",
    "Delegate=yes",
    "--",
];

/// Looks for a group in which others can be made. `again` starts this very program
/// again: it is run in a scope of the user's systemd when that is the way to get one,
/// and this process is then that program. Without `again` the way has been gone already,
/// and unless all else is `complete` it isn't gone.
///
/// # Errors
/// That there is no group, with the command that makes one.
pub fn ensure(user: &User, again: Option<Command>, complete: bool) -> Result<(), Problem> {
    if let Ok(layout) = Layout::discover() {
        if again.is_none() {
            // A scope holds nothing but this program.
            let _ = layout.make_room();
        }
        return Ok(());
    }
    if let Some(again) = again
        && complete
        && systemd_gives_scopes()
    {
        // Only returns when it failed.
        let _ = scoped(&again).exec();
    }
    Err(no_group(user, &Layout::mount_point()))
}

/// Whether the user has a systemd of his own that gives scopes.
fn systemd_gives_scopes() -> bool {
    let mut nothing = Command::new("true");
    nothing
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut command = scoped(&nothing);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status: io::Result<_> = command.status();
    status.is_ok_and(|status| status.success())
}

/// The same program in a scope.
fn scoped(program: &Command) -> Command {
    let mut command = Command::new(SYSTEMD_RUN);
    command
        .args(SCOPE)
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The problem of a user without a group, and both ways out.
fn no_group(user: &User, mount: &Path) -> Problem {
    let name = &user.name;
    let folder = mount.join(format!("darkroom-{name}"));
    let folder = folder.display();
    Problem {
        message: format!(
            "{name} has no control group in which others can be made, and systemd-run \
             --user --scope -p Delegate=yes gave none"
        ),
        hint: format!(
            "with systemd: sudo loginctl enable-linger {name}, then log in again; without: \
             sudo mkdir -p {folder} && sudo chown {name} {folder} {folder}/cgroup.procs \
             {folder}/cgroup.subtree_control {folder}/cgroup.threads && echo $$ | sudo tee \
             {folder}/cgroup.procs, in the shell that you go on with"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_scoped_with_its_arguments_and_environment() {
        let mut program = Command::new("/bin/thing");
        program.args(["local", "serve"]).env("AGAIN", "1");
        let scoped = scoped(&program);
        assert_eq!(scoped.get_program(), SYSTEMD_RUN);
        let words: Vec<_> = scoped.get_args().collect();
        assert_eq!(words[..SCOPE.len()], SCOPE);
        assert_eq!(words[SCOPE.len()..], ["/bin/thing", "local", "serve"]);
        assert_eq!(scoped.get_envs().count(), 1);
    }

    #[test]
    fn who_has_no_group_is_told_both_ways_to_get_one() {
        let user = User {
            name: "ann".into(),
            uid: 1001,
            gid: 1001,
        };
        let problem = no_group(&user, Path::new("/sys/fs/cgroup"));
        assert!(problem.hint.contains("loginctl enable-linger ann"));
        assert!(
            problem
                .hint
                .contains("chown ann /sys/fs/cgroup/darkroom-ann")
        );
    }
}
