//! `darkroom image delete`.

use clap::Args;
use darkroom_engine::verb::ImageVerb;

use super::doing::{ImageArgs, Risk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Delete an image and its snapshots, in one region
///
/// Accounts that it is shared with lose it first. Copies in other regions stay, and so do
/// instances that were made from it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image delete m-bp1abc\n  \
    darkroom image delete m-bp1abc --yes --keep-snapshots")]
pub(crate) struct Delete {
    #[command(flatten)]
    image: ImageArgs,
    /// Leave its snapshots, which go on being billed
    #[arg(long)]
    keep_snapshots: bool,
    /// Also while instances use it
    #[arg(long)]
    force: bool,
}

impl Delete {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let and = if self.keep_snapshots {
            ""
        } else {
            " and its snapshots"
        };
        let question = format!(
            "Delete the image {}{and} in {}?",
            doing.image,
            doing.place()
        );
        let verb = ImageVerb::Delete {
            image: doing.image.clone(),
            force: self.force,
            keep_snapshots: self.keep_snapshots,
        };
        let asked = (Risk::Destroys, question.as_str());
        doing.run_and_tell(verb, asked, terminal).await
    }
}
