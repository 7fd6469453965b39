//! How a run goes wrong, in one type that the journal can keep.
//!
//! A failure is journaled and read again by another process, so it is plain data:
//! causes are kept as text. Each variant names what failed, its subject, and, through
//! [`Trouble::hint`], what to do. Mistakes in the template are no troubles: they are
//! found before a run exists (see [`crate::check`]).

use darkroom_ecs::client::{CallError, Class};
use darkroom_ecs::error::ErrorCode;
use darkroom_journal::Failure;
use serde::{Deserialize, Serialize};

use crate::secret::SecretError;

/// What went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "trouble", rename_all = "kebab-case")]
pub enum Trouble {
    /// The cloud refused a call.
    #[error("{action} in {region} was refused: {message} ({code}, request {request_id})")]
    Refused {
        /// The action.
        action: String,
        /// The region.
        region: String,
        /// The code of the error.
        code: String,
        /// The cloud's message.
        message: String,
        /// The request, for the cloud's support.
        request_id: String,
    },
    /// The cloud could not be reached, or answered nothing that makes sense.
    #[error("{action} in {region} got no answer: {cause}")]
    Unreachable {
        /// The action.
        action: String,
        /// The region.
        region: String,
        /// The causes, outermost first.
        cause: String,
    },
    /// There was no key to sign a call with.
    #[error("{action} in {region} could not be signed: {problem}")]
    Keys {
        /// The action.
        action: String,
        /// The region.
        region: String,
        /// Where keys were asked for and what came of it; never a secret.
        problem: String,
        /// What to do, if that is known.
        hint: Option<String>,
    },
    /// The agent of an instance did not do what it was asked.
    #[error("instance {instance}: the agent did not {act}: {info} ({code})")]
    Agent {
        /// The instance.
        instance: String,
        /// What it was asked, such as `write to /root`.
        act: String,
        /// The agent's code.
        code: String,
        /// The agent's words.
        info: String,
    },
    /// An instance was made and did not come up.
    #[error("instance {instance} did not come up: {problem}")]
    Boot {
        /// The instance.
        instance: String,
        /// Why.
        problem: String,
        /// What to do, if that is known.
        hint: Option<String>,
    },
    /// Something in the cloud is not as it must be.
    #[error("{subject}: {problem}")]
    State {
        /// The resource.
        subject: String,
        /// What is wrong with it.
        problem: String,
        /// What to do, if that is known.
        hint: Option<String>,
    },
    /// What the template names isn't there, or isn't as it must be.
    #[error("{}", problems.iter().map(|one| format!("{}: {}", one.subject, one.problem)).collect::<Vec<_>>().join("; "))]
    Inputs {
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
    /// Another process has resumed the run on a copy of its state folder. Never journaled:
    /// it is about this process.
    #[error("{subject} belongs to a newer resume of this run: it says {newer}, this is {ours}")]
    Superseded {
        /// What says so.
        subject: String,
        /// The newer session.
        newer: String,
        /// This one.
        ours: String,
    },
    /// A wait reached its deadline.
    #[error("{subject} took longer than {seconds} s")]
    TooLong {
        /// What was awaited.
        subject: String,
        /// The limit.
        seconds: u64,
    },
    /// A step failed.
    #[error("{component}: the step \"{step}\" failed: {problem}")]
    Step {
        /// The component, as the template names it.
        component: String,
        /// The step's name.
        step: String,
        /// Why, in one sentence.
        problem: String,
        /// The last lines of its output.
        tail: String,
        /// The step's path, which names its log.
        path: String,
    },
    /// A component returned an error, trapped or broke the contract.
    #[error("{component}: {problem}")]
    Component {
        /// The component, as the template names it.
        component: String,
        /// What it said, or what it did wrong.
        problem: String,
    },
    /// The value of a secret can't be had.
    #[error("the secret {name}: {problem}")]
    Secret {
        /// The secret, as the template calls it.
        name: String,
        /// What is wrong; never the value.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file of the run can't be read or written.
    #[error("can't {act} {path}: {cause}")]
    File {
        /// Such as `write`.
        act: String,
        /// Relative to the run's folder.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// A fault of Darkroom's own.
    #[error("{subject}: {problem}")]
    Internal {
        /// Where.
        subject: String,
        /// What.
        problem: String,
    },
}

/// One thing that is wrong with the inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What the template names.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Trouble {
    /// A fault of ours.
    pub fn internal(subject: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        Self::Internal {
            subject: subject.into(),
            problem: chain(cause),
        }
    }

    /// A file that can't be used.
    pub fn file(act: &str, path: impl Into<String>, cause: &std::io::Error) -> Self {
        Self::File {
            act: act.into(),
            path: path.into(),
            cause: cause.to_string(),
        }
    }

    /// Whether the cloud refused a call with this code.
    pub fn is(&self, wanted: &ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted.to_string())
    }

    /// The cloud's code, if it refused a call.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What it is to the table of what is tried again.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { action, code, .. } => Class::of_code(action, &code.as_str().into()),
            Self::Unreachable { .. } => Class::Lost,
            _ => Class::Mistake,
        }
    }

    /// The same as [`Self::hint`], of this run.
    pub fn hint_in(&self, run: &str) -> Option<String> {
        match self {
            Self::Step { path, .. } => Some(format!(
                "`darkroom runs logs {run} {path}` shows all of its output"
            )),
            other => other.hint(),
        }
    }

    /// What to do about it, for the line under the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::State { hint, .. }
            | Self::Boot { hint, .. }
            | Self::Secret { hint, .. }
            | Self::Keys { hint, .. } => hint.clone(),
            Self::Inputs { problems } => {
                let hints: Vec<_> = problems.iter().filter_map(|one| one.hint.clone()).collect();
                (!hints.is_empty()).then(|| hints.join("\n"))
            }
            Self::Refused { code, .. } => refused_hint(code),
            Self::Superseded { .. } => Some(
                "it goes on where it was resumed last; nothing of it was undone here. Delete this copy of the state folder, or copy the newer one here before you resume it".into(),
            ),
            Self::Unreachable { .. } => Some("check the network and the endpoint".into()),
            Self::Step { .. } => self.hint_in("last"),
            Self::Internal { .. } => {
                Some("this is a fault of Darkroom; please report it with the run's folder".into())
            }
            Self::Agent { .. }
            | Self::TooLong { .. }
            | Self::Component { .. }
            | Self::File { .. } => None,
        }
    }
}

