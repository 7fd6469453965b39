//! `RunCommand`: runs a command on instances through Cloud Assistant.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::action::status::{CommandType, ContentEncoding};
use crate::id::{CommandId, InstanceId, InvokeId, RegionId};

/// Runs a command on instances through Cloud Assistant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunCommand {
    /// The region.
    pub region_id: RegionId,
    /// Language of the command.
    pub r#type: CommandType,
    /// The command, in the encoding below; at most 24 KB after base64.
    pub command_content: String,
    /// Encoding of `CommandContent`; `PlainText` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<ContentEncoding>,
    /// The instances, at most 100. One that can't run commands fails the whole call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_id: Vec<InstanceId>,
    /// Name of the command, at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds after which it is killed; 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Where it runs; the home of root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Who runs it; root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Name of the secret parameter that holds that user's password, on Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows_password_name: Option<String>,
    /// Whether `{{ name }}` in the content is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_parameter: Option<bool>,
    /// Values of these, as a JSON object in text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
    /// Whether the command is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_command: Option<bool>,
    /// `Once` (the default), `Period`, `NextRebootOnly`, `EveryReboot` or `DryRun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_mode: Option<String>,
    /// When, for `Period`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
    /// What is killed at the end of the time: `Process` or `ProcessTree`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_mode: Option<String>,
    /// What starts the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launcher: Option<String>,
    /// Tags of the execution.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<Tag>,
    /// Resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<String>,
    /// Makes the call idempotent: at most 64 ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// The answer to [`RunCommand`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunCommandResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The command.
    pub command_id: CommandId,
    /// This execution of it.
    pub invoke_id: InvokeId,
}
