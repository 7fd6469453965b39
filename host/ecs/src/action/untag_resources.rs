//! `UntagResources`: takes tags off resources.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::RegionId;

/// Takes tags off resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResources {
    /// The region.
    pub region_id: RegionId,
    /// `instance`, `disk`, `snapshot`, `image`, `securitygroup`, ...
    pub resource_type: String,
    /// The resources, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_id: Vec<String>,
    /// Keys of the tags, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_key: Vec<String>,
    /// Take all tags off; only without `TagKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// The answer to [`UntagResources`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UntagResourcesResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
