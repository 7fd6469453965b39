//! `DescribeImageFromFamily`: finds the newest available image of a family.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use super::describe_images::Image;
use crate::id::RegionId;

/// Finds the newest available image of a family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImageFromFamily {
    /// The region.
    pub region_id: RegionId,
    /// The family.
    pub image_family: String,
}

/// The answer to [`DescribeImageFromFamily`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageFromFamilyResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The newest image whose status is Available. Absent when the family has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}
