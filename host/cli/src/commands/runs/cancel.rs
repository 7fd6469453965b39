//! `darkroom runs cancel`: stops a run and cleans up, whether it is being driven or not.

use clap::Args;

use super::RunArg;
use crate::commands::resume::settings_of;
use crate::driving::Driving;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;
use crate::workshop;

/// Cancel a run: it stops and removes what it made
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom runs cancel last\n  \
    darkroom runs cancel 261122-1604")]
pub(crate) struct Cancel {
    #[command(flatten)]
    run: RunArg,
}

impl Cancel {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let run = engine.find(&self.run.run).await?;
        engine.cancel(&run).await?;
        let view = engine.view(&run).await?;
        if let Some(pid) = view.pid {
            terminal.note(format!(
                "process {pid} has been told to stop run {run} and to clean up"
            ));
            return Ok(exit::DONE);
        }
        let cloud = workshop::cloud(&settings_of(&view)?, &roots).await?;
        let ended = workshop::drive(&engine, &run, cloud, Driving::default(), terminal).await?;
        // Cancelled is what was asked for.
        Ok(if ended == exit::CANCELLED {
            exit::DONE
        } else {
            ended
        })
    }
}
