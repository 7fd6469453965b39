//! Why a primitive doesn't return a value. The engine passes it up with `?`; the
//! journal decides which of these were journaled.

use serde_json::Value;

use crate::store::StoreError;

/// The end of a run, or of a branch of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stop<E: std::error::Error + 'static> {
    /// An operation or a poll failed for good. Journaled: replay fails the same way, so
    /// that the pipeline may catch it and go on.
    #[error(transparent)]
    Failed(E),
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// Something is unavailable for now. Not journaled; the scope stays stopped in this
    /// process, since to go on in another way than a replay would is to diverge.
    #[error("the run can't go on for now; it can be resumed")]
    Unavailable(#[source] E),
    /// The pipeline doesn't ask what it asked when the journal was written.
    #[error("replay diverged at {key}: was {was}, is {is}")]
    Diverged {
        /// The entry's key.
        key: String,
        /// What is recorded.
        was: Box<Value>,
        /// What is asked now.
        is: Box<Value>,
    },
    /// A stage was begun, or finished, by a version that this one can't go on from.
    #[error("stage {stage} was written by {was}, this is {is}")]
    OtherVersion {
        /// The stage's name.
        stage: String,
        /// The version in the journal.
        was: String,
        /// The version that asks.
        is: String,
    },
    /// The pipeline breaks a rule without which replay can't work.
    #[error("{problem} (at {key})")]
    Misused {
        /// The scope's or entry's key.
        key: String,
        /// The rule.
        problem: &'static str,
    },
    /// The journal can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E: std::error::Error + 'static> Stop<E> {
    /// What to do about it, for the line under the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { .. } => Some(
                "the pipeline that began this stage was another one; resume with it, or restart the stage".into(),
            ),
            Self::OtherVersion { was, .. } => Some(format!(
                "resume with {was}, or restart the stage, which undoes what it has done so far"
            )),
            Self::Store(error) => error.hint(),
            Self::Failed(_) | Self::Cancelled | Self::Unavailable(_) | Self::Misused { .. } => None,
        }
    }

    /// Whether the outcome is the run's own and journaled, and not this process's.
    pub(crate) fn is_outcome(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Whether the scope must not go on in this process.
    pub(crate) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::Cancelled)
    }
}
