//! `InstallCloudAssistant`: installs the Cloud Assistant agent, to be there after the next start.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, RegionId};

/// Installs the Cloud Assistant agent, to be there after the next start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstallCloudAssistant {
    /// The region.
    pub region_id: RegionId,
    /// The instances, 1 to 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_id: Vec<InstanceId>,
}

/// The answer to [`InstallCloudAssistant`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstallCloudAssistantResponse {
    /// Id of the request, for support.
    pub request_id: String,
}
