//! `CreateVSwitch`: makes a vSwitch in a VPC. Of the product Vpc.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::id::{RegionId, VSwitchId, VpcId, ZoneId};

/// Makes a vSwitch in a VPC. Of the product Vpc.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVSwitch {
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_id: Option<RegionId>,
    /// The zone.
    pub zone_id: ZoneId,
    /// Its range of addresses, a part of the VPC's.
    pub cidr_block: String,
    /// The VPC.
    pub vpc_id: VpcId,
    /// Name, 1 to 128 characters.
    #[serde(
        rename = "VSwitchName",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub vswitch_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`CreateVSwitch`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateVSwitchResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The vSwitch, which is Pending now.
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: VSwitchId,
}
