//! What a verb fails with: a kind, which decides the exit code, the error with its
//! causes, and hints.
//!
//! Every module has its own error type; this one only says whose turn it is to do
//! something about it. Rendering is `terminal`'s.

use std::error::Error;

use darkroom_template::Mistakes;

use crate::exit::{self, Exit};

/// Who can do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Who typed the command or wrote the template.
    User,
    /// Who set up the machine and the keys.
    Config,
    /// Who wrote the component.
    Component,
    /// The cloud.
    Cloud,
    /// The image failed its tests.
    TestFailed,
    /// Some regions failed.
    Partly,
    /// Somebody stopped it.
    Cancelled,
    /// We.
    Internal,
}

impl Kind {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::User => exit::USER,
            Self::Config => exit::CONFIG,
            Self::Component => exit::COMPONENT,
            Self::Cloud => exit::CLOUD,
            Self::TestFailed => exit::TEST_FAILED,
            Self::Partly => exit::PARTLY,
            Self::Cancelled => exit::CANCELLED,
            Self::Internal => exit::INTERNAL,
        }
    }

    /// The word for it in `--json`; the same as in the table of exit codes.
    pub(crate) fn word(self) -> &'static str {
        let exit = self.exit();
        exit::TABLE
            .iter()
            .find(|(known, ..)| *known == exit)
            .map_or("internal", |(_, word, _)| word)
    }
}

/// Why a verb didn't do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    pub(crate) hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn user(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::User, error)
    }

    pub(crate) fn config(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Config, error)
    }

    pub(crate) fn cloud(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Cloud, error)
    }

    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, error)
    }

    /// With one more line on what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The mistakes of a template, if that is what went wrong.
    pub(crate) fn mistakes(&self) -> Option<&Mistakes> {
        self.error.downcast_ref()
    }

    /// The error and its causes, outermost first, none that only repeats the one
    /// before.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.error.to_string()];
        let mut next = self.error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if chain.last().is_some_and(|last| !last.ends_with(&text)) {
                chain.push(text);
            }
            next = cause.source();
        }
        chain
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::user(mistakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("reading the file failed")]
    struct Outer(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("the outer: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn causes_are_listed_once() {
        let cause = || std::io::Error::other("disk on fire");
        let failure = Failure::internal(Outer(cause()));
        assert_eq!(failure.chain(), ["reading the file failed", "disk on fire"]);
        let failure = Failure::internal(Repeating(cause()));
        assert_eq!(failure.chain(), ["the outer: disk on fire"]);
    }

    #[test]
    fn every_kind_has_its_word() {
        let words: Vec<_> = [Kind::User, Kind::Cancelled, Kind::Internal]
            .map(Kind::word)
            .to_vec();
        assert_eq!(words, ["user", "cancelled", "internal"]);
    }
}
