//! `darkroom local shell`: a shell or a command on an instance of the local cloud.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_template::Cloud;

use crate::args::Where;
use crate::cloud::access::{Access, DEFAULT_REGION};
use crate::completion;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::Settings;
use crate::shell::{self, Machine};
use crate::terminal::Terminal;

/// Enter an instance of the local cloud, or run a command on it
#[derive(Args, Debug)]
#[command(
    after_help = "On a terminal it is root's login shell. Elsewhere each line of standard input is a\n\
    command of its own, run as root; `cd` is remembered.\n\n\
    Examples:\n  \
    darkroom local shell i-abc\n  \
    darkroom local shell i-abc -- systemctl status nginx"
)]
pub(crate) struct Shell {
    /// The instance's id
    instance: String,
    /// The instance's region [env: `DARKROOM_REGION`]
    #[arg(long, value_name = "REGION", add = ArgValueCandidates::new(completion::regions))]
    region: Option<String>,
    /// The account that has it [env: `DARKROOM_ACCOUNT`]
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completion::accounts))]
    account: Option<String>,
    /// One command instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Shell {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let wanted = Where {
            on: Some(Cloud::Local.word().to_owned()),
            region: self.region.clone(),
            account: self.account.clone(),
        };
        let settings = Settings::decide(&wanted, Path::new("."))?;
        let roots = Roots::of_process()?;
        let access = Access::open(&settings, &roots).await?;
        let machine = Machine {
            client: access.client(),
            region: settings
                .region
                .as_deref()
                .unwrap_or(DEFAULT_REGION)
                .parse()
                .map_err(Failure::user)?,
            instance: self.instance.parse().map_err(Failure::user)?,
        };
        machine.check().await?;
        if !self.command.is_empty() {
            let script = self.command.join(" ");
            return machine.show(terminal, &script, None).await;
        }
        shell::enter(&machine, Some(&roots), terminal).await
    }
}
