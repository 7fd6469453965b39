//! `DescribeInvocations`: lists executions of commands, with the state on each instance.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Tag, Tags};
use crate::action::status::{CommandType, ContentEncoding, InvocationStatus};
use crate::id::{CommandId, InstanceId, InvokeId, RegionId};

/// Lists executions of commands, with the state on each instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInvocations {
    /// The region.
    pub region_id: RegionId,
    /// Only this execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_id: Option<InvokeId>,
    /// Only executions on this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Only executions of this command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// Only executions of commands of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_name: Option<String>,
    /// Only commands in this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_type: Option<CommandType>,
    /// Only executions in this (older) overall status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_status: Option<String>,
    /// Only executions with this mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_mode: Option<String>,
    /// Whether outputs are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_output: Option<bool>,
    /// Encoding of content and output in the answer; `Base64` when absent.
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

/// The answer to [`DescribeInvocations`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInvocationsResponse {
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
    /// The executions of this page.
    pub invocations: Invocations,
}

/// The wrapper of the list of executions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Invocations {
    /// One entry an execution.
    pub invocation: Vec<Invocation>,
}

/// An execution of a command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Invocation {
    /// Its id.
    pub invoke_id: InvokeId,
    /// The command.
    pub command_id: CommandId,
    /// Name of the command.
    pub command_name: String,
    /// What the command does.
    pub command_description: String,
    /// Language of the command.
    pub command_type: CommandType,
    /// The command, in the encoding that was asked for.
    pub command_content: String,
    /// Values of its parameters, as a JSON object in text.
    pub parameters: String,
    /// When it runs.
    pub repeat_mode: String,
    /// The schedule of a periodic one.
    pub frequency: String,
    /// Seconds after which it is killed.
    pub timeout: u64,
    /// Where it runs.
    pub working_dir: String,
    /// Who runs it.
    pub username: String,
    /// `Process` or `ProcessTree`.
    pub termination_mode: String,
    /// When it was asked for.
    pub creation_time: String,
    /// Its overall status.
    pub invocation_status: InvocationStatus,
    /// Its overall status, older words: `Running`, `Finished`, `Failed`, `PartialFailed`,
    /// `Stopped`, `Stopping`.
    pub invoke_status: String,
    /// The state on each instance.
    pub invoke_instances: InvokeInstances,
    /// Its tags.
    pub tags: Tags,
}

/// The wrapper of the list of instances of an execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InvokeInstances {
    /// One entry an instance.
    pub invoke_instance: Vec<InvokeInstance>,
}

/// An execution on one instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InvokeInstance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its status.
    pub invocation_status: InvocationStatus,
    /// Its status, older words.
    pub instance_invoke_status: String,
    /// Exit code. Absent before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The tail of the output, in the encoding that was asked for.
    pub output: String,
    /// Bytes of output that were left out before the tail.
    pub dropped: u64,
    /// Why it failed, such as `ExitCodeNonzero`; empty when it didn't.
    pub error_code: String,
    /// The same in a sentence.
    pub error_info: String,
    /// How often it ran.
    pub repeats: u32,
    /// When it was asked for.
    pub creation_time: String,
    /// When it started.
    pub start_time: String,
    /// When it ended.
    pub finish_time: String,
    /// When it was stopped.
    pub stop_time: String,
    /// When this state was reported.
    pub update_time: String,
}
