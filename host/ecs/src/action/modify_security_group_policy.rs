//! `ModifySecurityGroupPolicy`: says whether instances of a security group reach each other.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, SecurityGroupId};

/// Says whether instances of a security group reach each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifySecurityGroupPolicy {
    /// The region.
    pub region_id: RegionId,
    /// The security group.
    pub security_group_id: SecurityGroupId,
    /// `Accept` (what a new one has) or `Drop`.
    pub inner_access_policy: String,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`ModifySecurityGroupPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ModifySecurityGroupPolicyResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
