//! `DescribeVSwitches`: lists the vSwitches that instances can be put into. Of the
//! product Vpc.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::describe_vpcs::VpcTags;
use crate::action::shared::Tag;
use crate::id::{RegionId, VSwitchId, VpcId, ZoneId};

/// Lists the vSwitches that instances can be put into.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVSwitches {
    /// The region.
    pub region_id: RegionId,
    /// Only the vSwitches of this VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// Only this vSwitch.
    #[serde(rename = "VSwitchId", default, skip_serializing_if = "Option::is_none")]
    pub vswitch_id: Option<VSwitchId>,
    /// Only the vSwitches of this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// Only default vSwitches, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 50, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// The answer to [`DescribeVSwitches`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeVSwitchesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// The vSwitches of this page.
    #[serde(rename = "VSwitches")]
    pub vswitches: VSwitches,
}

/// The wrapper of the list of vSwitches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VSwitches {
    /// One entry a vSwitch.
    #[serde(rename = "VSwitch")]
    pub vswitch: Vec<VSwitch>,
}

/// A vSwitch: a subnet in one zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VSwitch {
    /// Its id.
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: VSwitchId,
    /// Its name.
    #[serde(rename = "VSwitchName")]
    pub vswitch_name: String,
    /// The VPC it is in.
    pub vpc_id: VpcId,
    /// The zone it is in.
    pub zone_id: ZoneId,
    /// Its range of addresses.
    pub cidr_block: String,
    /// Whether it is the default one of its zone.
    pub is_default: bool,
    /// `Pending` or `Available`.
    pub status: String,
    /// How many addresses are free.
    pub available_ip_address_count: u64,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub creation_time: String,
    /// Its tags.
    pub tags: VpcTags,
}
