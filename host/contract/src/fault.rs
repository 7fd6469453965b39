//! Why a session can't go on.

use crate::call::Call;

/// The end of a call before its function returned. All but [`Fault::Suspend`] are
/// mistakes, which end the component.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A question has no answer yet: carry out the declared steps, then call again.
    #[error("a question has no answer yet")]
    Suspend,
    /// A repeated call did something else than the recorded one.
    #[error("not deterministic at call {call}: was {was}, is {is}")]
    NotDeterministic {
        /// Which call of the interface `steps` it was, counted from 1.
        call: usize,
        /// The recorded call.
        was: Box<Call>,
        /// What it is now.
        is: Box<Call>,
    },
    /// A repeated call returned before it did all that the recorded one had done.
    #[error("not deterministic: it ended after {calls} calls, but call {} was {next}", calls + 1)]
    EndedEarly {
        /// The calls of the interface `steps` that it made.
        calls: usize,
        /// The recorded call that should have come.
        next: Box<Call>,
    },
    /// The component asked for more than it may.
    #[error("{call}: more than {allowed} {what}")]
    Limit {
        /// The call that went beyond the limit.
        call: Box<Call>,
        /// What is limited, in the plural: `steps`.
        what: &'static str,
        /// How many of them are allowed.
        allowed: usize,
    },
    /// The arguments of a call make no sense.
    #[error("{call}: {message}")]
    BadCall {
        /// The call.
        call: Box<Call>,
        /// What is wrong with it.
        message: String,
    },
    /// The host could not read a recorded output; not the component's mistake.
    #[error("{call}: the recorded content can't be read: {message}")]
    Content {
        /// The question.
        call: Box<Call>,
        /// The reason.
        message: String,
    },
}

impl Fault {
    /// What the author can do about it, where that is not plain from the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotDeterministic { .. } | Self::EndedEarly { .. } => Some(
                "the same arguments and the same answers must lead to the same calls in the \
                 same order; keep clocks, random numbers and the order of hash tables out of them",
            ),
            Self::Limit { .. } => {
                Some("let one script do more, or split the component into several")
            }
            Self::Suspend | Self::BadCall { .. } | Self::Content { .. } => None,
        }
    }
}
