//! `CreateSnapshot`: makes a snapshot of a disk.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{DiskId, SnapshotId};

/// Makes a snapshot of a disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSnapshot {
    /// The disk.
    pub disk_id: DiskId,
    /// Name, 2 to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Days after which it is deleted, 1 to 65536; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// `Standard` or `Flash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Whether it can be used before it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant_access: Option<bool>,
    /// Tags, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`CreateSnapshot`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateSnapshotResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The snapshot, which is progressing now.
    pub snapshot_id: SnapshotId,
}
