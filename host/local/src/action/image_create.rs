//! Making an image of a stopped instance, or of a snapshot.

use darkroom_ecs::action::{CreateImage, CreateImageResponse, ImageStatus, SnapshotStatus};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, SnapshotId};
use rusqlite::Transaction;

use super::image::{check_family, check_name};
use super::snapshot::{check_stopped, of_disk};
use super::words::{new_id, row_tags};
use super::{Context, Serve, Token, in_region, instance, snapshot};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, Job, SnapshotPhase, Task};
use crate::state::layers;
use crate::state::rows::{self, DiskRow, ImageRow, RowTag, SnapshotRow};

impl Serve for CreateImage {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateImageResponse, Fault> {
        refuse_unsupported(&self)?;
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        let (number, response) = cx
            .cloud
            .store
            .write(move |tx| make(tx, &this, &self, tags))
            .await?;
        jobs::begin(&cx.cloud, number);
        Ok(response)
    }
}

fn refuse_unsupported(request: &CreateImage) -> Result<(), Fault> {
    let several = request.disk_device_mapping.len() > 1;
    let odd = request.disk_device_mapping.iter().any(|disk| {
        disk.disk_type
            .as_deref()
            .is_some_and(|kind| kind != "system")
            || disk.snapshot_id.is_none()
    });
    for (name, given) in [
        ("DiskDeviceMapping.N", several || odd),
        ("DetectionStrategy", request.detection_strategy.is_some()),
        ("Features", request.features.is_some()),
    ] {
        if given {
            return Err(Fault::unsupported(name));
        }
    }
    Ok(())
}

/// Writes the image down as Creating, with the snapshot that it is made of.
fn make(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
    tags: Vec<RowTag>,
) -> Result<(i64, CreateImageResponse), Fault> {
    let id: ImageId = new_id("m-");
    let name = request.image_name.clone().unwrap_or_else(|| id.to_string());
    check_name(tx, &cx.account, &request.region_id, &name, None)?;
    let family = request.image_family.clone().unwrap_or_default();
    check_family(&family)?;
    let mapped = request.disk_device_mapping.first();
    let wanted = mapped
        .and_then(|disk| disk.snapshot_id.as_ref())
        .or(request.snapshot_id.as_ref());
    let (source, task) = match (&request.instance_id, wanted) {
        (Some(_), _) => of_instance(tx, cx, request, &id)?,
        (None, Some(snapshot)) => of_snapshot(tx, cx, request, snapshot, &id)?,
        (None, None) => return Err(Fault::missing_parameter("InstanceId")),
    };
    if request.dry_run == Some(true) {
        return Err(Fault::dry_run());
    }
    let mut system = source.system.clone();
    let set = |field: &mut String, wanted: &Option<String>| {
        if let Some(text) = wanted {
            field.clone_from(text);
        }
    };
    set(&mut system.platform, &request.platform);
    set(&mut system.architecture, &request.architecture);
    set(&mut system.boot_mode, &request.boot_mode);
    let row = ImageRow {
        key: id.to_string(),
        id: id.clone(),
        region: request.region_id.clone(),
        account: Some(cx.account.clone()),
        name,
        family,
        version: request.image_version.clone().unwrap_or_default(),
        description: request.description.clone().unwrap_or_default(),
        system,
        status: ImageStatus::Creating,
        size_gib: source.disk_size_gib,
        snapshot: Some(source.id.clone()),
        layers: source.layers.clone(),
        base: None,
        copied_from: None,
        shares: Vec::new(),
        created_at: cx.now,
        tags,
    };
    layers::hold(tx, row.id.as_str(), &row.region, &row.layers)?;
    rows::put(tx, &row)?;
    if source.status == SnapshotStatus::Progressing {
        rows::put(tx, &source)?;
    }
    let created_at = cx.now;
    let number = job_rows::add(tx, &Job { task, created_at })?;
    let response = CreateImageResponse {
        image_id: id,
        ..CreateImageResponse::default()
    };
    Token::keep(cx.token.as_ref(), tx, &response)?;
    Ok((number, response))
}

fn of_instance(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
    image: &ImageId,
) -> Result<(SnapshotRow, Task), Fault> {
    let id = request.instance_id.clone().unwrap_or_default();
    let row = instance::mine(tx, &cx.account, &id)?;
    let disk = rows::get::<DiskRow>(tx, row.disk.as_str())?
        .filter(|_| in_region(&row.region, &request.region_id))
        .ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidInstanceIdNotFound,
                format!("The specified InstanceId {id} does not exist in this region."),
            )
        })?;
    check_stopped(&row)?;
    let snapshot = SnapshotRow {
        name: format!("Created_by_{image}"),
        ..of_disk(&disk, cx)
    };
    let task = Task::Snapshot {
        instance: id,
        snapshot: snapshot.id.clone(),
        image: Some(image.clone()),
        phase: SnapshotPhase::Committing,
    };
    Ok((snapshot, task))
}

fn of_snapshot(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
    id: &SnapshotId,
    image: &ImageId,
) -> Result<(SnapshotRow, Task), Fault> {
    let row = snapshot::mine(tx, &cx.account, id)?;
    if !in_region(&row.region, &request.region_id) {
        return Err(Fault::missing(
            ErrorCode::InvalidSnapshotIdNotFound,
            format!("The specified SnapshotId {id} does not exist in this region."),
        ));
    }
    if row.status != SnapshotStatus::Accomplished {
        return Err(Fault::forbidden(
            ErrorCode::InvalidSnapshotIdNotReady,
            format!("The specified snapshot {id} is not ready."),
        ));
    }
    let task = Task::Image {
        image: image.clone(),
    };
    Ok((row, task))
}
