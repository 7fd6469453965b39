//! `darkroom resume`: goes on with a run that was interrupted.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_engine::{EngineError, RunView};

use crate::completion;
use crate::driving::{Driving, FailureArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;
use crate::workshop;

/// Go on with a run that was interrupted, in the cloud that it began in
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom resume last\n  \
    darkroom resume 261122-1604")]
pub(crate) struct Resume {
    /// The run: its id, a unique beginning of it, or `last`
    #[arg(value_name = "RUN", default_value = "last", add = ArgValueCandidates::new(completion::runs))]
    run: String,
    #[command(flatten)]
    after: FailureArgs,
}

/// Another process works on the run.
#[derive(Debug, thiserror::Error)]
#[error("run {run} is being driven by process {pid}")]
struct Driven {
    run: String,
    pid: u32,
}

impl Resume {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let config = Config::load(Path::new("."))?;
        let after_failure = self.after.decide(&config, terminal)?;
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let run = engine.find(&self.run).await?;
        let view = engine.view(&run).await?;
        if let Some(status) = view.status {
            return Err(EngineError::Ended { run, status }.into());
        }
        if let Some(pid) = view.pid {
            let run = run.to_string();
            let hint = format!("wait for it, or cancel the run with `darkroom runs cancel {run}`");
            return Err(Failure::user(Driven { run, pid }).hint(hint));
        }
        let cloud = workshop::cloud(&settings_of(&view)?, &roots).await?;
        let driving = Driving {
            after_failure,
            ..Driving::default()
        };
        workshop::drive(&engine, &run, cloud, driving, terminal).await
    }
}

/// The cloud and the account that a run began with, whatever the settings are now.
pub(super) fn settings_of(view: &RunView) -> Result<Settings, Failure> {
    Ok(Settings {
        cloud: view.header.cloud.parse().map_err(Failure::internal)?,
        region: Some(view.header.region.clone()),
        account: view.header.account.clone(),
    })
}
