//! How a run is driven: what becomes of it after a failure, and who looks into an
//! instance that is tried.

use std::sync::Arc;

use clap::Args;
use darkroom_engine::{FailedAt, LookInto, OnFailure};

use crate::args::words;
use crate::failure::Failure;
use crate::settings::{Config, Key};
use crate::terminal::{Consent, Screen, Terminal};

/// How a run is driven, beside the run itself and its cloud.
#[derive(Default)]
pub(crate) struct Driving {
    /// What becomes of its instance when it fails.
    pub(crate) after_failure: AfterFailure,
    /// Looks into the instance of an image that is tried, on the screen of the run.
    pub(crate) look: Option<Box<dyn FnOnce(Screen) -> LookInto + Send>>,
}

/// What becomes of the instance of a run that failed.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct FailureArgs {
    /// What becomes of the instance when the run fails: it goes, it stays to be looked
    /// into, or you are asked [env: `DARKROOM_ON_FAILURE`]
    #[arg(long, value_name = "WHAT", value_parser = words(Key::OnFailure))]
    on_failure: Option<String>,
}

/// The same, decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    #[default]
    Cleanup,
    Keep,
    Ask,
}

impl FailureArgs {
    /// Decides, and makes sure that there is somebody to ask if somebody shall be.
    pub(crate) fn decide(
        &self,
        config: &Config,
        terminal: &Terminal,
    ) -> Result<AfterFailure, Failure> {
        let word = config.text(Key::OnFailure, self.on_failure.as_deref())?;
        let decided = match word.as_deref() {
            Some("keep") => AfterFailure::Keep,
            Some("ask") => AfterFailure::Ask,
            _ => AfterFailure::Cleanup,
        };
        if decided == AfterFailure::Ask && !terminal.is_interactive() {
            let text = "nobody can be asked what becomes of a run that fails";
            return Err(
                Failure::user(text).hint("say `--on-failure keep` or `--on-failure cleanup`")
            );
        }
        Ok(decided)
    }
}

impl AfterFailure {
    /// As the engine takes it. A question is put on the screen of the run.
    pub(crate) fn for_engine(self, terminal: &Terminal, screen: &Screen) -> OnFailure {
        match self {
            Self::Cleanup => OnFailure::Cleanup,
            Self::Keep => OnFailure::Keep,
            Self::Ask => {
                let (terminal, screen) = (terminal.clone(), screen.clone());
                OnFailure::Ask(Arc::new(move |at| {
                    let (terminal, screen) = (terminal.clone(), screen.clone());
                    Box::pin(async move { keep(&terminal, &screen, &at).await })
                }))
            }
        }
    }
}

/// Asks whether the instance of a failed run shall stay. Who doesn't answer (Ctrl-C, an
/// end of input) wants it to go: what stays is billed.
async fn keep(terminal: &Terminal, screen: &Screen, at: &FailedAt) -> bool {
    let Some(instance) = &at.instance else {
        return false;
    };
    let taken = screen.take();
    terminal.note(format!("{}", at.trouble));
    let region = &at.region;
    let question = format!("Keep the instance {instance} in {region} to look into it?");
    let answer = terminal.consent(Consent::Ask, &question).await;
    drop(taken);
    answer.unwrap_or(false)
}
