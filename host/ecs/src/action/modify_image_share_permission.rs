//! `ModifyImageSharePermission`: shares an image with accounts, or ends that.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ImageId, RegionId};

/// Shares an image with accounts, or ends that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyImageSharePermission {
    /// The region.
    pub region_id: RegionId,
    /// The image.
    pub image_id: ImageId,
    /// Accounts that may use it, at most 10. Those beyond are silently left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_account: Vec<AccountId>,
    /// Accounts that may use it no longer, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_account: Vec<AccountId>,
    /// Whether it becomes a community image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// The older way to say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_permission: Option<String>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`ModifyImageSharePermission`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyImageSharePermissionResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
