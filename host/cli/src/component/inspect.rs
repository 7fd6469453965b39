//! What is in a component, for people and programs: read from its sections, so that no
//! foreign code runs; and whether its description is still what its code answers.

use std::path::{Path, PathBuf};

use darkroom_contract::Role;
use darkroom_runtime::pack::{self, Check, PackError};
use darkroom_runtime::{Config, LoadError, Runtime, RuntimeError};
use serde::Serialize;
use serde_json::Value;

/// What is in a component.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Inspection {
    /// The file.
    pub(crate) file: PathBuf,
    /// Its SHA-256.
    pub(crate) digest: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// The package's name and version, where the SDK gave them.
    pub(crate) package: Option<String>,
    /// See `package`.
    pub(crate) version: Option<String>,
    /// What it does.
    pub(crate) summary: String,
    /// What it can be asked to do.
    pub(crate) roles: Vec<Role>,
    /// The JSON Schema of its arguments.
    pub(crate) parameters: Value,
    /// Whether its result depends on more than its arguments.
    pub(crate) volatile: bool,
    /// Whether the machine must reach the internet.
    pub(crate) internet: bool,
    /// The families of machines that it is for; empty for all.
    pub(crate) families: Vec<String>,
    /// The files that ship with it.
    pub(crate) assets: Vec<Asset>,
}

/// A file that ships with a component.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asset {
    /// Its path.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
}

/// One parameter in a line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterLine {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// `required`, `default: ...` and `secret`, as far as they hold.
    pub(crate) notes: String,
    pub(crate) about: String,
}

/// A component can't be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The file can't be read.
    #[error("{path:?} can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The runtime can't be started.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// It is no component of ours.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its sections can't be read, or its `describe` failed.
    #[error(transparent)]
    Pack(Box<PackError>),
}

impl InspectError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => {
                Some("name a .wasm file; `darkroom component build` makes one of a crate")
            }
            Self::Runtime(_) => None,
            Self::Load(error) => error.hint(),
            Self::Pack(error) => error.hint(),
        }
    }
}

impl From<PackError> for InspectError {
    fn from(error: PackError) -> Self {
        Self::Pack(Box::new(error))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InspectError> {
    std::fs::read(path).map_err(|source| InspectError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Shows a component. It blocks.
pub(crate) fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let bytes = read(path)?;
    let component = Runtime::new(Config::default())?.load(&bytes, &path.display().to_string())?;
    let sections = pack::read_sections(&bytes)?;
    let said: Value = serde_json::from_str(sections.description.as_deref().unwrap_or_default())
        .unwrap_or_default();
    let word = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let description = component.description();
    let size = |name: &str| {
        sections
            .assets
            .get(name)
            .map_or(0, |content| content.len() as u64)
    };
    Ok(Inspection {
        file: path.to_owned(),
        digest: component.digest().to_owned(),
        bytes: bytes.len() as u64,
        package: word("package"),
        version: word("version"),
        summary: description.summary.clone(),
        roles: component.roles().to_vec(),
        parameters: description.parameters.clone(),
        volatile: description.volatile,
        internet: description.internet,
        families: description.families.clone(),
        assets: sections
            .assets
            .names()
            .map(|name| Asset {
                name: name.to_owned(),
                bytes: size(name),
            })
            .collect(),
    })
}

/// Compares the section with what `describe` answers. It blocks.
pub(crate) fn check(path: &Path) -> Result<Check, InspectError> {
    let bytes = read(path)?;
    let runtime = Runtime::new(Config::default())?;
    Ok(pack::check(&runtime, &bytes, &path.display().to_string())?)
}

impl Inspection {
    /// The parameters, one a line.
    pub(crate) fn parameter_lines(&self) -> Vec<ParameterLine> {
        let required: Vec<_> = list(&self.parameters, "required");
        let properties = self.parameters.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let mut notes = Vec::new();
                if required.contains(&name.as_str()) {
                    notes.push("required".to_owned());
                }
                if let Some(default) = schema.get("default") {
                    notes.push(format!("default: {default}"));
                }
                if schema.get("secret").and_then(Value::as_bool) == Some(true) {
                    notes.push("secret".to_owned());
                }
                ParameterLine {
                    name: name.clone(),
                    kind: kind(schema),
                    notes: notes.join(", "),
                    about: word(schema, "description").unwrap_or_default().to_owned(),
                }
            })
            .collect()
    }
}

fn word<'a>(schema: &'a Value, name: &str) -> Option<&'a str> {
    schema.get(name).and_then(Value::as_str)
}

fn list<'a>(schema: &'a Value, name: &str) -> Vec<&'a str> {
    schema
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The type in words: `list of string`, `map of string`, or JSON Schema's own.
fn kind(schema: &Value) -> String {
    let inner = |name: &str| schema.get(name).and_then(|inner| word(inner, "type"));
    match word(schema, "type") {
        Some("array") => format!("list of {}", inner("items").unwrap_or("anything")),
        Some("object") => format!(
            "map of {}",
            inner("additionalProperties").unwrap_or("anything")
        ),
        Some(kind) => kind.to_owned(),
        None => "anything".to_owned(),
    }
}
