//! `darkroom component build|check|inspect|wit`: components for those who write them.
//! One file a verb.

mod build;
mod check;
mod inspect;
mod wit;

use clap::{Args, Subcommand};

use crate::component::InspectError;
use crate::exit::Exit;
use crate::failure::{Failure, Kind};
use crate::terminal::Terminal;

/// Make, check and show components, and the contract that they are built against
#[derive(Args, Debug)]
pub(crate) struct Component {
    #[command(subcommand)]
    verb: ComponentVerb,
}

#[derive(Subcommand, Debug)]
enum ComponentVerb {
    Build(Box<build::Build>),
    Check(check::Check),
    Inspect(inspect::Inspect),
    Wit(wit::Wit),
}

impl Component {
    /// Runs the verb. It blocks.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ComponentVerb::Build(build) => build.run(terminal),
            ComponentVerb::Check(check) => check.run(terminal),
            ComponentVerb::Inspect(inspect) => inspect.run(terminal),
            ComponentVerb::Wit(wit) => wit.run(terminal),
        }
    }
}

fn inspect_failure(error: InspectError) -> Failure {
    let hint = error.hint();
    let failure = match error {
        InspectError::Read { .. } | InspectError::Attachment(_) => Failure::user(error),
        InspectError::Runtime(_) => Failure::config(error),
        InspectError::Load(_) => Failure::new(Kind::Component, error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// `61 B` or `57.3 KB`, exact enough for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        ..1000 => format!("{bytes} B"),
        _ => format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100),
    }
}
