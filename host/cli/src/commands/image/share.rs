//! `darkroom image share`.

use clap::Args;
use darkroom_ecs::id::AccountId;
use darkroom_engine::verb::ImageVerb;

use super::doing::{ImageArgs, Risk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Share an image with other accounts, in one region
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image share m-bp1abc --with 1234567890123456\n  \
    darkroom image share m-bp1abc --with 1234567890123456 --region ap-southeast-1")]
pub(crate) struct Share {
    #[command(flatten)]
    image: ImageArgs,
    /// The id of an account that may use it; can be given for each
    #[arg(long = "with", value_name = "ACCOUNT", required = true)]
    accounts: Vec<AccountId>,
}

impl Share {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let verb = ImageVerb::Share {
            image: doing.image.clone(),
            add: self.accounts,
            remove: Vec::new(),
        };
        doing.run_and_tell(verb, (Risk::None, ""), terminal).await
    }
}
