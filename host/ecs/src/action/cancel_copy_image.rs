//! `CancelCopyImage`: ends a copy of an image that is under way.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{ImageId, RegionId};

/// Ends a copy of an image that is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelCopyImage {
    /// The region that is copied to.
    pub region_id: RegionId,
    /// The copy.
    pub image_id: ImageId,
}

/// The answer to [`CancelCopyImage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelCopyImageResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
