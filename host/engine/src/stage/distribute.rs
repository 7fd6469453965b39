//! Distribute: the tested image goes to the other regions and accounts, then into its
//! family.
//!
//! Each region is a branch of its own: it fails alone. The family is set last, in every
//! region that is ready, so that no one finds half of it. What is made here is kept by
//! the next stage, all at once, when this one's record names it.

use darkroom_ecs::action::{CopyImage, ModifyImageAttribute, ModifyImageSharePermission};
use darkroom_ecs::id::{AccountId, ImageId, RegionId};
use darkroom_journal::{UndoKey, branch};
use serde::{Deserialize, Serialize};

use super::image::{Imaged, available, image_tags, tag_snapshots};
use super::{Work, unchanged};
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// Accounts that one ModifyImageSharePermission takes; further ones are ignored.
pub(crate) const SHARED_AT_ONCE: usize = 10;

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Distributed {
    pub regions: Vec<Placed>,
}

/// The image in one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub region: RegionId,
    /// None where it could not even be begun.
    pub image: Option<ImageId>,
    pub shared_with: Vec<AccountId>,
    pub family: Option<String>,
    pub error: Option<Trouble>,
    pub undo: Option<UndoKey>,
}

impl Distributed {
    /// What would undo the images that are where they should be.
    pub(crate) fn undo(&self) -> Vec<UndoKey> {
        let ready = self.regions.iter().filter(|one| one.error.is_none());
        ready.filter_map(|one| one.undo.clone()).collect()
    }
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    imaged: &Imaged,
    build_key: Option<&str>,
) -> Result<Distributed, Stop> {
    let mut regions = vec![work.region.clone()];
    for region in &work.checked.resolved.distribute.regions {
        let region: RegionId = region.value.parse().map_err(|_| bad_id(&region.value))?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let accounts = accounts(work)?;
    let branches = regions.iter().map(|region| {
        let (accounts, imaged) = (accounts.clone(), imaged.clone());
        let region = region.clone();
        branch(region.to_string(), move |scope: Scope| async move {
            place(&scope, work, region, &imaged, accounts).await
        })
    });
    let mut placed = Vec::new();
    for result in scope.all(branches.collect()).await {
        placed.push(result?);
    }
    if let Some(family) = &work.checked.resolved.image.family {
        for one in placed.iter_mut().filter(|one| one.error.is_none()) {
            publish(&scope, one, &family.value).await?;
        }
    }
    if let Some(key) = build_key {
        for one in placed.iter().filter(|one| one.error.is_none()) {
            unchanged::mark(&scope, one, key).await?;
        }
    }
    Ok(Distributed { regions: placed })
}

fn bad_id(text: &str) -> Stop {
    Stop::Failed(Trouble::State {
        subject: text.into(),
        problem: "it can't be an id".into(),
        hint: None,
    })
}

fn accounts(work: &Work<'_>) -> Result<Vec<AccountId>, Stop> {
    let accounts = work.checked.resolved.distribute.accounts.iter();
    accounts
        .map(|account| account.value.parse().map_err(|_| bad_id(&account.value)))
        .collect()
}

/// One region's branch. What goes wrong in it is its result.
async fn place(
    scope: &Scope,
    work: &Work<'_>,
    region: RegionId,
    imaged: &Imaged,
    accounts: Vec<AccountId>,
) -> Result<Placed, Stop> {
    let mut placed = Placed {
        region: region.clone(),
        image: None,
        shared_with: Vec::new(),
        family: None,
        error: None,
        undo: None,
    };
    match bring(scope, work, imaged, accounts, &mut placed).await {
        Ok(()) => work.events.tell(Kind::Progress {
            path: format!("distribute/{region}"),
            text: match &placed.image {
                Some(image) => format!("image {image} is ready in {region}"),
                None => format!("nothing to do in {region}"),
            },
        }),
        Err(Stop::Failed(trouble)) => {
            work.events.tell(Kind::Message {
                path: format!("distribute/{region}"),
                level: Level::Warning,
                text: trouble.to_string(),
            });
            placed.error = Some(trouble);
        }
        Err(stop) => return Err(stop),
    }
    Ok(placed)
}

async fn bring(
    scope: &Scope,
    work: &Work<'_>,
    imaged: &Imaged,
    accounts: Vec<AccountId>,
    placed: &mut Placed,
) -> Result<(), Stop> {
    let region = placed.region.clone();
    let image = if region == work.region {
        placed.undo = Some(imaged.undo.clone());
        imaged.image.clone()
    } else {
        copy(scope, work, &region, imaged, placed).await?
    };
    placed.image = Some(image.clone());
    for batch in accounts.chunks(SHARED_AT_ONCE) {
        let request = ModifyImageSharePermission {
            region_id: region.clone(),
            image_id: image.clone(),
            add_account: batch.to_vec(),
            ..ModifyImageSharePermission::default()
        };
        let operation = Operation::ecs(&region, &request).map_err(Stop::Failed)?;
        scope.scope("share").run(operation).await?;
        placed.shared_with.extend_from_slice(batch);
    }
    Ok(())
}

async fn copy(
    scope: &Scope,
    work: &Work<'_>,
    region: &RegionId,
    imaged: &Imaged,
    placed: &mut Placed,
) -> Result<ImageId, Stop> {
    let settings = &work.checked.resolved.image;
    let request = CopyImage {
        region_id: work.region.clone(),
        image_id: imaged.image.clone(),
        destination_region_id: Some(region.clone()),
        destination_image_name: Some(imaged.name.clone()),
        destination_description: settings.description.as_ref().map(|text| text.value.clone()),
        tag: image_tags(work, "copy"),
        ..CopyImage::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let undo = Operation::DiscardImages {
        region: region.clone(),
        run: work.run.clone(),
        purpose: "copy".into(),
    };
    let scope = scope.scope("copy");
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    placed.undo = Some(undo);
    let image = answer::<CopyImage>(value)?.image_id;
    placed.image = Some(image.clone());
    darkroom_failpoint::reach("engine.copy").await;
    work.events.tell(Kind::Progress {
        path: format!("distribute/{region}"),
        text: format!("image {image} is being copied to {region}"),
    });
    available(&scope, work, region, &image).await?;
    let of_template = vec![tags::tag(tags::TEMPLATE, work.checked.name())];
    tag_snapshots(&scope, work, (region, &image), "copy", of_template).await?;
    Ok(image)
}

async fn publish(scope: &Scope, placed: &mut Placed, family: &str) -> Result<(), Stop> {
    let Some(image) = &placed.image else {
        return Ok(());
    };
    let request = ModifyImageAttribute {
        region_id: placed.region.clone(),
        image_id: image.clone(),
        image_family: Some(family.to_owned()),
        ..ModifyImageAttribute::default()
    };
    let operation = Operation::ecs(&placed.region, &request).map_err(Stop::Failed)?;
    let scope = scope.scope(&format!("family in {}", placed.region));
    match scope.run(operation).await {
        Ok(_) => placed.family = Some(family.to_owned()),
        Err(Stop::Failed(trouble)) => placed.error = Some(trouble),
        Err(stop) => return Err(stop),
    }
    Ok(())
}
