//! `StartInstance`: starts a stopped instance.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::InstanceId;

/// Starts a stopped instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartInstance {
    /// The instance. It must be Stopped.
    pub instance_id: InstanceId,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`StartInstance`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartInstanceResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
