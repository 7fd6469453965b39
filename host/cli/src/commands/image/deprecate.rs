//! `darkroom image deprecate`.

use clap::Args;
use darkroom_engine::verb::ImageVerb;

use super::doing::{ImageArgs, Risk};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Mark an image as one that nothing new should be made from, or take the mark away
///
/// A deprecated image stays usable by its id, and is in no family's newest.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image deprecate m-bp1abc\n  \
    darkroom image deprecate m-bp1abc --undo")]
pub(crate) struct Deprecate {
    #[command(flatten)]
    image: ImageArgs,
    /// Take the mark away
    #[arg(long)]
    undo: bool,
}

impl Deprecate {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let verb = ImageVerb::Deprecate {
            image: doing.image.clone(),
            undo: self.undo,
        };
        doing.run_and_tell(verb, (Risk::None, ""), terminal).await
    }
}
