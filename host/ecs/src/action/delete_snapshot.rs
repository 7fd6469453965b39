//! `DeleteSnapshot`: deletes a snapshot.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::SnapshotId;

/// Deletes a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSnapshot {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Delete it although disks were made from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// The answer to [`DeleteSnapshot`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteSnapshotResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
