//! `DescribeSecurityGroupAttribute`: shows the rules of a security group.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, SecurityGroupId, VpcId};

/// Shows the rules of a security group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroupAttribute {
    /// The region.
    pub region_id: RegionId,
    /// The security group.
    pub security_group_id: SecurityGroupId,
    /// `egress`, `ingress` or `all` (what is meant when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
}

/// The answer to [`DescribeSecurityGroupAttribute`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSecurityGroupAttributeResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The region.
    pub region_id: RegionId,
    /// The security group.
    pub security_group_id: SecurityGroupId,
    /// Its name.
    pub security_group_name: String,
    /// The VPC it belongs to.
    pub vpc_id: VpcId,
    /// Whether its instances reach each other: `Accept` or `Drop`.
    pub inner_access_policy: String,
    /// Its rules.
    pub permissions: Permissions,
}

/// The wrapper of the list of rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Permissions {
    /// One entry a rule.
    pub permission: Vec<Permission>,
}

/// A rule of a security group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Permission {
    /// `egress` or `ingress`.
    pub direction: String,
    /// `Accept` or `Drop`.
    pub policy: String,
    /// `TCP`, `UDP`, `ICMP`, `GRE` or `ALL`.
    pub ip_protocol: String,
    /// From and to, such as `443/443`; `-1/-1` is every port.
    pub port_range: String,
    /// From where, of an ingress rule.
    pub source_cidr_ip: String,
    /// Where to, of an egress rule.
    pub dest_cidr_ip: String,
    /// 1 to 100; the smaller one counts first.
    pub priority: String,
}
