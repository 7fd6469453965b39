//! `DescribeSecurityGroups`: lists security groups.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{JsonList, Tag, Tags};
use crate::id::{RegionId, SecurityGroupId, VpcId};

/// Lists security groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroups {
    /// The region.
    pub region_id: RegionId,
    /// Only the groups of this VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// Only this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<SecurityGroupId>,
    /// Only these groups, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<JsonList<SecurityGroupId>>,
    /// Only groups of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_name: Option<String>,
    /// `normal` or `enterprise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_type: Option<String>,
    /// `vpc` or `classic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_type: Option<String>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Entries a page, at most 100, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Where the page begins: the `NextToken` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 100, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The answer to [`DescribeSecurityGroups`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSecurityGroupsResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The region that was asked for.
    pub region_id: RegionId,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// Where the next page begins; empty at the end.
    pub next_token: String,
    /// The groups of this page.
    pub security_groups: SecurityGroups,
}

/// The wrapper of the list of security groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityGroups {
    /// One entry a group.
    pub security_group: Vec<SecurityGroup>,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityGroup {
    /// Its id.
    pub security_group_id: SecurityGroupId,
    /// Its name.
    pub security_group_name: String,
    /// `normal` or `enterprise`.
    pub security_group_type: String,
    /// The VPC it belongs to; empty in the classic network.
    pub vpc_id: VpcId,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub creation_time: String,
    /// How many instances are in it.
    pub ecs_count: u32,
    /// Its tags.
    pub tags: Tags,
}
