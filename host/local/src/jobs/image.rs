//! Jobs that make snapshots and images and copy them.
//!
//! ```text
//! create-image:  committing ─ (disk is a layer, snapshot accomplished) ─ committed ─ Available
//! copy-image:    waiting ─ (at most 5 a region) ─ copying ─ Available
//! ```

use std::sync::Arc;

use darkroom_ecs::action::{ImageStatus, SnapshotStatus};
use darkroom_ecs::id::{ImageId, RegionId, SnapshotId};
use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Step, Trouble};
use crate::catalogue::SNAPSHOT_PRICE;
use crate::cloud::Cloud;
use crate::driver::Commit;
use crate::state::jobs::{self, CopyPhase, Job, SnapshotPhase, Task};
use crate::state::rows::{self, DiskRow, ImageRow, InstanceRow, SnapshotRow};
use crate::state::store::StoreError;
use crate::state::{layers, ledger};

/// How many copies into a region go on at once; the others wait.
const COPIES: usize = 5;

pub(super) async fn snapshot(
    cloud: &Arc<Cloud>,
    number: i64,
    mut job: Job,
) -> Result<Step, Trouble> {
    let Task::Snapshot {
        instance,
        snapshot,
        image,
        phase,
    } = &mut job.task
    else {
        return Ok(Step::Moved);
    };
    let (instance, snapshot, image) = (instance.clone(), snapshot.clone(), image.clone());
    if *phase == SnapshotPhase::Committed {
        return match image {
            Some(image) => publish(cloud, number, image).await,
            None => Ok(Step::Moved),
        };
    }
    *phase = SnapshotPhase::Committed;
    // From here until the rows say so, nobody may remove the new layer.
    let _made = cloud.layers.read().await;
    let commit = cloud.driver.commit(&instance, snapshot.as_str()).await?;
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            accomplish(tx, &snapshot, &commit, now)?;
            if !commit.live
                && let Some(row) = rows::get::<InstanceRow>(tx, instance.as_str())?
                && let Some(mut disk) = rows::get::<DiskRow>(tx, row.disk.as_str())?
            {
                layers::hold(tx, disk.id.as_str(), &disk.region, &commit.layers)?;
                disk.layers.clone_from(&commit.layers);
                rows::put(tx, &disk)?;
            }
            let Some(image) = image else {
                jobs::remove(tx, number)?;
                return Ok(());
            };
            if let Some(mut row) = rows::get::<ImageRow>(tx, image.as_str())? {
                layers::hold(tx, row.id.as_str(), &row.region, &commit.layers)?;
                row.layers = commit.layers;
                rows::put(tx, &row)?;
                accomplish_data(tx, &row, now)?;
            }
            jobs::update(tx, number, &job)?;
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(Step::Moved)
}

/// Makes a snapshot's row say that its layers are there.
fn accomplish(
    tx: &Transaction<'_>,
    snapshot: &SnapshotId,
    commit: &Commit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(mut row) = rows::get::<SnapshotRow>(tx, snapshot.as_str())? else {
        return Ok(());
    };
    layers::hold(tx, row.id.as_str(), &row.region, &commit.layers)?;
    row.layers.clone_from(&commit.layers);
    row.size_bytes = commit.size_bytes;
    row.status = SnapshotStatus::Accomplished;
    bill_snapshot(tx, &row, now)?;
    rows::put(tx, &row)
}

/// Enters an accomplished snapshot into the bill, by the GiB begun.
pub(crate) fn bill_snapshot(
    tx: &Transaction<'_>,
    row: &SnapshotRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let gib = u32::try_from(row.size_bytes.div_ceil(1 << 30)).unwrap_or(u32::MAX);
    let entry = ledger::Opened {
        account: &row.account,
        region: &row.region,
        kind: "snapshot",
        resource: row.id.as_str(),
        spec: "standard",
        quantity: gib.max(1),
        price: SNAPSHOT_PRICE,
    };
    ledger::open(tx, &entry, now)
}

/// The same for the snapshots of an image's data disks, which hold nothing.
fn accomplish_data(
    tx: &Transaction<'_>,
    image: &ImageRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let nothing = Commit {
        layers: Vec::new(),
        size_bytes: 0,
        live: false,
    };
    for part in &image.data {
        let row = rows::get::<SnapshotRow>(tx, part.snapshot.as_str())?;
        if row.is_some_and(|row| row.status == SnapshotStatus::Progressing) {
            accomplish(tx, &part.snapshot, &nothing, now)?;
        }
    }
    Ok(())
}

