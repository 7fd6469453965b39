//! `DescribeRegions`: lists the regions that an account may use.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::RegionId;

/// Lists the regions that an account may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRegions {
    /// Language of `LocalName`: `zh-CN`, `en-US`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_language: Option<String>,
}

/// The answer to [`DescribeRegions`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeRegionsResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The regions.
    pub regions: Regions,
}

/// The wrapper of the list of regions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Regions {
    /// One entry a region.
    pub region: Vec<Region>,
}

/// A region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Region {
    /// Its id, such as `cn-hangzhou`.
    pub region_id: RegionId,
    /// Host name of its ECS endpoint.
    pub region_endpoint: String,
    /// Its name in the language that was asked for.
    pub local_name: String,
    /// `available`, or `soldOut` when it sells no instance.
    pub status: String,
}
