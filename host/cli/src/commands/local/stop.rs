//! `darkroom local stop`: asks the server to leave; instances go on.

use std::time::{Duration, Instant};

use clap::Args;

use crate::cloud::local_admin::Admin;
use crate::cloud::local_cloud::LocalCloud;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;

/// How long it may take to leave.
const PATIENCE: Duration = Duration::from_secs(15);

/// Stop the local cloud's server; its instances go on and the next server finds them
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    darkroom local stop")]
pub(crate) struct Stop {}

impl Stop {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let Some(server) = LocalCloud::new(roots).running().await? else {
            terminal.note("the local cloud isn't running");
            return Ok(exit::DONE);
        };
        Admin::new(&server).stop().await?;
        let begun = Instant::now();
        while server.alive() {
            if begun.elapsed() > PATIENCE {
                let text = format!("the local cloud (process {}) has not left yet", server.pid);
                return Err(
                    Failure::config(text).hint(format!("end it with `kill {}`", server.pid))
                );
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        terminal.note("the local cloud has left; its instances go on");
        Ok(exit::DONE)
    }
}
