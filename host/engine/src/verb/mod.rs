//! What is done to images that are there: try, delete, share, copy, deprecate.
//!
//! Each is a run of its own kind, with a journal, events and a manifest like a build, so
//! that `resume` goes on with it and a cancel cleans up after it. `image try` is a build
//! that ends after its first stage; the others have one stage and no instance.
//!
//! Whether somebody should do it is asked before, by the command line.

mod copy;
mod delete;
mod deprecate;
mod share;
pub(crate) mod try_out;

use std::sync::Arc;

use darkroom_ecs::action::{CommaList, DescribeImages, Image};
use darkroom_ecs::id::{AccountId, ImageId, RegionId};
use darkroom_journal::Session;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::cloud::{Cloud, every_status};
use crate::event::{Kind, Status};
use crate::operation::Operation;
use crate::pipeline::{Desk, Halt, Progress};
use crate::stage::distribute::{Distributed, Placed};
use crate::trouble::{Problem, Trouble};
use crate::{Scope, Stop, answer};

/// What is to be done to an image of the run's region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum ImageVerb {
    /// A throwaway instance is made from it.
    Try(TryImage),
    /// It goes, with its snapshots.
    Delete {
        /// The image.
        image: ImageId,
        /// Whether it goes although instances were made from it.
        force: bool,
        /// Whether its snapshots stay.
        keep_snapshots: bool,
    },
    /// Other accounts may use it, or not any more.
    Share {
        /// The image.
        image: ImageId,
        /// Those that may.
        add: Vec<AccountId>,
        /// Those that may not.
        remove: Vec<AccountId>,
    },
    /// It is copied to other regions.
    Copy {
        /// The image.
        image: ImageId,
        /// Where to.
        to: Vec<RegionId>,
        /// The name of the copies; none is the image's own.
        name: Option<String>,
    },
    /// No new instance should be made from it: it is marked so, or no longer.
    Deprecate {
        /// The image.
        image: ImageId,
        /// Whether the mark is taken away.
        undo: bool,
    },
}

/// An image that is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryImage {
    /// The image.
    pub image: ImageId,
    /// A script for `/bin/sh`; none where somebody looks for himself.
    pub command: Option<String>,
    /// The instance type; none is the cheapest that fits.
    pub instance_type: Option<String>,
    /// Bandwidth to the internet in Mbit/s.
    pub internet: Option<u32>,
}

/// The instance that somebody may look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its region.
    pub region: RegionId,
    /// Its id.
    pub instance: String,
}

/// Looks into an instance for as long as somebody likes.
pub type LookInto = Arc<dyn Fn(Tried) -> BoxFuture<'static, ()> + Send + Sync>;

impl ImageVerb {
    /// What it is, for lists: `image copy m-1`.
    pub fn words(&self) -> String {
        let (verb, image) = match self {
            Self::Try(TryImage { image, .. }) => ("try", image),
            Self::Delete { image, .. } => ("delete", image),
            Self::Share { image, .. } => ("share", image),
            Self::Copy { image, .. } => ("copy", image),
            Self::Deprecate { image, .. } => ("deprecate", image),
        };
        format!("image {verb} {image}")
    }
}

/// Does it, but a try.
pub(crate) async fn run(
    session: &Session<Cloud>,
    desk: &Desk<'_>,
    verb: &ImageVerb,
) -> (Progress, Result<Halt, Stop>) {
    desk.events.tell(Kind::StageStarted {
        path: "image".into(),
        status: match verb {
            ImageVerb::Delete { .. } => Status::Releasing,
            _ => Status::Distributing,
        },
    });
    let started = desk.events.now();
    let placed = session
        .stage("image", 1, |scope| async move {
            match verb {
                ImageVerb::Try(_) => Ok(Vec::new()),
                ImageVerb::Delete {
                    image,
                    force,
                    keep_snapshots,
                } => delete::run(&scope, desk, image, *force, *keep_snapshots).await,
                ImageVerb::Share { image, add, remove } => {
                    share::run(&scope, desk, image, add, remove).await
                }
                ImageVerb::Copy { image, to, name } => {
                    copy::run(&scope, desk, image, to, name.as_deref()).await
                }
                ImageVerb::Deprecate { image, undo } => {
                    deprecate::run(&scope, desk, image, *undo).await
                }
            }
        })
        .await;
    desk.events.tell(Kind::StageFinished {
        path: "image".into(),
        ok: placed.is_ok(),
        seconds: desk.events.seconds_since(started),
    });
    match placed {
        Ok(regions) => {
            let distributed = (!regions.is_empty()).then_some(Distributed { regions });
            let progress = Progress {
                distributed,
                ..Progress::default()
            };
            (progress, Ok(Halt::Done))
        }
        Err(stop) => (Progress::default(), Err(stop)),
    }
}

/// The image, which must be there and the account's own.
async fn own_image(scope: &Scope, desk: &Desk<'_>, image: &ImageId) -> Result<Image, Stop> {
    let request = DescribeImages {
        region_id: desk.region.clone(),
        image_id: Some(CommaList(vec![image.clone()])),
        status: Some(every_status()),
        ..DescribeImages::default()
    };
    let operation = Operation::ecs(desk.region, &request).map_err(Stop::Failed)?;
    let found = answer::<DescribeImages>(scope.scope("look").run(operation).await?)?;
    let wrong = |problem: &str, hint: &str| {
        let problem = Problem {
            subject: format!("image {image} in {}", desk.region),
            problem: problem.into(),
            hint: Some(hint.into()),
        };
        Stop::Failed(Trouble::Inputs {
            problems: vec![problem],
        })
    };
    match found.images.image.into_iter().next() {
        None => Err(wrong(
            "there is no such image",
            "`darkroom image list` shows those that there are; --region says where",
        )),
        Some(found) if found.image_owner_alias != "self" => Err(wrong(
            "it belongs to another account",
            "only the account that owns an image can change it",
        )),
        Some(found) => Ok(found),
    }
}

/// The image as it is in the region now.
fn placed(desk: &Desk<'_>, image: &ImageId) -> Placed {
    Placed {
        region: desk.region.clone(),
        image: Some(image.clone()),
        shared_with: Vec::new(),
        family: None,
        error: None,
        undo: None,
    }
}

fn progress(desk: &Desk<'_>, text: String) {
    desk.events.tell(Kind::Progress {
        path: "image".into(),
        text,
    });
}
