//! `DescribeSnapshots`: lists snapshots.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Filter, JsonList, Tag, Tags};
use crate::action::status::SnapshotStatus;
use crate::id::{DiskId, InstanceId, RegionId, SnapshotId};

/// Lists snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSnapshots {
    /// The region.
    pub region_id: RegionId,
    /// Only these snapshots, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_ids: Option<JsonList<SnapshotId>>,
    /// Only snapshots of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// Only snapshots of this disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<DiskId>,
    /// Only snapshots of this instance's disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// `progressing`, `accomplished`, `failed` or `all` (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `auto`, `user` or `all` (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_type: Option<String>,
    /// `System` or `Data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_disk_type: Option<String>,
    /// `image`, `disk`, `image_disk` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Only encrypted ones, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Only snapshots of this resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Further filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Entries a page, 10 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Where the page begins: the `NextToken` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 100, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`DescribeSnapshots`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSnapshotsResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// Where the next page begins; empty at the end.
    pub next_token: String,
    /// The snapshots of this page.
    pub snapshots: Snapshots,
}

/// The wrapper of the list of snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Snapshots {
    /// One entry a snapshot.
    pub snapshot: Vec<Snapshot>,
}

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Snapshot {
    /// Its id.
    pub snapshot_id: SnapshotId,
    /// Its name.
    pub snapshot_name: String,
    /// What it is for.
    pub description: String,
    /// The region it is in.
    pub region_id: RegionId,
    /// Where it is in its life.
    pub status: SnapshotStatus,
    /// How far its making has come, such as `100%`.
    pub progress: String,
    /// Seconds that its making still takes.
    pub remain_time: u64,
    /// Whether disks can be made from it.
    pub available: bool,
    /// `user` or `auto`.
    pub snapshot_type: String,
    /// The disk it is of; empty when that is unknown.
    pub source_disk_id: DiskId,
    /// `system` or `data`.
    pub source_disk_type: String,
    /// Size of the disk in GiB. The wire has it as text here.
    pub source_disk_size: String,
    /// `image`, `disk`, `image_disk` or `none`.
    pub usage: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Days after which it is deleted; never when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// When it was made.
    pub creation_time: String,
    /// When it was last changed.
    pub last_modified_time: String,
    /// Its resource group; empty when it has none.
    pub resource_group_id: String,
    /// Its tags.
    pub tags: Tags,
}
