//! `darkroom runs`: what has been built, what is being built, and its logs.

mod cancel;
mod cleanup;
mod list;
mod logs;
mod show;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::completion;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// List runs, show one, read its logs, cancel it or clean up after it
#[derive(Args, Debug)]
pub(crate) struct Runs {
    #[command(subcommand)]
    verb: RunsVerb,
}

#[derive(Subcommand, Debug)]
enum RunsVerb {
    List(list::List),
    Show(show::Show),
    Logs(logs::Logs),
    Cancel(cancel::Cancel),
    Cleanup(cleanup::Cleanup),
}

impl Runs {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            RunsVerb::List(verb) => verb.run(terminal).await,
            RunsVerb::Show(verb) => verb.run(terminal).await,
            RunsVerb::Logs(verb) => verb.run(terminal).await,
            RunsVerb::Cancel(verb) => verb.run(terminal).await,
            RunsVerb::Cleanup(verb) => verb.run(terminal).await,
        }
    }
}

/// A run, as verbs take it.
#[derive(Args, Debug)]
struct RunArg {
    /// The run: its id, a unique beginning of it, or `last`
    #[arg(value_name = "RUN", default_value = "last", add = ArgValueCandidates::new(completion::runs))]
    run: String,
}

/// How a run stands, in a word.
fn state(view: &darkroom_engine::RunView) -> String {
    match (view.status, view.pid) {
        (Some(status), _) => status.word().to_owned(),
        (None, Some(pid)) => format!("running ({pid})"),
        (None, None) => "interrupted".to_owned(),
    }
}