fn refused_hint(code: &str) -> Option<String> {
    let hint = match code {
        "InvalidImageName.Duplicated" => {
            "an image of this name exists: change image.name in the template, or leave it out to have the run's id in the name"
        }
        "SignatureDoesNotMatch" | "InvalidAccessKeyId.NotFound" | "IncompleteSignature" => {
            "check the access key id and secret of the account"
        }
        "InvalidSecurityToken.Expired" => {
            "the temporary key has ended: get a new one, or use a profile that is renewed, then resume the run"
        }
        "InvalidImageId.NotFound" | "InvalidImage.NotFound" => {
            "an image is found only in its own region and account: `darkroom image list` shows them"
        }
        "InvalidRegionId.NotFound" => "check --region and distribute.regions in the template",
        "OperationDenied.NoStock" => {
            "name another instance.type, or leave it out to have one in stock chosen"
        }
        "Forbidden.RAM" => "the access key's user lacks a RAM permission for this action",
        _ => return None,
    };
    Some(hint.into())
}

impl From<SecretError> for Trouble {
    fn from(error: SecretError) -> Self {
        Self::Secret {
            name: error.name,
            problem: error.problem,
            hint: error.hint,
        }
    }
}

/// An error and its causes in one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// What a failed call means for the run: what the cloud refused is final; what it could
/// not answer, or was too busy for, can be tried again by a resume.
pub fn of_call(action: &str, region: &str, error: &CallError) -> Failure<Trouble> {
    match error {
        CallError::Api { source, .. } => {
            let trouble = Trouble::Refused {
                action: action.into(),
                region: region.into(),
                code: source.code.to_string(),
                message: source.message.clone(),
                request_id: source.request_id.clone(),
            };
            // A key that has ended ends nothing: with another one a resume goes on, and
            // without one nothing could be undone either.
            let ended = source.code == ErrorCode::InvalidSecurityTokenExpired;
            if error.is_unavailable() || ended {
                Failure::Unavailable(trouble)
            } else {
                Failure::Final(trouble)
            }
        }
        CallError::Keys { source, .. } => Failure::Unavailable(Trouble::Keys {
            action: action.into(),
            region: region.into(),
            problem: source.to_string(),
            hint: source.hint.clone(),
        }),
        other => Failure::Unavailable(Trouble::Unreachable {
            action: action.into(),
            region: region.into(),
            cause: chain(other),
        }),
    }
}
