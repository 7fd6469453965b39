//! `DescribeSpotPriceHistory`: lists what a spot instance of a type has cost, and what an ordinary one costs.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, ZoneId};

/// Lists what a spot instance of a type has cost, and what an ordinary one costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSpotPriceHistory {
    /// The region.
    pub region_id: RegionId,
    /// `vpc` or `classic`.
    pub network_type: String,
    /// The instance type.
    pub instance_type: String,
    /// Only in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// `optimized` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_optimized: Option<String>,
    /// `linux` or `windows`.
    #[serde(rename = "OSType", default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// From when, three hours ago when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// How many entries to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
}

/// The answer to [`DescribeSpotPriceHistory`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSpotPriceHistoryResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// Of the prices, such as `CNY`.
    pub currency: String,
    /// Where the next page begins; 0 at the end.
    pub next_offset: u32,
    /// The prices.
    pub spot_prices: SpotPrices,
}

/// The wrapper of the list of prices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpotPrices {
    /// One entry a zone and moment.
    pub spot_price_type: Vec<SpotPrice>,
}

/// A price in a zone at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpotPrice {
    /// The zone.
    pub zone_id: ZoneId,
    /// The instance type.
    pub instance_type: String,
    /// `vpc` or `classic`.
    pub network_type: String,
    /// `optimized` or `none`.
    pub io_optimized: String,
    /// Of a spot instance, an hour.
    pub spot_price: f64,
    /// Of an ordinary instance, an hour.
    pub origin_price: f64,
    /// Since when.
    pub timestamp: String,
}
