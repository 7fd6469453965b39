//! `DeleteVSwitch`: deletes a vSwitch in which nothing is left. Of the product Vpc.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, VSwitchId};

/// Deletes a vSwitch in which nothing is left. Of the product Vpc.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVSwitch {
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_id: Option<RegionId>,
    /// The vSwitch.
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: VSwitchId,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`DeleteVSwitch`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteVSwitchResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
