//! `DescribeInvocationResults`: reads the results of executions of commands.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Tag, Tags};
use crate::action::status::{ContentEncoding, InvocationStatus};
use crate::id::{CommandId, InstanceId, InvokeId, RegionId};

/// Reads the results of executions of commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInvocationResults {
    /// The region.
    pub region_id: RegionId,
    /// Only this execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_id: Option<InvokeId>,
    /// Only results of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Only results of this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// Only results in this (older) status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_record_status: Option<String>,
    /// Whether all runs of a periodic execution are wanted, or the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_history: Option<bool>,
    /// Encoding of the output in the answer; `Base64` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
    /// Only resources with all of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Entries a page, at most 50, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Where the page begins: the `NextToken` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, at most 50, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// The answer to [`DescribeInvocationResults`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInvocationResultsResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The results of this page.
    pub invocation: InvocationPage,
}

/// The wrapper of the list and the numbers of its pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InvocationPage {
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// Where the next page begins; empty at the end.
    pub next_token: String,
    /// The results.
    pub invocation_results: InvocationResults,
}

/// The wrapper of the list of results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InvocationResults {
    /// One entry an execution on an instance.
    pub invocation_result: Vec<InvocationResult>,
}

/// The result of an execution on one instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InvocationResult {
    /// The execution.
    pub invoke_id: InvokeId,
    /// The command.
    pub command_id: CommandId,
    /// The instance.
    pub instance_id: InstanceId,
    /// Its status.
    pub invocation_status: InvocationStatus,
    /// Its status, older words: `Running`, `Finished`, `Failed`, `Stopped`.
    pub invoke_record_status: String,
    /// Exit code. Absent before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The tail of the output (24 KB), in the encoding that was asked for.
    pub output: String,
    /// Bytes of output that were left out before the tail.
    pub dropped: u64,
    /// Why it failed, such as `ExitCodeNonzero`; empty when it didn't.
    pub error_code: String,
    /// The same in a sentence.
    pub error_info: String,
    /// How often it ran.
    pub repeats: u32,
    /// When it started.
    pub start_time: String,
    /// When it ended.
    pub finished_time: String,
    /// When it was stopped.
    pub stop_time: String,
    /// Who ran it.
    pub username: String,
    /// `Process` or `ProcessTree`.
    pub termination_mode: String,
    /// Its tags.
    pub tags: Tags,
}
