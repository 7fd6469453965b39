//! `DeleteSecurityGroup`: deletes a security group in which no instance is left.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, SecurityGroupId};

/// Deletes a security group in which no instance is left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecurityGroup {
    /// The region.
    pub region_id: RegionId,
    /// The security group.
    pub security_group_id: SecurityGroupId,
}

/// The answer to [`DeleteSecurityGroup`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteSecurityGroupResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
