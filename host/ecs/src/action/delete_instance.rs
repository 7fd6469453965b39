//! `DeleteInstance`: releases an instance and the disks that go with it.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::InstanceId;

/// Releases an instance and the disks that go with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteInstance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Release it although it is Running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// With `Force`: cut the power rather than ask the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_stop: Option<bool>,
    /// Whether a prepaid instance is released too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate_subscription: Option<bool>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`DeleteInstance`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteInstanceResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
