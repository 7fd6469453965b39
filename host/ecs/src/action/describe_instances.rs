//! `DescribeInstances`: lists instances and their states.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Filter, JsonList, Tag, Tags};
use crate::action::status::InstanceStatus;
use crate::id::{ImageId, InstanceId, RegionId, SecurityGroupId, VSwitchId, VpcId, ZoneId};

/// Lists instances and their states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstances {
    /// The region.
    pub region_id: RegionId,
    /// Only these instances, at most 100. An id that doesn't exist is left out and is no
    /// error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_ids: Option<JsonList<InstanceId>>,
    /// Only instances of this name; `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Only instances in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<InstanceStatus>,
    /// Only instances of this image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// Only instances of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// `PostPaid` or `PrePaid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_charge_type: Option<String>,
    /// `vpc` or `classic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_network_type: Option<String>,
    /// Only instances in this VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// Only instances in this vSwitch.
    #[serde(rename = "VSwitchId", default, skip_serializing_if = "Option::is_none")]
    pub vswitch_id: Option<VSwitchId>,
    /// Only instances in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// Only instances in this security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<SecurityGroupId>,
    /// Only instances of this resource group.
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

/// The answer to [`DescribeInstances`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstancesResponse {
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
    /// The instances of this page.
    pub instances: Instances,
}

/// The wrapper of the list of instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instances {
    /// One entry an instance.
    pub instance: Vec<Instance>,
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its name.
    pub instance_name: String,
    /// Its host name.
    pub host_name: String,
    /// What it is for.
    pub description: String,
    /// Where it is in its life.
    pub status: InstanceStatus,
    /// What a stopped instance costs: `KeepCharging`, `StopCharging` or `Not-applicable`.
    pub stopped_mode: String,
    /// The region it is in.
    pub region_id: RegionId,
    /// The zone it is in.
    pub zone_id: ZoneId,
    /// The image it was made from.
    pub image_id: ImageId,
    /// Its type.
    pub instance_type: String,
    /// The family of its type.
    pub instance_type_family: String,
    /// vCPUs.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// `linux` or `windows`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// Full name of the operating system.
    #[serde(rename = "OSName")]
    pub os_name: String,
    /// `PostPaid` or `PrePaid`.
    pub instance_charge_type: String,
    /// `vpc` or `classic`.
    pub instance_network_type: String,
    /// `PayByBandwidth` or `PayByTraffic`.
    pub internet_charge_type: String,
    /// Bandwidth inwards in Mbit/s; -1 when there is no limit.
    pub internet_max_bandwidth_in: i32,
    /// Bandwidth outwards in Mbit/s.
    pub internet_max_bandwidth_out: i32,
    /// `NoSpot`, `SpotWithPriceLimit` or `SpotAsPriceGo`.
    pub spot_strategy: String,
    /// Its key pair; empty when it has none.
    pub key_pair_name: String,
    /// Whether `DeleteInstance` is refused.
    pub deletion_protection: bool,
    /// When it was made, such as `2026-01-02T03:04Z`.
    pub creation_time: String,
    /// When it was last started.
    pub start_time: String,
    /// When it is released by itself; empty for never.
    pub auto_release_time: String,
    /// When a prepaid instance ends.
    pub expired_time: String,
    /// Its resource group; empty when it has none.
    pub resource_group_id: String,
    /// Its public addresses.
    pub public_ip_address: IpAddresses,
    /// Its private addresses in the classic network.
    pub inner_ip_address: IpAddresses,
    /// Its elastic address.
    pub eip_address: EipAddress,
    /// Where it is in its VPC.
    pub vpc_attributes: VpcAttributes,
    /// Its security groups.
    pub security_group_ids: InstanceSecurityGroups,
    /// Why operations are refused, if they are.
    pub operation_locks: OperationLocks,
    /// Its tags.
    pub tags: Tags,
}

/// The wrapper of a list of addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpAddresses {
    /// The addresses.
    pub ip_address: Vec<String>,
}

/// An elastic address; all empty when there is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EipAddress {
    /// Its id.
    pub allocation_id: String,
    /// The address.
    pub ip_address: String,
}

/// An instance's place in a VPC.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcAttributes {
    /// The VPC.
    pub vpc_id: VpcId,
    /// The vSwitch.
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: VSwitchId,
    /// Its private addresses.
    pub private_ip_address: IpAddresses,
}

/// The wrapper of the list of an instance's security groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceSecurityGroups {
    /// The groups.
    pub security_group_id: Vec<SecurityGroupId>,
}

/// The wrapper of the list of locks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationLocks {
    /// One entry a lock.
    pub lock_reason: Vec<LockReason>,
}

/// A lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LockReason {
    /// `financial`, `security`, `Recycling`, `dedicatedhostfinancial` or `refunded`.
    pub lock_reason: String,
}