/// Makes an image whose layers are there available.
pub(super) async fn publish(
    cloud: &Arc<Cloud>,
    number: i64,
    image: ImageId,
) -> Result<Step, Trouble> {
    darkroom_failpoint::reach("server.imaging").await;
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            if jobs::remove(tx, number)? {
                make_available(tx, &image, now)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(Step::Moved)
}

fn make_available(tx: &Transaction<'_>, image: &ImageId, now: Timestamp) -> Result<(), StoreError> {
    let Some(mut row) = rows::get::<ImageRow>(tx, image.as_str())? else {
        return Ok(());
    };
    row.status = ImageStatus::Available;
    if let Some(account) = row.account.as_ref() {
        let entry = ledger::Opened {
            account,
            region: &row.region,
            kind: "image",
            resource: row.id.as_str(),
            spec: "custom",
            quantity: 1,
            price: 0,
        };
        ledger::open(tx, &entry, now)?;
    }
    rows::put(tx, &row)
}

pub(super) async fn copy(cloud: &Arc<Cloud>, number: i64, mut job: Job) -> Result<Step, Trouble> {
    let Task::Copy {
        image,
        snapshot,
        from,
        to,
        phase,
        ..
    } = &mut job.task
    else {
        return Ok(Step::Moved);
    };
    let (image, snapshot, from, to) = (image.clone(), snapshot.clone(), from.clone(), to.clone());
    if *phase == CopyPhase::Waiting {
        *phase = CopyPhase::Copying;
        return take_turn(cloud, number, job, image, to).await;
    }
    darkroom_failpoint::reach("server.copy").await;
    let _made = cloud.layers.read().await;
    let wanted = image.clone();
    let Some(row) = cloud
        .store
        .read(move |tx| rows::get::<ImageRow>(tx, wanted.as_str()))
        .await?
    else {
        return Ok(Step::Moved);
    };
    if from != to {
        cloud.driver.copy_layers(&from, &to, &row.layers).await?;
    }
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            // Taken back meanwhile: then its rows are gone as well.
            if !jobs::remove(tx, number)? {
                return Ok(());
            }
            if let Some(copied) = rows::get::<SnapshotRow>(tx, snapshot.as_str())? {
                let commit = Commit {
                    layers: row.layers.clone(),
                    size_bytes: copied.size_bytes,
                    live: false,
                };
                accomplish(tx, &snapshot, &commit, now)?;
            }
            accomplish_data(tx, &row, now)?;
            make_available(tx, &image, now)
        })
        .await?;
    Ok(Step::Moved)
}

async fn take_turn(
    cloud: &Arc<Cloud>,
    number: i64,
    job: Job,
    image: ImageId,
    to: RegionId,
) -> Result<Step, Trouble> {
    let turn = cloud
        .store
        .write(move |tx| {
            let busy = jobs::copies(tx)?
                .iter()
                .filter(|(_, other)| {
                    matches!(&other.task, Task::Copy { to: region, phase: CopyPhase::Copying, .. }
                        if *region == to)
                })
                .count();
            if busy >= COPIES {
                return Ok(false);
            }
            if jobs::update(tx, number, &job)?
                && let Some(mut row) = rows::get::<ImageRow>(tx, image.as_str())?
            {
                row.status = ImageStatus::Creating;
                rows::put(tx, &row)?;
            }
            Ok::<_, StoreError>(true)
        })
        .await?;
    Ok(if turn { Step::Moved } else { Step::Waits })
}

/// Says of what a job was making that it failed.
pub(super) fn fail(tx: &Transaction<'_>, task: &Task) -> Result<(), StoreError> {
    let (image, snapshot) = match task {
        Task::Snapshot {
            snapshot, image, ..
        } => (image.as_ref(), Some(snapshot)),
        Task::Image { image } => (Some(image), None),
        Task::Copy {
            image, snapshot, ..
        } => (Some(image), Some(snapshot)),
        _ => return Ok(()),
    };
    let mut snapshots: Vec<SnapshotId> = snapshot.into_iter().cloned().collect();
    if let Some(image) = image
        && let Some(mut row) = rows::get::<ImageRow>(tx, image.as_str())?
    {
        row.status = ImageStatus::CreateFailed;
        snapshots.extend(row.data.iter().map(|part| part.snapshot.clone()));
        rows::put(tx, &row)?;
    }
    for snapshot in snapshots {
        if let Some(mut row) = rows::get::<SnapshotRow>(tx, snapshot.as_str())?
            && row.status != SnapshotStatus::Accomplished
        {
            row.status = SnapshotStatus::Failed;
            rows::put(tx, &row)?;
        }
    }
    Ok(())
}
