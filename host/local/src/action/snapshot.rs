//! Snapshots of disks: make, list, delete. They outlive instances and images, and
//! cost money until they are deleted.

use std::collections::BTreeSet;

use darkroom_ecs::action::{
    CreateSnapshot, CreateSnapshotResponse, DeleteSnapshot, DeleteSnapshotResponse,
    DescribeSnapshots, DescribeSnapshotsResponse, InstanceStatus, Snapshot, SnapshotStatus,
    Snapshots,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, SnapshotId};
use jiff::Timestamp;
use rusqlite::Transaction;

use super::page::{self, Paging};
use super::words::{fits, new_id, row_tags, seconds, shown_tags, tagged};
use super::{Context, Serve, Token};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, Job, SnapshotPhase, Task};
use crate::state::lookup::{self, Look};
use crate::state::rows::{self, DiskRow, ImageRow, InstanceRow, Part, SnapshotRow};
use crate::state::store::StoreError;
use crate::state::{layers, ledger};

/// The account's snapshot of this id.
pub(super) fn mine(
    tx: &Transaction<'_>,
    account: &AccountId,
    id: &SnapshotId,
) -> Result<SnapshotRow, Fault> {
    let found = rows::get::<SnapshotRow>(tx, id.as_str())?;
    found.filter(|row| row.account == *account).ok_or_else(|| {
        Fault::missing(
            ErrorCode::InvalidSnapshotIdNotFound,
            format!("The specified SnapshotId {id} does not exist."),
        )
    })
}

/// A snapshot of a disk that is about to be made.
pub(super) fn of_disk(disk: &DiskRow, cx: &Context) -> SnapshotRow {
    SnapshotRow {
        id: new_id("s-"),
        region: disk.region.clone(),
        account: disk.account.clone(),
        name: String::new(),
        description: String::new(),
        disk: disk.id.clone(),
        disk_size_gib: disk.size_gib,
        part: disk.part,
        system: disk.system.clone(),
        status: SnapshotStatus::Progressing,
        layers: Vec::new(),
        size_bytes: 0,
        retention_days: None,
        created_at: cx.now,
        tags: Vec::new(),
    }
}

/// A disk is written down while its instance runs, or when it is stopped; not on the way
/// from one to the other.
pub(super) fn check_settled(row: &InstanceRow) -> Result<(), Fault> {
    if [InstanceStatus::Running, InstanceStatus::Stopped].contains(&row.status) {
        return Ok(());
    }
    Err(Fault::forbidden(
        ErrorCode::IncorrectInstanceStatus,
        format!(
            "The current status of the resource does not support this operation: the instance {} is {}, it must be Running or Stopped.",
            row.id, row.status
        ),
    ))
}

/// The status of a new snapshot: of a data disk, which is a row only, there is nothing
/// to wait for.
fn begin(tx: &Transaction<'_>, row: &mut SnapshotRow, now: Timestamp) -> Result<(), Fault> {
    if row.part == Part::Data {
        row.status = SnapshotStatus::Accomplished;
        jobs::bill_snapshot(tx, row, now)?;
    }
    Ok(())
}

impl Serve for CreateSnapshot {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateSnapshotResponse, Fault> {
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        let (number, response) = cx
            .cloud
            .store
            .write(move |tx| {
                let disk = rows::get::<DiskRow>(tx, self.disk_id.as_str())?
                    .filter(|row| row.account == this.account)
                    .ok_or_else(|| {
                        Fault::missing(
                            ErrorCode::InvalidDiskIdNotFound,
                            format!("The specified DiskId {} does not exist.", self.disk_id),
                        )
                    })?;
                let instance = super::instance::mine(tx, &this.account, &disk.instance)?;
                check_settled(&instance)?;
                let mut row = SnapshotRow {
                    name: self.snapshot_name.unwrap_or_default(),
                    description: self.description.unwrap_or_default(),
                    retention_days: self.retention_days,
                    tags,
                    ..of_disk(&disk, &this)
                };
                begin(tx, &mut row, this.now)?;
                rows::put(tx, &row)?;
                let task = Task::Snapshot {
                    instance: instance.id,
                    snapshot: row.id.clone(),
                    image: None,
                    phase: SnapshotPhase::Committing,
                };
                let job = Job {
                    task,
                    created_at: this.now,
                };
                let number = match row.part {
                    Part::System => Some(job_rows::add(tx, &job)?),
                    Part::Data => None,
                };
                let response = CreateSnapshotResponse {
                    snapshot_id: row.id,
                    ..CreateSnapshotResponse::default()
                };
                Token::keep(this.token.as_ref(), tx, &response)?;
                Ok::<_, Fault>((number, response))
            })
            .await?;
        if let Some(number) = number {
            jobs::begin(&cx.cloud, number);
        }
        Ok(response)
    }
}

