//! `CopyImage`: copies an image to another region.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{ImageId, RegionId};

/// Copies an image to another region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CopyImage {
    /// Where the image is.
    pub region_id: RegionId,
    /// The image. It must be Available.
    pub image_id: ImageId,
    /// Where it is copied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_region_id: Option<RegionId>,
    /// Name of the copy, 2 to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_image_name: Option<String>,
    /// What the copy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_description: Option<String>,
    /// Whether the copy is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Key that encrypts it.
    #[serde(rename = "KMSKeyId", default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Tags of the copy, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`CopyImage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CopyImageResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The copy, which is in the other region.
    pub image_id: ImageId,
}
