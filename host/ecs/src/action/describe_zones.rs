//! `DescribeZones`: lists the zones of a region.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, ZoneId};

/// Lists the zones of a region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeZones {
    /// The region.
    pub region_id: RegionId,
    /// Language of `LocalName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_language: Option<String>,
    /// `PostPaid` or `PrePaid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_charge_type: Option<String>,
    /// `NoSpot`, `SpotWithPriceLimit` or `SpotAsPriceGo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_strategy: Option<String>,
    /// Whether the lists of resources are wanted; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbose: Option<bool>,
}

/// The answer to [`DescribeZones`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeZonesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The zones.
    pub zones: Zones,
}

/// The wrapper of the list of zones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zones {
    /// One entry a zone.
    pub zone: Vec<Zone>,
}

/// A zone and what it sells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Zone {
    /// Its id, such as `cn-hangzhou-g`.
    pub zone_id: ZoneId,
    /// Its name in the language that was asked for.
    pub local_name: String,
    /// `AvailabilityZone`, ...
    pub zone_type: String,
    /// The instance types on sale.
    pub available_instance_types: AvailableInstanceTypes,
    /// What can be made here.
    pub available_resource_creation: AvailableResourceCreation,
    /// The disk categories on sale.
    pub available_disk_categories: AvailableDiskCategories,
}

/// The wrapper of a list of instance types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableInstanceTypes {
    /// Names such as `ecs.g7.large`.
    pub instance_types: Vec<String>,
}

/// The wrapper of a list of kinds of resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResourceCreation {
    /// `VSwitch`, `IoOptimized`, `Instance`, `Disk`, ...
    pub resource_types: Vec<String>,
}

/// The wrapper of a list of disk categories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableDiskCategories {
    /// `cloud_essd`, `cloud_efficiency`, ...
    pub disk_categories: Vec<String>,
}
