//! `SendFile`: writes a file in instances through Cloud Assistant.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::action::shared::Tag;
use crate::action::status::ContentEncoding;
use crate::id::{InstanceId, InvokeId, RegionId};

/// Writes a file in instances through Cloud Assistant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendFile {
    /// The region.
    pub region_id: RegionId,
    /// The instances, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_id: Vec<InstanceId>,
    /// Name of the file, at most 255 characters.
    pub name: String,
    /// Its folder, at most 255 characters; made when it doesn't exist.
    pub target_dir: String,
    /// The content, in the encoding below; at most 32 KB after base64.
    pub content: String,
    /// Encoding of `Content`; `PlainText` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentEncoding>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Owner; root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_owner: Option<String>,
    /// Group; root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_group: Option<String>,
    /// Mode, such as `0644`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<String>,
    /// Whether a file that exists is replaced; an error when not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// Seconds, at least 10; 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
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

/// The answer to [`SendFile`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SendFileResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// This execution.
    pub invoke_id: InvokeId,
}
