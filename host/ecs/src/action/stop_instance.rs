//! `StopInstance`: stops a running instance.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::InstanceId;

/// Stops a running instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopInstance {
    /// The instance. It must be Running.
    pub instance_id: InstanceId,
    /// Cut the power rather than ask the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_stop: Option<bool>,
    /// `StopCharging` or `KeepCharging`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_mode: Option<String>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`StopInstance`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StopInstanceResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
