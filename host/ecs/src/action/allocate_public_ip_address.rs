//! `AllocatePublicIpAddress`: gives an instance a public address for good.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, RegionId};

/// Gives an instance a public address for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllocatePublicIpAddress {
    /// The region; follows from the instance when absent.
    #[serde(default)]
    pub region_id: RegionId,
    /// The instance, Running or Stopped.
    pub instance_id: InstanceId,
}

/// The answer to [`AllocatePublicIpAddress`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatePublicIpAddressResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The address.
    pub ip_address: String,
}
