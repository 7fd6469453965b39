//! `ModifyInstanceAutoReleaseTime`: sets or removes the time at which an instance is
//! released by itself.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, RegionId};

/// Sets or removes the time at which an instance is released by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyInstanceAutoReleaseTime {
    /// The region.
    pub region_id: RegionId,
    /// The instance.
    pub instance_id: InstanceId,
    /// UTC, such as `2026-01-02T03:04:05Z`; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_release_time: Option<String>,
}

/// The answer to [`ModifyInstanceAutoReleaseTime`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifyInstanceAutoReleaseTimeResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
