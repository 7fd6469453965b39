//! `darkroom runs cleanup`: removes what a failed run has kept to be looked into.

use clap::Args;

use super::RunArg;
use crate::commands::resume::settings_of;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;
use crate::workshop;

/// Remove what a run has kept to be looked into, such as its instance
///
/// A run that has not ended is cancelled. Images that it made stay.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom runs cleanup last\n  \
    darkroom runs cleanup 261122-1604")]
pub(crate) struct Cleanup {
    #[command(flatten)]
    run: RunArg,
}

impl Cleanup {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let run = engine.find(&self.run.run).await?;
        let view = engine.view(&run).await?;
        if view.status.is_some() && !engine.has_leftovers(&run).await? {
            terminal.json(&serde_json::json!({ "run": run, "removed": false }));
            terminal.note(format!("run {run} has kept nothing"));
            return Ok(exit::DONE);
        }
        let cloud = workshop::cloud(&settings_of(&view)?, &roots).await?;
        workshop::cleanup(&engine, &run, cloud, terminal).await?;
        terminal.json(&serde_json::json!({ "run": run, "removed": true }));
        terminal.note(format!("what run {run} had kept is gone"));
        Ok(exit::DONE)
    }
}
