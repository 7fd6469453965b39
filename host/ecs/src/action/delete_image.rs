//! `DeleteImage`: deletes an image. Its snapshots stay.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{ImageId, RegionId};

/// Deletes an image. Its snapshots stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteImage {
    /// The region.
    pub region_id: RegionId,
    /// The image. One that doesn't exist is no error.
    pub image_id: ImageId,
    /// Delete it although instances use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`DeleteImage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteImageResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