impl Serve for DescribeSnapshots {
    async fn serve(self, cx: &Context) -> Result<DescribeSnapshotsResponse, Fault> {
        if !self.filter.is_empty() {
            return Err(Fault::unsupported("Filter.N"));
        }
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let look = Look::default()
            .ids(self.snapshot_ids.iter().flat_map(|list| &list.0))
            .tags(&self.tag);
        let asked = self.instance_id.clone();
        let (mut found, used, disks) = cx
            .cloud
            .store
            .read(move |tx| {
                let found = lookup::find::<SnapshotRow>(tx, &region, Some(&account), &look)?;
                let mut used = BTreeSet::new();
                for placed in &found {
                    let id = &placed.row.id;
                    if lookup::any::<ImageRow>(tx, "snapshot", id.as_str())? {
                        used.insert(id.clone());
                    }
                }
                let of_instance = match asked {
                    None => Vec::new(),
                    Some(id) => {
                        let look = Look::default().key("instance", Some(id.to_string()));
                        lookup::find::<DiskRow>(tx, &region, Some(&account), &look)?
                    }
                };
                let disks = of_instance.into_iter().map(|placed| placed.row.id);
                Ok::<_, StoreError>((found, used, disks.collect::<Vec<_>>()))
            })
            .await?;
        let usage = |row: &SnapshotRow| {
            if used.contains(&row.id) {
                "image"
            } else {
                "none"
            }
        };
        found.retain(|placed| {
            let row = &placed.row;
            let listed = self.snapshot_ids.as_ref();
            listed.is_none_or(|list| list.0.is_empty() || list.0.contains(&row.id))
                && self
                    .snapshot_name
                    .as_ref()
                    .is_none_or(|name| fits(name, &row.name))
                && self.disk_id.as_ref().is_none_or(|id| *id == row.disk)
                && (self.instance_id.is_none() || disks.contains(&row.disk))
                && self
                    .status
                    .as_ref()
                    .is_none_or(|text| text == "all" || text == row.status.as_str())
                && self
                    .snapshot_type
                    .as_ref()
                    .is_none_or(|text| text == "all" || text == "user")
                && self
                    .source_disk_type
                    .as_ref()
                    .is_none_or(|text| text.eq_ignore_ascii_case(row.part.word()))
                && self.usage.as_ref().is_none_or(|text| text == usage(row))
                && self.encrypted != Some(true)
                && tagged(&row.tags, &self.tag)
        });
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token.clone(),
            least: 1,
            most: 100,
        };
        let page = page::cut(found, &paging)?;
        let shown = page.rows.into_iter().map(|row| {
            let usage = usage(&row).to_owned();
            shown(row, usage)
        });
        Ok(DescribeSnapshotsResponse {
            snapshots: Snapshots {
                snapshot: shown.collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeSnapshotsResponse::default()
        })
    }
}

fn shown(row: SnapshotRow, usage: String) -> Snapshot {
    let there = row.status == SnapshotStatus::Accomplished;
    Snapshot {
        snapshot_id: row.id,
        snapshot_name: row.name,
        description: row.description,
        region_id: row.region,
        status: row.status,
        progress: if there { "100%" } else { "0%" }.to_owned(),
        available: there,
        snapshot_type: "user".to_owned(),
        source_disk_id: row.disk,
        source_disk_type: row.part.word().to_owned(),
        source_disk_size: row.disk_size_gib.to_string(),
        usage,
        retention_days: row.retention_days,
        creation_time: seconds(row.created_at),
        last_modified_time: seconds(row.created_at),
        tags: shown_tags(&row.tags),
        ..Snapshot::default()
    }
}

impl Serve for DeleteSnapshot {
    async fn serve(self, cx: &Context) -> Result<DeleteSnapshotResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = mine(tx, &account, &self.snapshot_id)?;
                if lookup::any::<ImageRow>(tx, "snapshot", row.id.as_str())? {
                    return Err(Fault::forbidden(
                        ErrorCode::SnapshotCreatedImage,
                        "The snapshot has been used to create an image: delete the image first.",
                    ));
                }
                if !job_rows::of(tx, row.id.as_str())?.is_empty() {
                    return Err(Fault::forbidden(
                        ErrorCode::SnapshotNotReady,
                        "The snapshot is not ready: it is being made.",
                    ));
                }
                remove(tx, &row, now)
            })
            .await?;
        jobs::sweep(&cx.cloud);
        Ok(DeleteSnapshotResponse::default())
    }
}

/// Removes a snapshot from the state and the bill.
pub(super) fn remove(tx: &Transaction<'_>, row: &SnapshotRow, now: Timestamp) -> Result<(), Fault> {
    layers::release(tx, row.id.as_str())?;
    ledger::close(tx, row.id.as_str(), now)?;
    rows::remove::<SnapshotRow>(tx, row.id.as_str())?;
    Ok(())
}
