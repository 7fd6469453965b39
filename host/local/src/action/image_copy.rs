//! Copying images to other regions, and taking that back.

use darkroom_ecs::action::{
    CancelCopyImage, CancelCopyImageResponse, CopyImage, CopyImageResponse, ImageStatus,
    SnapshotStatus,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{DiskId, ImageId, RegionId};
use rusqlite::Transaction;

use super::image::{check_name, owned, seen};
use super::words::{new_id, row_tags};
use super::{Context, Serve, Token, check_region, snapshot};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, CopyPhase, Job, Task};
use crate::state::layers;
use crate::state::rows::{self, DataPart, ImageRow, Part, RowTag, SnapshotRow};

impl Serve for CopyImage {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CopyImageResponse, Fault> {
        if self.encrypted == Some(true) || self.kms_key_id.is_some() {
            return Err(Fault::unsupported("Encrypted"));
        }
        let to = self.destination_region_id.clone();
        let to = to.ok_or_else(|| Fault::missing_parameter("DestinationRegionId"))?;
        check_region(to.as_str())?;
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        let (number, response) = cx
            .cloud
            .store
            .write(move |tx| make(tx, &this, &self, &to, tags))
            .await?;
        jobs::begin(&cx.cloud, number);
        Ok(response)
    }
}

/// Checks what is to be copied.
fn source(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CopyImage,
    to: &RegionId,
) -> Result<ImageRow, Fault> {
    let row = seen(tx, &cx.account, &request.region_id, &request.image_id)?;
    match &row.account {
        None => {
            return Err(Fault::forbidden(
                ErrorCode::OperationDenied,
                "Public images are in every region: they can't be copied.",
            ));
        }
        Some(owner) if *owner != cx.account && *to != row.region => {
            return Err(Fault::forbidden(
                ErrorCode::OperationDeniedSameRegionOnly,
                "A shared image can be copied within its region only.",
            ));
        }
        Some(_) => {}
    }
    if row.status != ImageStatus::Available {
        return Err(Fault::forbidden(
            ErrorCode::IncorrectImageStatus,
            format!(
                "The specified image {} is {}, not Available.",
                row.id, row.status
            ),
        ));
    }
    let jobs = job_rows::copies(tx)?;
    let same = jobs.iter().any(|(_, job)| {
        matches!(&job.task, Task::Copy { source, to: region, .. } if *source == row.id && region == to)
    });
    if same {
        return Err(Fault::bad(
            ErrorCode::OperationDeniedImageCopyConflict,
            format!("The image {} is being copied to {to} already.", row.id),
        ));
    }
    Ok(row)
}

fn make(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CopyImage,
    to: &RegionId,
    tags: Vec<RowTag>,
) -> Result<(i64, CopyImageResponse), Fault> {
    let source = source(tx, cx, request, to)?;
    let id: ImageId = new_id("m-");
    let name = request.destination_image_name.clone();
    let name = name.unwrap_or_else(|| id.to_string());
    check_name(tx, &cx.account, to, &name, None)?;
    if request.dry_run == Some(true) {
        return Err(Fault::dry_run());
    }
    let original = source.snapshot.as_ref();
    let original = match original {
        Some(id) => rows::get::<SnapshotRow>(tx, id.as_str())?,
        None => None,
    };
    let copied = SnapshotRow {
        id: new_id("s-"),
        region: to.clone(),
        account: cx.account.clone(),
        name: format!("Copied_for_{id}"),
        description: String::new(),
        disk: DiskId::default(),
        disk_size_gib: source.size_gib,
        part: Part::System,
        system: source.system.clone(),
        status: SnapshotStatus::Progressing,
        layers: source.layers.clone(),
        size_bytes: original.map_or(0, |row| row.size_bytes),
        retention_days: None,
        created_at: cx.now,
        tags: Vec::new(),
    };
    let row = ImageRow {
        key: id.to_string(),
        id: id.clone(),
        region: to.clone(),
        account: Some(cx.account.clone()),
        name,
        family: String::new(),
        description: request.destination_description.clone().unwrap_or_default(),
        status: ImageStatus::Waiting,
        snapshot: Some(copied.id.clone()),
        data: copy_data(tx, &copied, &source)?,
        base: None,
        copied_from: Some((source.region.clone(), source.id.clone())),
        shares: Vec::new(),
        created_at: cx.now,
        tags,
        ..source.clone()
    };
    // Held from now on, though not there yet: nobody may remove what is being copied.
    layers::hold(tx, row.id.as_str(), to, &row.layers)?;
    layers::hold(tx, copied.id.as_str(), to, &copied.layers)?;
    rows::put(tx, &copied)?;
    rows::put(tx, &row)?;
    let task = Task::Copy {
        image: id.clone(),
        snapshot: copied.id,
        from: source.region,
        source: source.id,
        to: to.clone(),
        phase: CopyPhase::Waiting,
    };
    let created_at = cx.now;
    let number = job_rows::add(tx, &Job { task, created_at })?;
    let response = CopyImageResponse {
        image_id: id,
        ..CopyImageResponse::default()
    };
    Token::keep(cx.token.as_ref(), tx, &response)?;
    Ok((number, response))
}

/// Writes down the snapshots of a copy's data disks.
fn copy_data(
    tx: &Transaction<'_>,
    system: &SnapshotRow,
    source: &ImageRow,
) -> Result<Vec<DataPart>, Fault> {
    let mut parts = Vec::new();
    for part in &source.data {
        let row = SnapshotRow {
            id: new_id("s-"),
            disk_size_gib: part.size_gib,
            part: Part::Data,
            layers: Vec::new(),
            size_bytes: 0,
            ..system.clone()
        };
        parts.push(DataPart {
            snapshot: row.id.clone(),
            ..part.clone()
        });
        rows::put(tx, &row)?;
    }
    Ok(parts)
}

impl Serve for CancelCopyImage {
    async fn serve(self, cx: &Context) -> Result<CancelCopyImageResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = owned(tx, &account, &self.region_id, &self.image_id)?;
                if row.copied_from.is_none() {
                    return Err(Fault::bad(
                        ErrorCode::ImageCreatedNotFromCopy,
                        format!("The image {} was not made by CopyImage.", row.id),
                    ));
                }
                let jobs = job_rows::of(tx, row.id.as_str())?;
                let copy = jobs.iter().find(
                    |(_, job)| matches!(&job.task, Task::Copy { image, .. } if *image == row.id),
                );
                let Some((number, _)) = copy else {
                    return Err(Fault::bad(
                        ErrorCode::IncorrectImageStatus,
                        format!(
                            "The image {} is {}, its copy has ended.",
                            row.id, row.status
                        ),
                    ));
                };
                job_rows::remove(tx, *number)?;
                layers::release(tx, row.id.as_str())?;
                rows::remove::<ImageRow>(tx, row.id.as_str())?;
                for id in row.snapshots() {
                    let copied = snapshot::mine(tx, &account, id)?;
                    snapshot::remove(tx, &copied, now)?;
                }
                Ok(())
            })
            .await?;
        cx.cloud.changed.notify_waiters();
        jobs::sweep(&cx.cloud);
        Ok(CancelCopyImageResponse::default())
    }
}
