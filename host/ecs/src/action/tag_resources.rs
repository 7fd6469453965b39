//! `TagResources`: puts tags on resources.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::RegionId;

/// Puts tags on resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResources {
    /// The region.
    pub region_id: RegionId,
    /// `instance`, `disk`, `snapshot`, `image`, `securitygroup`, ...
    pub resource_type: String,
    /// The resources, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_id: Vec<String>,
    /// The tags, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
}

/// The answer to [`TagResources`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagResourcesResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
