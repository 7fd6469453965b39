//! The user namespace in which an ordinary user's local cloud lives: verbs that touch
//! files of instances themselves enter it before anything else. Root needs none.

use std::process::Command;

use darkroom_local::OpenError;
use darkroom_local::sandbox::rootless;

use crate::failure::Failure;

/// Set for the program that was started again in a control group of the user's own: it
/// doesn't ask for another.
const AGAIN: &str = "DARKROOM_SCOPED";

/// Enters it. The process must have one thread.
pub(crate) fn enter() -> Result<(), Failure> {
    let again = || {
        // By its name: it is another program that starts it.
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.args(std::env::args_os().skip(1)).env(AGAIN, "yes");
        Some(command)
    };
    let first = std::env::var_os(AGAIN).is_none();
    rootless::enter(first.then(again).flatten()).map_err(|problems| {
        let hints: Vec<_> = problems.iter().map(|one| one.hint.clone()).collect();
        hints
            .into_iter()
            .fold(Failure::config(OpenError::Machine(problems)), Failure::hint)
    })
}
