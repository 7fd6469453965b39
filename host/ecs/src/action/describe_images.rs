//! `DescribeImages`: lists images that the account owns, that were shared with it, and
//! public ones.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{CommaList, Filter, Tag, Tags};
use crate::action::status::ImageStatus;
use crate::id::{ImageId, RegionId, SnapshotId};

/// Lists images that the account owns, that were shared with it, and public ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImages {
    /// The region.
    pub region_id: RegionId,
    /// Only these images, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<CommaList<ImageId>>,
    /// Only images whose name contains this; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Only images of this family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_family: Option<String>,
    /// `system`, `self`, `others` or `marketplace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_owner_alias: Option<String>,
    /// Only these statuses. When absent, only `Available`: who waits for an image must name
    /// the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<CommaList<ImageStatus>>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType", default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// `x86_64`, `arm64` or `i386`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Only images that this instance type can run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Only images made from this snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Only images with cloud-init, or only without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_support_cloudinit: Option<bool>,
    /// Only community images, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// `instance` (in use) or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// `CreateEcs` or `ChangeOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_type: Option<String>,
    /// Further filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Filter>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
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

/// The answer to [`DescribeImages`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImagesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The region that was asked for.
    pub region_id: RegionId,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// The images of this page.
    pub images: Images,
}

/// The wrapper of the list of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Images {
    /// One entry an image.
    pub image: Vec<Image>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    /// Its id.
    pub image_id: ImageId,
    /// Its name, unique among the account's own images of a region.
    pub image_name: String,
    /// Its family; empty when it has none.
    pub image_family: String,
    /// Its version; empty when it has none.
    pub image_version: String,
    /// What it is.
    pub description: String,
    /// `system`, `self`, `others` or `marketplace`, as the account sees it.
    pub image_owner_alias: String,
    /// Where it is in its life.
    pub status: ImageStatus,
    /// How far its making has come, such as `100%`.
    pub progress: String,
    /// Size of the system disk in GiB.
    pub size: u32,
    /// `x86_64`, `arm64` or `i386`.
    pub architecture: String,
    /// `BIOS`, `UEFI` or `UEFI-Preferred`.
    pub boot_mode: String,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// Full name of the operating system, such as `Debian 12.5 64bit`.
    #[serde(rename = "OSName")]
    pub os_name: String,
    /// Distribution, such as `Debian`.
    pub platform: String,
    /// Whether it was made by a copy.
    pub is_copied: bool,
    /// Whether it is a community image.
    pub is_public: bool,
    /// Whether its owner has shared it with other accounts: `true`, `false` or empty.
    pub is_self_shared: String,
    /// Whether cloud-init is in it.
    pub is_support_cloudinit: bool,
    /// Whether I/O optimized instances can run it.
    pub is_support_io_optimized: bool,
    /// Whether one can log in as another user than root.
    pub login_as_non_root_supported: bool,
    /// When it was made, such as `2026-01-02T03:04:05Z`.
    pub creation_time: String,
    /// `instance` (in use) or `none`.
    pub usage: String,
    /// Its resource group; empty when it has none.
    pub resource_group_id: String,
    /// Its tags.
    pub tags: Tags,
    /// Its disks and their snapshots.
    pub disk_device_mappings: DiskDeviceMappings,
}

/// The wrapper of the list of disks of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMappings {
    /// One entry a disk.
    pub disk_device_mapping: Vec<DiskDeviceMapping>,
}

/// A disk of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DiskDeviceMapping {
    /// Device name, such as `/dev/xvda`.
    pub device: String,
    /// The snapshot that holds its content; empty for a public image.
    pub snapshot_id: SnapshotId,
    /// Size in GiB. The wire has it as text here.
    pub size: String,
    /// `system` or `data`.
    pub r#type: String,
    /// `RAW`, `VHD` or `QCOW2`; empty for an image that was not imported.
    pub format: String,
    /// Progress of a copy, such as `32%`.
    pub progress: String,
    /// Seconds that a copy still takes.
    pub remain_time: u64,
}
