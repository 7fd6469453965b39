//! `darkroom image`: the images of an account. Looking asks the cloud itself; what
//! changes something is a run of the engine, so that it can be resumed and cancelled.

mod copy;
mod delete;
mod deprecate;
mod doing;
mod list;
mod share;
mod show;
mod try_out;
mod unshare;

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

/// List images, show, try, copy, share or delete one
#[derive(Args, Debug)]
pub(crate) struct Image {
    #[command(subcommand)]
    verb: ImageVerb,
}

#[derive(Subcommand, Debug)]
enum ImageVerb {
    List(list::List),
    Show(show::Show),
    Try(try_out::Try),
    Copy(copy::Copy),
    Share(share::Share),
    Unshare(unshare::Unshare),
    Deprecate(deprecate::Deprecate),
    Delete(delete::Delete),
}

impl Image {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ImageVerb::List(verb) => verb.run(terminal).await,
            ImageVerb::Show(verb) => verb.run(terminal).await,
            ImageVerb::Try(verb) => verb.run(terminal).await,
            ImageVerb::Copy(verb) => verb.run(terminal).await,
            ImageVerb::Share(verb) => verb.run(terminal).await,
            ImageVerb::Unshare(verb) => verb.run(terminal).await,
            ImageVerb::Deprecate(verb) => verb.run(terminal).await,
            ImageVerb::Delete(verb) => verb.run(terminal).await,
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
