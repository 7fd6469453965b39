//! What came of one RunCommand, as it is journaled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::{InvocationResult, InvocationStatus};
use serde::{Deserialize, Serialize};

use super::revive::is_loss;
use crate::mask::Masker;

/// The outcome of a command on an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// How it ended.
    pub status: InvocationStatus,
    /// Its exit code, if it has one.
    pub exit_code: Option<i32>,
    /// Base64 of the last 24 KB of its output.
    pub output: String,
    /// Bytes of output before those.
    pub dropped: u64,
    /// The agent's code of an error, empty for none.
    pub error_code: String,
    /// The agent's words for it.
    pub error_info: String,
    /// When it began, as the cloud writes it.
    pub started: String,
    /// When it ended.
    pub finished: String,
}

impl Invocation {
    /// The same without the values of secrets.
    #[must_use]
    pub(crate) fn masked(mut self, masker: &Masker) -> Self {
        if !masker.is_empty() {
            let bytes = self.bytes();
            self.output = STANDARD.encode(match self.dropped {
                0 => masker.bytes(&bytes),
                _ => masker.tail(&bytes),
            });
            self.error_info = masker.text(&self.error_info);
        }
        self
    }

    /// Whether it ran and exited with 0.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0) && self.status == InvocationStatus::Success
    }

    /// The kept output as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.output).unwrap_or_default()
    }

    /// The kept output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Whether the instance or its agent went away: nothing is known of the script.
    pub fn is_lost(&self) -> bool {
        is_loss(&self.error_code)
    }

    /// Whether the agent stopped it at its timeout.
    pub fn timed_out(&self) -> bool {
        self.status == InvocationStatus::Timeout
    }

    /// How it ended, in words.
    pub fn words(&self) -> String {
        match (self.exit_code, self.error_code.as_str()) {
            (Some(code), "" | "ExitCodeNonzero") => format!("exit code {code}"),
            (_, "") => self.status.to_string(),
            (_, code) if self.error_info.is_empty() => format!("{} ({code})", self.status),
            (_, code) => format!("{} ({code}: {})", self.status, self.error_info),
        }
    }
}

impl From<InvocationResult> for Invocation {
    fn from(result: InvocationResult) -> Self {
        let ran = matches!(
            result.invocation_status,
            InvocationStatus::Success | InvocationStatus::Failed
        ) && matches!(result.error_code.as_str(), "" | "ExitCodeNonzero");
        Self {
            exit_code: result
                .exit_code
                .filter(|_| ran)
                .and_then(|code| i32::try_from(code).ok()),
            status: result.invocation_status,
            output: result.output,
            dropped: result.dropped,
            error_code: result.error_code,
            error_info: result.error_info,
            started: result.start_time,
            finished: result.finished_time,
        }
    }
}
