//! `darkroom image`: the images of an account, asked of the cloud itself.

mod list;
mod show;

use std::path::Path;

use clap::{Args, Subcommand};
use darkroom_ecs::action::CommaList;
use darkroom_ecs::action::Image as EcsImage;
use darkroom_ecs::action::status::ImageStatus;
use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;

use crate::args::Where;
use crate::cloud::access::{Access, DEFAULT_REGION};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::Settings;
use crate::terminal::Terminal;

/// List images, or show one
#[derive(Args, Debug)]
pub(crate) struct Image {
    #[command(subcommand)]
    verb: ImageVerb,
}

#[derive(Subcommand, Debug)]
enum ImageVerb {
    List(list::List),
    Show(show::Show),
}

impl Image {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ImageVerb::List(verb) => verb.run(terminal).await,
            ImageVerb::Show(verb) => verb.run(terminal).await,
        }
    }
}

/// A client and the region that is meant.
struct Target {
    client: Client,
    region: RegionId,
    /// `local cn-hangzhou`, for messages.
    place: String,
}

impl Target {
    async fn open(wanted: &Where) -> Result<Self, Failure> {
        let settings = Settings::decide(wanted, Path::new("."))?;
        let region = settings.region.as_deref().unwrap_or(DEFAULT_REGION);
        let access = Access::open(&settings, &Roots::of_process()?).await?;
        Ok(Self {
            client: access.client(),
            region: region.parse().map_err(Failure::user)?,
            place: format!("{} {region}", settings.cloud),
        })
    }
}

/// Every status that an image can have; the default of ECS hides all but one.
fn every_status() -> CommaList<ImageStatus> {
    [
        ImageStatus::Creating,
        ImageStatus::Waiting,
        ImageStatus::Available,
        ImageStatus::UnAvailable,
        ImageStatus::CreateFailed,
        ImageStatus::Deprecated,
    ]
    .into_iter()
    .collect()
}

/// Who has it: we, somebody who shares it, or the cloud.
fn owner(image: &EcsImage) -> &str {
    match image.image_owner_alias.as_str() {
        "self" => "you",
        "others" => "shared",
        other => other,
    }
}
