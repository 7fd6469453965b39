//! `CreateInstance`: makes one instance from an image and leaves it stopped.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for. Darkroom asks for `RunInstances`; older clients,
//! such as Packer, for this.

use serde::{Deserialize, Serialize};

use crate::action::run_instances::{DataDisk, SystemDisk};
use crate::action::shared::Tag;
use crate::id::{ImageId, InstanceId, RegionId, SecurityGroupId, VSwitchId, ZoneId};

/// Makes one instance from an image and leaves it stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateInstance {
    /// The region.
    pub region_id: RegionId,
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The instance type, such as `ecs.g7.large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<SecurityGroupId>,
    /// The vSwitch; absent where there was no VPC yet.
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

/// The answer to [`CreateInstance`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateInstanceResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The new instance.
    pub instance_id: InstanceId,
}
