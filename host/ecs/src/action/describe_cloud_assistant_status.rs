//! `DescribeCloudAssistantStatus`: says on which instances the Cloud Assistant agent is
//! alive.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::TextBool;
use crate::id::{InstanceId, RegionId};

/// Says on which instances the Cloud Assistant agent is alive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeCloudAssistantStatus {
    /// The region.
    pub region_id: RegionId,
    /// The instances, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_id: Vec<InstanceId>,
    /// `Linux`, `Windows` or `FreeBSD`.
    #[serde(rename = "OSType", default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<String>,
    /// Entries a page, at most 50, 10 when absent.
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
}

/// The answer to [`DescribeCloudAssistantStatus`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeCloudAssistantStatusResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// Where the next page begins; empty at the end.
    pub next_token: String,
    /// The states.
    pub instance_cloud_assistant_status_set: InstanceCloudAssistantStatusSet,
}

/// The wrapper of the list of states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceCloudAssistantStatusSet {
    /// One entry an instance.
    pub instance_cloud_assistant_status: Vec<InstanceCloudAssistantStatus>,
}

/// The state of an instance's agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceCloudAssistantStatus {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether a heartbeat came within the last two minutes.
    pub cloud_assistant_status: TextBool,
    /// Version of the agent.
    pub cloud_assistant_version: String,
    /// When the last heartbeat came.
    pub last_heartbeat_time: String,
    /// When the last command was started.
    pub last_invoked_time: String,
    /// How many commands have been run.
    pub invocation_count: u64,
    /// How many commands are running.
    pub active_task_count: u64,
    /// `Linux`, `Windows` or `FreeBSD`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// Whether the agent can hold a session.
    pub support_session_manager: bool,
}
