//! The description that a component gives of itself: `about.describe`.
//!
//! It is foreign text, kept in a custom section of the component; parsing it is
//! the only way in, and what has been parsed needs no further checks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::arguments::{self, ArgumentMistake};
use crate::inputs::Inputs;

/// A parsed description.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// What the component does, in one line.
    pub summary: String,
    /// A JSON Schema of type object whose `properties` are the parameters.
    pub parameters: Value,
    /// The result depends on more than the arguments, such as a package mirror.
    pub volatile: bool,
    /// The machine must reach the internet.
    pub internet: bool,
    /// The families of machines that it is for (`linux`, `windows`); empty for all.
    pub families: Vec<String>,
}

/// Why a text is no description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// It is longer than [`Description::MOST_BYTES`].
    #[error("the description has {0} bytes; {most} are allowed", most = Description::MOST_BYTES)]
    TooLong(usize),
    /// It is no JSON, or a member has another type.
    #[error("the description is no JSON object as it should be: {0}")]
    Json(String),
    /// The summary is empty.
    #[error("the description's `summary` is empty")]
    NoSummary,
    /// The parameters are no schema of type object.
    #[error("the description's `parameters` must be a JSON Schema with \"type\": \"object\"")]
    NotAnObject,
    /// The parameters are no JSON Schema.
    #[error("the description's `parameters` are no JSON Schema: {0}")]
    Schema(String),
    /// Only texts can be secret, and what holds texts.
    #[error(
        "the parameter {0:?} is secret, so its type must be \"string\", \"array\" or \"object\""
    )]
    SecretNotText(String),
    /// A default does not fit its own parameter.
    #[error("the default of the parameter {name:?} does not fit it: {message}")]
    Default {
        /// The parameter.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// The members as they stand in the JSON; unknown ones are ignored.
#[derive(Deserialize)]
struct Members {
    summary: String,
    parameters: Value,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    internet: bool,
    #[serde(default)]
    families: Vec<String>,
}

impl Description {
    /// The length that a description may have, 256 KiB: it is shown in lists and
    /// kept in memory for each component of a registry.
    pub const MOST_BYTES: usize = 256 << 10;

    /// Parses what `describe` answered.
    ///
    /// # Errors
    /// The first [`DescriptionError`], which names the member that is wrong.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        let (description, mistakes) = Self::read(text)?;
        mistakes.into_iter().next().map_or(Ok(description), Err)
    }

    /// All that is wrong with what `describe` answered, for its author.
    pub fn mistakes(text: &str) -> Vec<DescriptionError> {
        Self::read(text).map_or_else(|error| vec![error], |(_, mistakes)| mistakes)
    }

    /// What can be read of it, and what is wrong with that.
    fn read(text: &str) -> Result<(Self, Vec<DescriptionError>), DescriptionError> {
        if text.len() > Self::MOST_BYTES {
            return Err(DescriptionError::TooLong(text.len()));
        }
        let members: Members = serde_json::from_str(text)
            .map_err(|error| DescriptionError::Json(error.to_string()))?;
        let description = Self {
            summary: members.summary,
            parameters: members.parameters,
            volatile: members.volatile,
            internet: members.internet,
            families: members.families,
        };
        let mut mistakes = Vec::new();
        if description.summary.trim().is_empty() {
            mistakes.push(DescriptionError::NoSummary);
        }
        if description.parameters.get("type").and_then(Value::as_str) != Some("object") {
            mistakes.push(DescriptionError::NotAnObject);
        }
        let schema = arguments::compile(&description.parameters);
        let usable = schema.is_ok();
        mistakes.extend(schema.err().map(DescriptionError::Schema));
        for (name, schema) in description.properties() {
            let of_texts = || {
                let declared = schema.get("type").and_then(Value::as_str);
                declared.is_some_and(|of| ["string", "array", "object"].contains(&of))
            };
            if is_secret(schema) && !of_texts() {
                mistakes.push(DescriptionError::SecretNotText(name.clone()));
            }
            // Without a schema that can be used nothing fits or doesn't.
            if let Some(default) = schema.get("default").filter(|_| usable) {
                mistakes.extend(description.check_default(name, default).err());
            }
        }
        Ok((description, mistakes))
    }

    /// A wrong default would otherwise be reported to whoever leaves it out.
    fn check_default(&self, name: &str, default: &Value) -> Result<(), DescriptionError> {
        let given = Map::from_iter([(name.to_owned(), default.clone())]);
        let Err(mistakes) = self.check_arguments(&given) else {
            return Ok(());
        };
        let here = |mistake: &&ArgumentMistake| matches!(mistake.path.first(), Some(arguments::PathPart::Name(first)) if first == name);
        match mistakes.iter().find(here) {
            Some(mistake) => Err(DescriptionError::Default {
                name: name.into(),
                message: mistake.message.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The parameters by name, each with its schema.
    pub fn properties(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.parameters
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&NONE)
    }

    /// Whether it is for machines of this family (`linux`).
    pub fn is_for(&self, family: &str) -> bool {
        self.families.is_empty() || self.families.iter().any(|one| one == family)
    }

    /// Checks arguments; answers them with the defaults filled in.
    ///
    /// # Errors
    /// All mistakes, each with the way to the value.
    pub fn check_arguments(
        &self,
        given: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<ArgumentMistake>> {
        arguments::check(&self.parameters, self.properties(), &self.secrets(), given)
    }

    /// The same as [`Inputs`] for a [`Session`](crate::Session).
    ///
    /// # Errors
    /// As [`check_arguments`](Self::check_arguments).
    pub fn inputs(&self, given: &Map<String, Value>) -> Result<Inputs, Vec<ArgumentMistake>> {
        Ok(Inputs {
            arguments: self.check_arguments(given)?,
            parameters: self.properties().clone(),
            secrets: self.secrets(),
            // Of what was given, not of what was filled in: a default is the
            // component's own text, and can't grant it anything.
            granted: given.values().flat_map(arguments::markers).collect(),
        })
    }

    /// The names of the secret parameters.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.properties()
            .iter()
            .filter(|(_, schema)| is_secret(schema))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn is_secret(schema: &Value) -> bool {
    schema.get("secret").and_then(Value::as_bool) == Some(true)
}
