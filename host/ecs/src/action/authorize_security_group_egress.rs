//! `AuthorizeSecurityGroupEgress`: adds a rule to a security group for what goes out.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, SecurityGroupId};

/// Adds a rule to a security group for what goes out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthorizeSecurityGroupEgress {
    /// The region.
    pub region_id: RegionId,
    /// The security group.
    pub security_group_id: SecurityGroupId,
    /// `tcp`, `udp`, `icmp`, `gre` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_protocol: Option<String>,
    /// First and last port, such as `22/22`; `-1/-1` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<String>,
    /// Where one may go, such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_cidr_ip: Option<String>,
    /// `internet` or `intranet`: which card, in the classic network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic_type: Option<String>,
    /// `accept` (the default) or `drop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// 1 (the first) to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`AuthorizeSecurityGroupEgress`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthorizeSecurityGroupEgressResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
