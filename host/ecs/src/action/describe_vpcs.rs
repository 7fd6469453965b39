//! `DescribeVpcs`: lists VPCs. Of the product Vpc.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{RegionId, VSwitchId, VpcId};

/// Lists VPCs. Of the product Vpc.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVpcs {
    /// The region.
    pub region_id: RegionId,
    /// Only these VPCs, up to 20, with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    /// Only VPCs of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_name: Option<String>,
    /// Only default VPCs, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Check only: success is answered as the error `DryRunOperation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 50, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// The answer to [`DescribeVpcs`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeVpcsResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// The VPCs of this page.
    pub vpcs: Vpcs,
}

/// The wrapper of the list of VPCs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vpcs {
    /// One entry a VPC.
    pub vpc: Vec<Vpc>,
}

/// A VPC: a private network of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vpc {
    /// Its id.
    pub vpc_id: VpcId,
    /// Its name.
    pub vpc_name: String,
    /// The region it is in.
    pub region_id: RegionId,
    /// `Pending` or `Available`.
    pub status: String,
    /// Its range of addresses.
    pub cidr_block: String,
    /// Whether it is the default one of the region.
    pub is_default: bool,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub creation_time: String,
    /// The vSwitches in it.
    #[serde(rename = "VSwitchIds")]
    pub vswitch_ids: VpcVSwitchIds,
    /// Its tags.
    pub tags: VpcTags,
}

/// The wrapper of the list of a VPC's vSwitches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcVSwitchIds {
    /// The ids.
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: Vec<VSwitchId>,
}

/// The wrapper of the list of tags, which the product Vpc spells as in a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcTags {
    /// One entry a tag.
    pub tag: Vec<Tag>,
}
