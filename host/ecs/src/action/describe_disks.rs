//! `DescribeDisks`: lists disks.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Filter, JsonList, Tag, Tags};
use crate::action::status::DiskStatus;
use crate::id::{DiskId, ImageId, InstanceId, RegionId, SnapshotId, ZoneId};

/// Lists disks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDisks {
    /// The region.
    pub region_id: RegionId,
    /// Only these disks, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_ids: Option<JsonList<DiskId>>,
    /// Only disks of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_name: Option<String>,
    /// Only disks of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// `system`, `data` or `all` (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
    /// Only disks of this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only disks in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DiskStatus>,
    /// Only disks in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// Only disks made from this snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Only encrypted ones, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Only disks of this resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Further filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Entries a page, 10 to 500.
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

/// The answer to [`DescribeDisks`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeDisksResponse {
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
    /// The disks of this page.
    pub disks: Disks,
}

/// The wrapper of the list of disks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Disks {
    /// One entry a disk.
    pub disk: Vec<Disk>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Disk {
    /// Its id.
    pub disk_id: DiskId,
    /// Its name.
    pub disk_name: String,
    /// What it is for.
    pub description: String,
    /// The region it is in.
    pub region_id: RegionId,
    /// The zone it is in.
    pub zone_id: ZoneId,
    /// `system` or `data`.
    pub r#type: String,
    /// `cloud_essd`, ...
    pub category: String,
    /// Size in GiB.
    pub size: u32,
    /// Where it is in its life.
    pub status: DiskStatus,
    /// The instance it is attached to; empty when to none.
    pub instance_id: InstanceId,
    /// Device name, such as `/dev/xvda`; empty when it is not attached.
    pub device: String,
    /// The image it was made from; empty when from none.
    pub image_id: ImageId,
    /// The snapshot it was made from; empty when from none.
    pub source_snapshot_id: SnapshotId,
    /// Whether it goes with the instance.
    pub delete_with_instance: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it can be detached.
    pub portable: bool,
    /// `PL0` to `PL3`.
    pub performance_level: String,
    /// Its serial number.
    pub serial_number: String,
    /// `PostPaid` or `PrePaid`.
    pub disk_charge_type: String,
    /// When it was made.
    pub creation_time: String,
    /// When it was attached.
    pub attached_time: String,
    /// Its resource group; empty when it has none.
    pub resource_group_id: String,
    /// Its tags.
    pub tags: Tags,
}
