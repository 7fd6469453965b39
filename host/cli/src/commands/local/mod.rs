//! `darkroom local`: the local cloud as a thing of its own. Builds start it when they
//! need it; these verbs are for looking at it and for cleaning up.

pub(super) mod abilities;
mod bootstrap;
mod import;
mod reset;
mod serve;
mod shell;
mod status;
mod stop;
mod supervise;

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Look at the local cloud, stop it, clean it, or enter an instance
#[derive(Args, Debug)]
pub(crate) struct Local {
    #[command(subcommand)]
    pub(crate) verb: LocalVerb,
}

/// The verbs of the local cloud.
#[derive(Subcommand, Debug)]
pub(crate) enum LocalVerb {
    Status(status::Status),
    Serve(serve::Serve),
    Stop(stop::Stop),
    Reset(reset::Reset),
    Bootstrap(bootstrap::Bootstrap),
    Import(import::Import),
    Shell(shell::Shell),
    Supervise(supervise::Supervise),
    Abilities(abilities::Abilities),
}

impl Local {
    /// Whether the verb itself reads or makes files that instances have.
    pub(crate) fn touches_files(&self) -> bool {
        match &self.verb {
            LocalVerb::Serve(verb) => verb.has_instances(),
            LocalVerb::Bootstrap(_) | LocalVerb::Import(_) => true,
            _ => false,
        }
    }

    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            LocalVerb::Status(verb) => verb.run(terminal).await,
            LocalVerb::Serve(verb) => verb.run(terminal).await,
            LocalVerb::Stop(verb) => verb.run(terminal).await,
            LocalVerb::Reset(verb) => verb.run(terminal).await,
            LocalVerb::Bootstrap(verb) => verb.run(terminal).await,
            LocalVerb::Import(verb) => verb.run(terminal).await,
            LocalVerb::Shell(verb) => verb.run(terminal).await,
            // They are run before there is a runtime, by `commands::run`.
            LocalVerb::Supervise(verb) => Ok(verb.run()),
            LocalVerb::Abilities(_) => abilities::Abilities::run(),
        }
    }
}
