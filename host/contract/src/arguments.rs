//! Checking arguments against the JSON Schema of a description.
//!
//! `template` and `engine` show the mistakes at the place in the template that the
//! path leads to. Nothing here knows templates.

use std::collections::BTreeSet;
use std::fmt;

use jsonschema::PatternOptions;
use jsonschema::paths::{Location, LocationSegment};
use serde_json::{Map, Value};

use crate::inputs::listed;
use crate::secret::Marker;

/// One part of the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathPart {
    /// A member of an object.
    Name(String),
    /// An element of an array.
    Index(usize),
}

impl fmt::Display for PathPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// An argument that the schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentMistake {
    /// The way from the arguments to the value; empty for the arguments as a whole
    /// (a missing one).
    pub path: Vec<PathPart>,
    /// What is wrong, without the path.
    pub message: String,
}

impl fmt::Display for ArgumentMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.path.iter().enumerate() {
            write!(f, "{}{part}", if i > 0 { "." } else { "" })?;
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

/// Compiles a schema. Patterns are linear ones: a schema is foreign data, and a
/// backtracking pattern would let it hang the host. References to other documents
/// are refused, because nothing may be fetched here.
pub(crate) fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Fills defaults in, then checks; answers all mistakes at once.
pub(crate) fn check(
    schema: &Value,
    parameters: &Map<String, Value>,
    secrets: &BTreeSet<String>,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<ArgumentMistake>> {
    let mut mistakes: Vec<_> = given
        .keys()
        .filter(|name| !parameters.contains_key(*name))
        .map(|name| ArgumentMistake {
            path: vec![PathPart::Name(name.clone())],
            message: format!("there is no parameter {name:?}{}", listed(parameters)),
        })
        .collect();
    let undeclared = mistakes.len();
    for (name, value) in given
        .iter()
        .filter(|(name, _)| parameters.contains_key(*name))
    {
        check_secrecy(name, value, secrets, &mut mistakes);
    }

    let mut filled = Value::Object(given.clone());
    fill(schema, &mut filled);
    match compile(schema) {
        Err(message) => mistakes.push(ArgumentMistake {
            path: Vec::new(),
            message: format!("the component's parameters are no JSON Schema: {message}"),
        }),
        Ok(validator) => {
            for error in validator.iter_errors(&filled) {
                let path = parts(error.instance_path());
                // `additionalProperties: false` says the same again, without the names.
                if path.is_empty() && undeclared > 0 && is_about_names(&error) {
                    continue;
                }
                // A pattern or a length is meant for the value, which nobody knows here.
                if matches!(path.first(), Some(PathPart::Name(name)) if secrets.contains(name))
                    && error.instance().is_string()
                    && !markers(error.instance()).is_empty()
                {
                    continue;
                }
                mistakes.push(ArgumentMistake {
                    path,
                    message: error.to_string(),
                });
            }
        }
    }
    match filled {
        Value::Object(filled) if mistakes.is_empty() => Ok(filled),
        _ => Err(mistakes),
    }
}

/// A secret belongs in a secret parameter, and a secret text parameter takes nothing else:
/// the text of any other argument is shown, journaled and kept. A list or an object may
/// hold secrets beside other texts, such as the variables of a script.
fn check_secrecy(
    name: &str,
    value: &Value,
    secrets: &BTreeSet<String>,
    mistakes: &mut Vec<ArgumentMistake>,
) {
    let held = markers(value);
    let message = match (secrets.contains(name), held.first()) {
        (false, Some(secret)) => {
            let listed: Vec<_> = secrets.iter().map(|name| format!("{name:?}")).collect();
            let others = match listed.as_slice() {
                [] => "the component has no secret parameter".to_owned(),
                some => format!("secret ones are {}", some.join(", ")),
            };
            format!(
                "{name:?} is no secret parameter, so that the secret {secret:?} would be \
                 shown; {others}"
            )
        }
        (true, None) if value.as_str().is_some_and(|text| !text.is_empty()) => format!(
            "{name:?} is a secret parameter, but this text stands in the template for all \
             to read: name its source under `secrets`, and write ${{{{ secrets.{name} }}}} here"
        ),
        _ => return,
    };
    mistakes.push(ArgumentMistake {
        path: vec![PathPart::Name(name.to_owned())],
        message,
    });
}

/// The names of the secrets whose markers stand anywhere in a value.
pub(crate) fn markers(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => Marker::find(text).into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(markers).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| {
                let mut held = markers(value);
                held.extend(Marker::find(name));
                held
            })
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn is_about_names(error: &jsonschema::ValidationError<'_>) -> bool {
    use jsonschema::error::ValidationErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. }
    )
}

fn parts(location: &Location) -> Vec<PathPart> {
    location
        .into_iter()
        .map(|segment| match segment {
            LocationSegment::Property(name) => PathPart::Name(name.into_owned()),
            LocationSegment::Index(index) => PathPart::Index(index),
        })
        .collect()
}

/// Puts the `default` of each absent property in, also below given values.
fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return;
            };
            for (name, property) in properties {
                if let Some(member) = members.get_mut(name) {
                    fill(property, member);
                } else if let Some(default) = property.get("default") {
                    members.insert(name.clone(), default.clone());
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    fill(schema, item);
                }
            }
        }
        _ => {}
    }
}
