//! `RunInstances`: makes instances from an image and starts them.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{ImageId, InstanceId, RegionId, SecurityGroupId, SnapshotId, VSwitchId, ZoneId};

/// Makes instances from an image and starts them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunInstances {
    /// The region.
    pub region_id: RegionId,
    /// The image. This or `ImageFamily` must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The family whose newest image is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_family: Option<String>,
    /// The instance type, such as `ecs.g7.large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The security group. Not together with `SecurityGroupIds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<SecurityGroupId>,
    /// The security groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_group_ids: Vec<SecurityGroupId>,
    /// The vSwitch; required in a VPC.
    #[serde(rename = "VSwitchId", default, skip_serializing_if = "Option::is_none")]
    pub vswitch_id: Option<VSwitchId>,
    /// The zone; follows from the vSwitch when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// Name, 2 to 128 characters; the id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Host name in the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Password of the administrator, 8 to 30 characters of three classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether the password of the image is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_inherit: Option<bool>,
    /// Key pair of a Linux instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pair_name: Option<String>,
    /// `PayByBandwidth` or `PayByTraffic` (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_charge_type: Option<String>,
    /// Bandwidth inwards in Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_max_bandwidth_in: Option<u32>,
    /// Bandwidth outwards in Mbit/s, 0 to 100. 0 (the default) means no public address and
    /// no way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_max_bandwidth_out: Option<u32>,
    /// `PostPaid` (the default) or `PrePaid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_charge_type: Option<String>,
    /// `NoSpot` (the default), `SpotWithPriceLimit` or `SpotAsPriceGo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_strategy: Option<String>,
    /// Highest price an hour with `SpotWithPriceLimit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_price_limit: Option<f64>,
    /// Hours for which a spot instance is kept: 0 or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_duration: Option<u32>,
    /// `Terminate` or `Stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_interruption_behavior: Option<String>,
    /// The system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_disk: Option<SystemDisk>,
    /// Data disks, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_disk: Vec<DataDisk>,
    /// User data in base64, at most 32 KB before encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// RAM role of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_role_name: Option<String>,
    /// When the instance is released by itself: UTC, such as `2026-01-02T03:04:05Z`, at
    /// least 30 minutes ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_release_time: Option<String>,
    /// Whether `DeleteInstance` is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    /// `Active` or `Deactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_enhancement_strategy: Option<String>,
    /// Metadata service: `enabled` or `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_endpoint: Option<String>,
    /// Metadata service: `optional` or `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_tokens: Option<String>,
    /// Tags, at most 20; also put on its disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// How many, 1 to 100; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u32>,
    /// How many at least, or none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<u32>,
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

/// The answer to [`RunInstances`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunInstancesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The ids of the new instances.
    pub instance_id_sets: InstanceIdSets,
    /// The order; empty for pay as you go.
    pub order_id: String,
    /// Price of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_price: Option<f64>,
}

/// The system disk of a new instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemDisk {
    /// `cloud_essd`, `cloud_auto`, `cloud_efficiency`, `cloud_ssd`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Size in GiB, at least that of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// `PL0` to `PL3`; `PL1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_level: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Key that encrypts it.
    #[serde(rename = "KMSKeyId", default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// A data disk of a new instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataDisk {
    /// As of the system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Size in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The snapshot that it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// Device name, `/dev/xvdb` to `/dev/xvdz`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it goes with the instance; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_with_instance: Option<bool>,
    /// `PL0` to `PL3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance_level: Option<String>,
    /// Whether it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Key that encrypts it.
    #[serde(rename = "KMSKeyId", default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// The wrapper of a list of instance ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceIdSets {
    /// The ids.
    pub instance_id_set: Vec<InstanceId>,
}
