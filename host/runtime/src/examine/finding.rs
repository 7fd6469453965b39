//! One thing that was found in a component.

use serde::Serialize;

use crate::load::LoadProblem;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The component can't be used as it is.
    Wrong,
    /// It can, and would be better otherwise.
    Advice,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// The file: whether it is a component at all.
    File,
    /// What it exports: roles, interfaces, their types.
    World,
    /// What it imports.
    Imports,
    /// The description and its schema.
    Description,
    /// Sizes and numbers.
    Limits,
    /// Name, version, licence and the like.
    Metadata,
    /// The files that ship with it.
    Assets,
    /// What its code does when it is called.
    Code,
}

impl Topic {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::World => "world",
            Self::Imports => "imports",
            Self::Description => "description",
            Self::Limits => "limits",
            Self::Metadata => "metadata",
            Self::Assets => "assets",
            Self::Code => "code",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about.
    pub topic: Topic,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    pub(super) fn wrong(topic: Topic, message: impl Into<String>) -> Self {
        Self {
            level: Level::Wrong,
            topic,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn advice(topic: Topic, message: impl Into<String>) -> Self {
        Self {
            level: Level::Advice,
            ..Self::wrong(topic, message)
        }
    }

    /// What keeps it from being loaded, with that problem's own hint.
    pub(super) fn of(topic: Topic, problem: &LoadProblem) -> Self {
        Self {
            hint: problem.hint().map(str::to_owned),
            ..Self::wrong(topic, problem.to_string())
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}
