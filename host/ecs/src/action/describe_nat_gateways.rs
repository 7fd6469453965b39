//! `DescribeNatGateways`: lists the gateways through which networks reach others. Of the
//! product Vpc.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, VpcId};

/// Lists the gateways through which networks reach others. Of the product Vpc.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeNatGateways {
    /// The region.
    pub region_id: RegionId,
    /// Only those of this VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<VpcId>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 50, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// The answer to [`DescribeNatGateways`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeNatGatewaysResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// The gateways of this page.
    pub nat_gateways: NatGateways,
}

/// The wrapper of the list of gateways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatGateways {
    /// One entry a gateway.
    pub nat_gateway: Vec<NatGateway>,
}

/// A gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatGateway {
    /// Its id.
    pub nat_gateway_id: String,
    /// The VPC that it is in.
    pub vpc_id: VpcId,
    /// `Available`, `Creating`, ….
    pub status: String,
    /// Its public addresses.
    pub ip_lists: NatAddresses,
}

/// The wrapper of the list of a gateway's addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatAddresses {
    /// One entry an address.
    pub ip_list: Vec<NatAddress>,
}

/// A public address of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatAddress {
    /// The address.
    pub ip_address: String,
    /// The id of the EIP that it is.
    pub allocation_id: String,
}
