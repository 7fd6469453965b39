//! `DescribeAvailableResource`: says what is in stock in the zones of a region.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, ZoneId};

/// Says what is in stock in the zones of a region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAvailableResource {
    /// The region.
    pub region_id: RegionId,
    /// What is asked for: `Zone`, `IoOptimized`, `InstanceType`, `SystemDisk`, `DataDisk`
    /// or `Network`.
    pub destination_resource: String,
    /// `instance` (the default), `disk`, `reservedInstance` or `ddh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// `PostPaid` (the default) or `PrePaid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_charge_type: Option<String>,
    /// `NoSpot`, `SpotWithPriceLimit` or `SpotAsPriceGo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_strategy: Option<String>,
    /// Only this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// `none` or `optimized` (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_optimized: Option<String>,
    /// Only this instance type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// Only with this category of system disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_disk_category: Option<String>,
    /// `vpc` or `classic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_category: Option<String>,
    /// Only types with this many vCPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Only types with this much memory, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
}

/// The answer to [`DescribeAvailableResource`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAvailableResourceResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The zones that match.
    pub available_zones: AvailableZones,
}

/// The wrapper of the list of zones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableZones {
    /// One entry a zone.
    pub available_zone: Vec<AvailableZone>,
}

/// A zone and its stock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableZone {
    /// The region of the zone.
    pub region_id: RegionId,
    /// Its id.
    pub zone_id: ZoneId,
    /// `Available` or `SoldOut`.
    pub status: String,
    /// `WithStock`, `ClosedWithStock`, `WithoutStock` or `ClosedWithoutStock`.
    pub status_category: String,
    /// The kinds of resource in it.
    pub available_resources: AvailableResources,
}

/// The wrapper of the list of kinds of resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResources {
    /// One entry a kind.
    pub available_resource: Vec<AvailableResource>,
}

/// One kind of resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AvailableResource {
    /// The kind, as in `DestinationResource`.
    pub r#type: String,
    /// Its values.
    pub supported_resources: SupportedResources,
}

/// The wrapper of the list of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedResources {
    /// One entry a value.
    pub supported_resource: Vec<SupportedResource>,
}

/// One value, for example an instance type, and its stock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SupportedResource {
    /// The value, such as `ecs.g7.large`.
    pub value: String,
    /// `Available` or `SoldOut`.
    pub status: String,
    /// `WithStock`, `ClosedWithStock`, `WithoutStock` or `ClosedWithoutStock`.
    pub status_category: String,
    /// Smallest size, of a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Largest size, of a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Unit of the two sizes, such as `GiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}
