//! What the verbs that change an image have in common: the image and its place, the
//! question before, and the run that does it.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCandidates;
use darkroom_ecs::id::{ImageId, RegionId};
use darkroom_engine::verb::ImageVerb;
use darkroom_engine::{BeginVerb, Outcome};
use darkroom_template::Cloud;

use crate::args::Where;
use crate::cloud::access::DEFAULT_REGION;
use crate::completion;
use crate::driving::Driving;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::workshop;

/// An image and where it is.
#[derive(Args, Debug)]
pub(super) struct ImageArgs {
    /// The image's id
    #[arg(value_name = "IMAGE", add = ArgValueCandidates::new(completion::images))]
    image: String,
    #[command(flatten)]
    place: Where,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

/// What somebody has to agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Risk {
    /// It can be taken back, and costs nothing.
    None,
    /// It costs money where the cloud is billed.
    Billed,
    /// It can't be taken back.
    Destroys,
}

/// An image that something is about to be done to.
pub(super) struct Doing {
    pub(super) image: ImageId,
    region: RegionId,
    pub(super) settings: Settings,
    yes: bool,
}

impl ImageArgs {
    /// Decides what is meant.
    pub(super) fn decide(self) -> Result<Doing, Failure> {
        let settings = Settings::decide(&self.place, Path::new("."))?;
        let region = settings.region.as_deref().unwrap_or(DEFAULT_REGION);
        Ok(Doing {
            image: self.image.parse().map_err(Failure::user)?,
            region: region.parse().map_err(Failure::user)?,
            settings,
            yes: self.yes,
        })
    }
}

impl Doing {
    /// `local cn-hangzhou`, for questions.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.settings.cloud, self.region)
    }

    /// Asks, if there is a risk, and does it. None if somebody said no.
    pub(super) async fn run(
        &self,
        verb: ImageVerb,
        (risk, question): (Risk, &str),
        driving: Driving,
        terminal: &Terminal,
    ) -> Result<Option<Outcome>, Failure> {
        let asks = match risk {
            Risk::None => false,
            Risk::Billed => self.settings.cloud == Cloud::Aliyun,
            Risk::Destroys => true,
        };
        let consent = (self.yes || !asks).into();
        if !terminal.consent(consent, question).await? {
            terminal.note("nothing was done");
            return Ok(None);
        }
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let cloud = workshop::cloud(&self.settings, &roots).await?;
        let begin = BeginVerb {
            verb,
            cloud: self.settings.cloud,
            region: self.region.clone(),
            account: self.settings.account.as_deref(),
            random: workshop::random(),
        };
        let run = engine
            .begin_verb(&begin, &Shipped::Components.find()?)
            .await?;
        workshop::play(&engine, &run, cloud, driving, terminal)
            .await
            .map(Some)
    }

    /// Does it and tells what came of it.
    pub(super) async fn run_and_tell(
        &self,
        verb: ImageVerb,
        asked: (Risk, &str),
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        match self.run(verb, asked, Driving::default(), terminal).await? {
            None => Ok(exit::CANCELLED),
            Some(outcome) => workshop::tell(&outcome, terminal),
        }
    }
}
