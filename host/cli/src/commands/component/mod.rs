//! `darkroom component`: components for those who write them, and in registries. One file
//! a verb.

mod build;
mod check;
mod copy;
mod desk;
mod inspect;
mod publish;
mod pull;
mod search;
mod versions;
mod wit;
mod yank;

use clap::{Args, Subcommand};

use crate::component::InspectError;
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::terminal::Terminal;

/// Make, check, show and publish components, find and pull those of others
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
    Publish(publish::Publish),
    Pull(pull::Pull),
    Versions(versions::Versions),
    Search(search::Search),
    Copy(copy::Copy),
    Yank(yank::Yank),
    Unyank(yank::Unyank),
    Wit(wit::Wit),
}

impl Component {
    /// Runs the verb. It blocks.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ComponentVerb::Build(build) => build.run(terminal),
            ComponentVerb::Check(check) => check.run(terminal),
            ComponentVerb::Wit(wit) => wit.run(terminal),
            verb => super::runtime()?.block_on(verb.ask(terminal)),
        }
    }
}

impl ComponentVerb {
    /// Runs a verb that may ask registries.
    async fn ask(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self {
            Self::Inspect(verb) => verb.run(terminal).await,
            Self::Publish(verb) => verb.run(terminal).await,
            Self::Pull(verb) => verb.run(terminal).await,
            Self::Versions(verb) => verb.run(terminal).await,
            Self::Search(verb) => verb.run(terminal).await,
            Self::Copy(verb) => verb.run(terminal).await,
            Self::Yank(verb) => verb.run(terminal).await,
            Self::Unyank(verb) => verb.run(terminal).await,
            // They block, and were run before there was a runtime.
            Self::Build(_) | Self::Check(_) | Self::Wit(_) => Ok(exit::DONE),
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
