//! `darkroom local reset`: removes everything in the local cloud but its accounts.

use std::io::BufRead;

use clap::Args;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::local_admin::Admin;
use crate::local_cloud::LocalCloud;
use crate::roots::Roots;
use crate::terminal::Terminal;

/// Remove all instances, images and snapshots of the local cloud
#[derive(Args, Debug)]
#[command(after_help = "Accounts and their keys stay, and so do runs and bootstrapped systems.")]
pub(crate) struct Reset {
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    /// Also while instances are running
    #[arg(long)]
    force: bool,
}

impl Reset {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let cloud = LocalCloud::new(Roots::of_process()?);
        if !self.yes && !confirmed(terminal).await? {
            terminal.note("nothing was removed");
            return Ok(exit::DONE);
        }
        let server = cloud.ensure().await?;
        let done = Admin::new(&server).reset(self.force).await?;
        terminal.json(&done);
        terminal.note("the local cloud is empty");
        Ok(exit::DONE)
    }
}

async fn confirmed(terminal: &Terminal) -> Result<bool, Failure> {
    if !terminal.is_interactive() {
        let text = "nobody can be asked whether everything in the local cloud shall be removed";
        return Err(Failure::user(text).hint("say it with `--yes`"));
    }
    terminal.prompt("Remove all instances, images and snapshots of the local cloud? [y/N] ");
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = read
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::user)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
