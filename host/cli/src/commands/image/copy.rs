//! `darkroom image copy`.

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_engine::verb::ImageVerb;

use super::doing::{ImageArgs, Risk};
use crate::completion;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Copy an image to other regions
///
/// Regions are copied to side by side; one that fails fails alone. A copy stands for
/// itself: it stays when the image is deleted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom image copy m-bp1abc --to ap-southeast-1 --to eu-central-1\n  \
    darkroom image copy m-bp1abc --to cn-beijing --name web-copy --yes")]
pub(crate) struct Copy {
    #[command(flatten)]
    image: ImageArgs,
    /// A region to copy it to; can be given for each
    #[arg(long, value_name = "REGION", required = true, add = ArgValueCandidates::new(completion::regions))]
    to: Vec<String>,
    /// The name of the copies; by default the image's own
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Copy {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let doing = self.image.decide()?;
        let to = self.to.iter().map(|region| region.parse());
        let verb = ImageVerb::Copy {
            image: doing.image.clone(),
            to: to.collect::<Result<_, _>>().map_err(Failure::user)?,
            name: self.name,
        };
        let regions = self.to.join(", ");
        let question = format!(
            "Copy the image {} from {} to {regions}, where its snapshots are billed?",
            doing.image,
            doing.place()
        );
        let asked = (Risk::Billed, question.as_str());
        doing.run_and_tell(verb, asked, terminal).await
    }
}
