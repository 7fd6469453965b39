//! `CreateImage`: makes an image of an instance or of snapshots.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{ImageId, InstanceId, RegionId, SnapshotId};

/// Makes an image of an instance or of snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateImage {
    /// The region.
    pub region_id: RegionId,
    /// The instance, Running or Stopped. It goes before the other two sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// The disks, from snapshots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disk_device_mapping: Vec<ImageDisk>,
    /// The snapshot of the system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Name, 2 to 128 characters; the id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_family: Option<String>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_version: Option<String>,
    /// What it is, 2 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Distribution of the system disk's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// `x86_64` (the default), `arm64` or `i386`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_mode: Option<String>,
    /// `Standard` has the image checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_strategy: Option<String>,
    /// What it supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<ImageFeatures>,
    /// Tags, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`CreateImage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateImageResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The image, which is Creating now.
    pub image_id: ImageId,
}

/// A disk of a new image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageDisk {
    /// The snapshot that holds its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Size in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Device name, `/dev/xvda` to `/dev/xvdz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `system` or `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
}

/// What an image supports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageFeatures {
    /// Metadata service: `v1` or `v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imds_support: Option<String>,
    /// `supported` or `unsupported`. Not taken by `CreateImage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvme_support: Option<String>,
}
