//! `darkroom image unshare`.

use clap::Args;
use darkroom_ecs::id::AccountId;
use darkroom_engine::verb::ImageVerb;

use super::doing::{ImageArgs, Risk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Let accounts not use an image any more, in one region
///
/// Instances that they have made from it go on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image unshare m-bp1abc --from 1234567890123456\n  \
    darkroom image unshare m-bp1abc --from 1234567890123456 --yes")]
pub(crate) struct Unshare {
    #[command(flatten)]
    image: ImageArgs,
    /// The id of an account that it is shared with; can be given for each
    #[arg(long = "from", value_name = "ACCOUNT", required = true)]
    accounts: Vec<AccountId>,
}

impl Unshare {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let names: Vec<_> = self.accounts.iter().map(ToString::to_string).collect();
        let question = format!(
            "Take the image {} in {} from {}?",
            doing.image,
            doing.place(),
            names.join(", ")
        );
        let verb = ImageVerb::Share {
            image: doing.image.clone(),
            add: Vec::new(),
            remove: self.accounts,
        };
        let asked = (Risk::Destroys, question.as_str());
        doing.run_and_tell(verb, asked, terminal).await
    }
}
