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
use crate::exit::Exit;
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
    #[command(flatten)]
    Here(Here),
    #[command(flatten)]
    Asking(Asking),
}

/// Verbs that ask nobody. They block.
#[derive(Subcommand, Debug)]
enum Here {
    Build(Box<build::Build>),
    Check(check::Check),
    Wit(wit::Wit),
}

/// Verbs that may ask registries.
#[derive(Subcommand, Debug)]
enum Asking {
    Inspect(inspect::Inspect),
    Publish(publish::Publish),
    Pull(pull::Pull),
    Versions(versions::Versions),
    Search(search::Search),
    Copy(copy::Copy),
    Yank(yank::Yank),
    Unyank(yank::Unyank),
}

impl Component {
    /// Runs the verb. It blocks.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ComponentVerb::Here(verb) => verb.run(terminal),
            ComponentVerb::Asking(verb) => super::runtime()?.block_on(verb.run(terminal)),
        }
    }
}

impl Here {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self {
            Self::Build(verb) => verb.run(terminal),
            Self::Check(verb) => verb.run(terminal),
            Self::Wit(verb) => verb.run(terminal),
        }
    }
}

impl Asking {
    async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self {
            Self::Inspect(verb) => verb.run(terminal).await,
            Self::Publish(verb) => verb.run(terminal).await,
            Self::Pull(verb) => verb.run(terminal).await,
            Self::Versions(verb) => verb.run(terminal).await,
            Self::Search(verb) => verb.run(terminal).await,
            Self::Copy(verb) => verb.run(terminal).await,
            Self::Yank(verb) => verb.run(terminal).await,
            Self::Unyank(verb) => verb.run(terminal).await,
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
