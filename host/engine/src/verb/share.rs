//! `image share`: who may use an image, besides its owner.

use darkroom_ecs::action::{DescribeImageSharePermission, ModifyImageSharePermission};
use darkroom_ecs::id::{AccountId, ImageId};

use super::{own_image, placed, progress};
use crate::operation::Operation;
use crate::pipeline::Desk;
use crate::stage::distribute::{Placed, SHARED_AT_ONCE};
use crate::{Scope, Stop, answer};

pub(super) async fn run(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
    add: &[AccountId],
    remove: &[AccountId],
) -> Result<Vec<Placed>, Stop> {
    own_image(scope, desk, image).await?;
    let shared = accounts(scope, desk, image).await?;
    // Only what is new, so that an undo takes nothing away that was there before.
    let add: Vec<_> = add
        .iter()
        .filter(|one| !shared.contains(one))
        .cloned()
        .collect();
    let remove: Vec<_> = remove
        .iter()
        .filter(|one| shared.contains(one))
        .cloned()
        .collect();
    let mut keys = Vec::new();
    for batch in add.chunks(SHARED_AT_ONCE) {
        let (now, undo) = (
            change(desk, image, batch, &[])?,
            change(desk, image, &[], batch)?,
        );
        keys.push(scope.scope("add").run_undoable(now, undo).await?.1);
    }
    for batch in remove.chunks(SHARED_AT_ONCE) {
        let (now, undo) = (
            change(desk, image, &[], batch)?,
            change(desk, image, batch, &[])?,
        );
        keys.push(scope.scope("remove").run_undoable(now, undo).await?.1);
    }
    for key in &keys {
        scope.keep(key).await?;
    }
    for (accounts, word) in [(&add, "shared with"), (&remove, "no longer shared with")] {
        for account in accounts {
            progress(desk, format!("image {image} is {word} {account}"));
        }
    }
    if add.is_empty() && remove.is_empty() {
        progress(desk, format!("image {image} is shared as it should be"));
    }
    let mut shared: Vec<_> = shared
        .into_iter()
        .filter(|one| !remove.contains(one))
        .collect();
    shared.extend(add);
    Ok(vec![Placed {
        shared_with: shared,
        ..placed(desk, image)
    }])
}

/// The accounts that an image is shared with.
pub(super) async fn accounts(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
) -> Result<Vec<AccountId>, Stop> {
    let request = DescribeImageSharePermission {
        region_id: desk.region.clone(),
        image_id: image.clone(),
        page_size: Some(100),
        ..DescribeImageSharePermission::default()
    };
    let operation = Operation::ecs(desk.region, &request).map_err(Stop::Failed)?;
    let found = scope.scope("accounts").run(operation).await?;
    let found = answer::<DescribeImageSharePermission>(found)?
        .accounts
        .account;
    Ok(found.into_iter().map(|one| one.aliyun_id).collect())
}

/// Takes an image away from accounts.
pub(super) async fn unshare(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
    accounts: &[AccountId],
) -> Result<(), Stop> {
    for batch in accounts.chunks(SHARED_AT_ONCE) {
        scope.run(change(desk, image, &[], batch)?).await?;
    }
    Ok(())
}

fn change(
    desk: &Desk<'_>,
    image: &ImageId,
    add: &[AccountId],
    remove: &[AccountId],
) -> Result<Operation, Stop> {
    let request = ModifyImageSharePermission {
        region_id: desk.region.clone(),
        image_id: image.clone(),
        add_account: add.to_vec(),
        remove_account: remove.to_vec(),
        ..ModifyImageSharePermission::default()
    };
    Operation::ecs(desk.region, &request).map_err(Stop::Failed)
}
