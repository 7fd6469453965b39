//! The data disks of new instances: those of the image, and those that are asked for.

use darkroom_ecs::action::{DataDisk, RunInstances, SnapshotStatus};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{DiskId, InstanceId, SnapshotId};
use rusqlite::Transaction;

use super::image_create::{MOST_DATA_DISKS, free_device};
use super::words::new_id;
use super::{Context, in_region, snapshot};
use crate::catalogue::DISK_CATEGORIES;
use crate::fault::Fault;
use crate::state::rows::{self, DataPart, DiskRow, ImageRow, Part};

/// The sizes of data disks in GiB.
const SIZES: std::ops::RangeInclusive<u32> = 20..=32_768;

/// A data disk of a new instance.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    device: String,
    size_gib: u32,
    category: String,
    snapshot: Option<SnapshotId>,
    name: String,
    description: String,
}

/// What each instance of a request will have. A disk that is asked for with the device of
/// one of the image's takes its place.
pub(super) fn plan(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &RunInstances,
    image: &ImageRow,
) -> Result<Vec<Planned>, Fault> {
    let asked = |part: &DataPart| {
        let mut disks = request.data_disk.iter();
        disks.any(|disk| disk.device.as_ref() == Some(&part.device))
    };
    let mut parts: Vec<DataPart> = image.data.clone();
    parts.retain(|part| !asked(part));
    let mut planned: Vec<Planned> = parts
        .iter()
        .map(|part| Planned {
            device: part.device.clone(),
            size_gib: part.size_gib,
            category: "cloud_essd".to_owned(),
            snapshot: Some(part.snapshot.clone()),
            name: String::new(),
            description: String::new(),
        })
        .collect();
    for disk in &request.data_disk {
        let device = free_device(disk.device.as_deref(), &parts)?;
        let one = wanted(tx, cx, request, disk, device)?;
        parts.push(DataPart {
            device: one.device.clone(),
            snapshot: SnapshotId::default(),
            size_gib: one.size_gib,
        });
        planned.push(one);
    }
    if planned.len() > MOST_DATA_DISKS {
        return Err(Fault::invalid("DataDisk", "there may be at most 16"));
    }
    Ok(planned)
}

/// Checks one disk that is asked for.
fn wanted(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &RunInstances,
    disk: &DataDisk,
    device: String,
) -> Result<Planned, Fault> {
    if disk.encrypted == Some(true) || disk.kms_key_id.is_some() {
        return Err(Fault::unsupported("DataDisk.N.Encrypted"));
    }
    if disk.delete_with_instance == Some(false) {
        return Err(Fault::unsupported("DataDisk.N.DeleteWithInstance"));
    }
    let category = disk.category.clone();
    let category = category.unwrap_or_else(|| "cloud_essd".to_owned());
    if !DISK_CATEGORIES.contains(&category.as_str()) {
        return Err(Fault::forbidden(
            ErrorCode::CategoryNotSupported,
            format!("The specified DataDisk.N.Category {category} is not supported."),
        ));
    }
    let least = match &disk.snapshot_id {
        None => 0,
        Some(id) => snapshot_size(tx, cx, request, id)?,
    };
    let size_gib = match disk.size {
        Some(size) => size,
        None if least > 0 => least,
        None => return Err(Fault::missing_parameter("DataDisk.1.Size")),
    };
    if size_gib < least {
        return Err(Fault::forbidden(
            ErrorCode::InvalidDiskSizeTooSmall,
            format!("The DataDisk.N.Size {size_gib} is less than the snapshot's {least} GiB."),
        ));
    }
    if !SIZES.contains(&size_gib) {
        return Err(Fault::invalid("DataDisk.N.Size", "it must be 20 to 32768"));
    }
    Ok(Planned {
        device,
        size_gib,
        category,
        snapshot: disk.snapshot_id.clone(),
        name: disk.disk_name.clone().unwrap_or_default(),
        description: disk.description.clone().unwrap_or_default(),
    })
}

fn snapshot_size(
    tx: &Transaction<'_>,
    cx: &Context,
    request: &RunInstances,
    id: &SnapshotId,
) -> Result<u32, Fault> {
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
    Ok(row.disk_size_gib)
}

/// Writes an instance's data disks down beside its system disk.
pub(super) fn write_down(
    tx: &Transaction<'_>,
    instance: &InstanceId,
    system: &DiskRow,
    planned: &[Planned],
) -> Result<Vec<DiskId>, Fault> {
    let mut ids = Vec::new();
    for one in planned {
        let row = DiskRow {
            id: new_id("d-"),
            instance: instance.clone(),
            name: one.name.clone(),
            description: one.description.clone(),
            category: one.category.clone(),
            size_gib: one.size_gib,
            part: Part::Data,
            device: one.device.clone(),
            snapshot: one.snapshot.clone(),
            layers: Vec::new(),
            ..system.clone()
        };
        rows::put(tx, &row)?;
        ids.push(row.id);
    }
    Ok(ids)
}
