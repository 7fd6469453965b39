//! `darkroom local abilities`: what this machine can do for instances, for `darkroom
//! doctor`. Hidden: nobody types it.

use clap::Args;
use darkroom_local::OpenError;
use darkroom_local::sandbox::probe::{Ability, abilities};

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::namespace;
use crate::terminal::Terminal;

/// Print what this machine can do for instances
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Abilities {}

impl Abilities {
    /// The process must have one thread: an ordinary user becomes root of a namespace.
    pub(crate) fn run() -> Result<Exit, Failure> {
        let found = match namespace::enter() {
            Ok(()) => abilities(),
            Err(failure) => match failure.error.downcast_ref() {
                Some(OpenError::Machine(problems)) => vec![Ability {
                    name: "user".to_owned(),
                    found: Err(problems.clone()),
                }],
                _ => return Err(failure),
            },
        };
        let text = serde_json::to_string(&found).map_err(Failure::internal)?;
        Terminal::raw(text.as_bytes());
        Ok(exit::DONE)
    }
}
