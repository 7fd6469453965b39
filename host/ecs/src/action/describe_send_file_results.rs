//! `DescribeSendFileResults`: lists files that were sent, with the state on each instance.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::{Tag, Tags, TextBool};
use crate::action::status::InvocationStatus;
use crate::id::{InstanceId, InvokeId, RegionId};

/// Lists files that were sent, with the state on each instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSendFileResults {
    /// The region.
    pub region_id: RegionId,
    /// Only this execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoke_id: Option<InvokeId>,
    /// Only executions on this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// Only files of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only executions in this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_status: Option<InvocationStatus>,
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

/// The answer to [`DescribeSendFileResults`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeSendFileResultsResponse {
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
    pub invocations: FileInvocations,
}

/// The wrapper of the list of executions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileInvocations {
    /// One entry an execution.
    pub invocation: Vec<FileInvocation>,
}

/// A file that was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileInvocation {
    /// Its id.
    pub invoke_id: InvokeId,
    /// Name of the file.
    pub name: String,
    /// Its folder.
    pub target_dir: String,
    /// What it is for.
    pub description: String,
    /// The content, in the encoding it was sent in.
    pub content: String,
    /// Encoding of the content.
    pub content_type: String,
    /// Owner.
    pub file_owner: String,
    /// Group.
    pub file_group: String,
    /// Mode.
    pub file_mode: String,
    /// Whether a file that existed was replaced.
    pub overwrite: TextBool,
    /// To how many instances it was sent.
    pub vm_count: u32,
    /// When it was asked for.
    pub creation_time: String,
    /// Its overall status.
    pub invocation_status: InvocationStatus,
    /// The state on each instance.
    pub invoke_instances: FileInvokeInstances,
    /// Its tags.
    pub tags: Tags,
}

/// The wrapper of the list of instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileInvokeInstances {
    /// One entry an instance.
    pub invoke_instance: Vec<FileInvokeInstance>,
}

/// The file's state on one instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileInvokeInstance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its status.
    pub invocation_status: InvocationStatus,
    /// Why it failed, such as `FileAlreadyExists`; empty when it didn't.
    pub error_code: String,
    /// The same in a sentence.
    pub error_info: String,
    /// When it was asked for.
    pub creation_time: String,
    /// When it started.
    pub start_time: String,
    /// When it ended.
    pub finish_time: String,
    /// When this state was reported.
    pub update_time: String,
}
