//! `darkroom local reset`: removes everything in the local cloud but its accounts.

use clap::Args;

use crate::cloud::local_admin::Admin;
use crate::cloud::local_cloud::LocalCloud;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;

/// Remove all instances, images and snapshots of the local cloud
#[derive(Args, Debug)]
#[command(
    after_help = "Accounts and their keys stay, and so do runs and bootstrapped systems.\n\n\
    Examples:\n  \
    darkroom local reset\n  \
    darkroom local reset --yes --force"
)]
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
        let question = "Remove all instances, images and snapshots of the local cloud?";
        if !terminal.consent(self.yes.into(), question).await? {
            terminal.note("nothing was removed");
            return Ok(exit::CANCELLED);
        }
        let server = cloud.ensure().await?;
        let done = Admin::new(&server).reset(self.force).await?;
        terminal.json(&done);
        terminal.note("the local cloud is empty");
        Ok(exit::DONE)
    }
}
