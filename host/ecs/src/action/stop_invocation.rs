//! `StopInvocation`: stops executions of a command.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, InvokeId, RegionId};

/// Stops executions of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopInvocation {
    /// The region.
    pub region_id: RegionId,
    /// The execution.
    pub invoke_id: InvokeId,
    /// Only on these instances, at most 50; on all when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_id: Vec<InstanceId>,
}

/// The answer to [`StopInvocation`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StopInvocationResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
