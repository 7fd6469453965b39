//! Making an image of an instance, running or stopped, or of snapshots.

use darkroom_ecs::action::{
    CreateImage, CreateImageResponse, ImageDisk, ImageStatus, SnapshotStatus,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, InstanceId, SnapshotId};
use rusqlite::Transaction;

use super::image::{check_family, check_name};
use super::snapshot::{check_settled, of_disk};
use super::words::{new_id, row_tags};
use super::{Context, Serve, Token, in_region, instance, snapshot};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, Job, SnapshotPhase, Task};
use crate::state::layers;
use crate::state::rows::{self, DataPart, DiskRow, ImageRow, Part, RowTag, SnapshotRow};

/// How many data disks an instance or an image has, at most.
pub(super) const MOST_DATA_DISKS: usize = 16;

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

/// Whether a disk of a request is the system disk: the first one, where none says it is.
fn is_system(disk: &ImageDisk) -> bool {
    disk.disk_type.as_deref().unwrap_or("system") == "system"
}

fn refuse_unsupported(request: &CreateImage) -> Result<(), Fault> {
    let disks = &request.disk_device_mapping;
    let systems = disks.iter().filter(|disk| is_system(disk)).count();
    if !disks.is_empty() && systems != 1 {
        return Err(Fault::invalid(
            "DiskDeviceMapping.N",
            "exactly one disk must be the system disk",
        ));
    }
    if disks.len() > 1 + MOST_DATA_DISKS {
        return Err(Fault::invalid(
            "DiskDeviceMapping.N",
            "there may be at most 16 data disks",
        ));
    }
    let odd = disks.iter().any(|disk| disk.snapshot_id.is_none());
    for (name, given) in [
        ("DiskDeviceMapping.N", odd),
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
    let mut mapped = request.disk_device_mapping.iter();
    let mapped = mapped.find(|disk| is_system(disk));
    let wanted = mapped
        .and_then(|disk| disk.snapshot_id.as_ref())
        .or(request.snapshot_id.as_ref());
    let (source, task) = match (&request.instance_id, wanted) {
        (Some(_), _) => of_instance(tx, cx, request, &id)?,
        (None, Some(snapshot)) => of_snapshot(tx, cx, request, snapshot, &id)?,
        (None, None) => return Err(Fault::missing_parameter("InstanceId")),
    };
    let data = match &request.instance_id {
        Some(id) => data_of_instance(tx, cx, id, request.dry_run == Some(true))?,
        None => data_of_snapshots(tx, cx, request)?,
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
        data,
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
    check_settled(&row)?;
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

/// Writes down the snapshots of an instance's data disks; the job that makes the image
/// accomplishes them.
fn data_of_instance(
    tx: &Transaction<'_>,
    cx: &Context,
    id: &InstanceId,
    dry_run: bool,
) -> Result<Vec<DataPart>, Fault> {
    let mut parts = Vec::new();
    for disk in instance::mine(tx, &cx.account, id)?.data_disks {
        let Some(disk) = rows::get::<DiskRow>(tx, disk.as_str())? else {
            continue;
        };
        let snapshot = of_disk(&disk, cx);
        parts.push(DataPart {
            device: disk.device,
            snapshot: snapshot.id.clone(),
            size_gib: disk.size_gib,
        });
        if !dry_run {
            rows::put(tx, &snapshot)?;
        }
    }
    Ok(parts)
}

/// The data disks that a request names by their snapshots.
fn data_of_snapshots(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
) -> Result<Vec<DataPart>, Fault> {
    let mut parts: Vec<DataPart> = Vec::new();
    let data = request.disk_device_mapping.iter();
    for disk in data.filter(|disk| !is_system(disk)) {
        let id = disk.snapshot_id.clone().unwrap_or_default();
        let row = ready(tx, cx, request, &id)?;
        parts.push(DataPart {
            device: free_device(disk.device.as_deref(), &parts)?,
            size_gib: disk.size.unwrap_or(row.disk_size_gib),
            snapshot: id,
        });
    }
    Ok(parts)
}

/// The wanted device name of a data disk, or the first free one.
pub(super) fn free_device(wanted: Option<&str>, others: &[DataPart]) -> Result<String, Fault> {
    let taken = |name: &str| others.iter().any(|other| other.device == name);
    let mut names = ('b'..='z').map(|letter| format!("/dev/xvd{letter}"));
    let found = match wanted.filter(|text| !text.is_empty()) {
        Some(wanted) => names.find(|name| name == wanted && !taken(name)),
        None => names.find(|name| !taken(name)),
    };
    found.ok_or_else(|| {
        Fault::invalid(
            "Device",
            "it must be one of /dev/xvdb to /dev/xvdz that no other disk has",
        )
    })
}

/// A snapshot of the account in the request's region that can be used.
fn ready(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
    id: &SnapshotId,
) -> Result<SnapshotRow, Fault> {
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
    Ok(row)
}

fn of_snapshot(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &CreateImage,
    id: &SnapshotId,
    image: &ImageId,
) -> Result<(SnapshotRow, Task), Fault> {
    let row = ready(tx, cx, request, id)?;
    if row.part != Part::System {
        return Err(Fault::forbidden(
            ErrorCode::OperationDenied,
            format!("The snapshot {id} is of a data disk: an image needs a system disk's."),
        ));
    }
    let task = Task::Image {
        image: image.clone(),
    };
    Ok((row, task))
}
