//! `image delete`: an image goes, with what its snapshots cost.
//!
//! A deletion can't be undone; a run that was killed in it goes on with it.

use darkroom_ecs::action::{DeleteImage, DeleteSnapshot};
use darkroom_ecs::id::ImageId;

use super::share::{accounts, unshare};
use super::{own_image, progress};
use crate::operation::Operation;
use crate::pipeline::Desk;
use crate::stage::distribute::Placed;
use crate::{Scope, Stop};

pub(super) async fn run(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
    force: bool,
    keep_snapshots: bool,
) -> Result<Vec<Placed>, Stop> {
    let found = own_image(scope, desk, image).await?;
    // A shared image can't be deleted.
    let shared = accounts(scope, desk, image).await?;
    unshare(&scope.scope("unshare"), desk, image, &shared).await?;
    let request = DeleteImage {
        region_id: desk.region.clone(),
        image_id: image.clone(),
        force: Some(force),
        ..DeleteImage::default()
    };
    let operation = Operation::ecs(desk.region, &request).map_err(Stop::Failed)?;
    scope.scope("delete").run(operation).await?;
    darkroom_failpoint::reach("engine.image-deleted").await;
    progress(
        desk,
        format!("image {image} ({}) is deleted", found.image_name),
    );
    if keep_snapshots {
        return Ok(Vec::new());
    }
    for disk in &found.disk_device_mappings.disk_device_mapping {
        if disk.snapshot_id.is_empty() {
            continue;
        }
        let snapshot = disk.snapshot_id.to_string();
        let request = DeleteSnapshot {
            snapshot_id: disk.snapshot_id.clone(),
            force: Some(true),
        };
        let operation = Operation::ecs(desk.region, &request).map_err(Stop::Failed)?;
        scope
            .scope(&format!("snapshot {snapshot}"))
            .run(operation)
            .await?;
        progress(desk, format!("snapshot {snapshot} is deleted"));
    }
    Ok(Vec::new())
}
