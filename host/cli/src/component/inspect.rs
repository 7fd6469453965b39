//! What is in a component, for people and programs: read from its sections, so that no
//! foreign code runs or is compiled; and all that is wrong with it.
//!
//! `read` takes bytes, wherever they come from; showing is `commands::component`'s.

use std::path::{Path, PathBuf};

use darkroom_contract::Role;
use darkroom_runtime::examine::{Finding, Level, examine};
use darkroom_runtime::pack::{self, Metadata};
use darkroom_runtime::{Config, LoadError, Runtime, RuntimeError};
use serde::Serialize;
use serde_json::Value;

use super::attest::{self, Attachment, AttachmentError};

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
    /// What the package says of itself.
    pub(crate) metadata: Metadata,
    /// The newest version of the contract that it names.
    pub(crate) contract: Option<String>,
    /// The interfaces that it imports.
    pub(crate) imports: Vec<String>,
    /// What lies beside it.
    pub(crate) attached: Vec<Attached>,
    /// The keys that have signed it, as its signatures name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) signatures: Vec<String>,
    /// What the policy says of them, for what comes from a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust: Option<String>,
}

/// A document about a component.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attached {
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Where it lies.
    pub(crate) place: PathBuf,
    /// Of an SBOM, how many dependencies it lists.
    pub(crate) dependencies: Option<usize>,
}

/// What an examination found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Examined {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whether nothing is wrong, so that its description is what its code answers.
    pub(crate) same: bool,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
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
    /// What lies beside it can't be shown.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
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
            Self::Attachment(error) => error.hint(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InspectError> {
    std::fs::read(path).map_err(|source| InspectError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Shows a component and what lies beside it.
pub(crate) fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let mut seen = seen(&read(path)?, path)?;
    let attached = attest::attachments(path, &seen.digest)?;
    seen.attached = attached.into_iter().map(listed).collect();
    Ok(seen)
}

fn listed(attachment: Attachment) -> Attached {
    attached(attachment.media_type, attachment.file, &attachment.bytes)
}

/// A document about a component, read for its line.
pub(crate) fn attached(media_type: &'static str, place: PathBuf, bytes: &[u8]) -> Attached {
    let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let components = json.get("components").and_then(Value::as_array);
    Attached {
        media_type,
        place,
        dependencies: components.map(Vec::len),
    }
}

/// Shows the bytes of a component that came from anywhere; `origin` names them.
pub(crate) fn seen(bytes: &[u8], origin: &Path) -> Result<Inspection, LoadError> {
    let look = pack::look(bytes, &origin.display().to_string())?;
    let said: Value = serde_json::from_str(&look.description_text).unwrap_or_default();
    let word = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let size = |name: &str| {
        look.assets
            .get(name)
            .map_or(0, |content| content.len() as u64)
    };
    Ok(Inspection {
        file: origin.to_owned(),
        digest: look.digest,
        bytes: bytes.len() as u64,
        package: word("package"),
        version: word("version"),
        summary: look.description.summary.clone(),
        roles: look.roles,
        parameters: look.description.parameters,
        volatile: look.description.volatile,
        internet: look.description.internet,
        families: look.description.families,
        assets: look
            .assets
            .names()
            .map(|name| Asset {
                name: name.to_owned(),
                bytes: size(name),
            })
            .collect(),
        metadata: look.metadata,
        contract: look.contract,
        imports: look.imports,
        attached: Vec::new(),
        signatures: Vec::new(),
        trust: None,
    })
}

/// Examines a component; `cache` is the folder of compiled code that builds use too. It
/// blocks.
pub(crate) fn check(path: &Path, cache: Option<PathBuf>) -> Result<Examined, InspectError> {
    let bytes = read(path)?;
    let runtime = Runtime::new(Config {
        cwasm_cache: cache,
        ..Config::default()
    })?;
    let findings = examine(&runtime, &bytes, &path.display().to_string());
    Ok(Examined {
        file: path.to_owned(),
        same: findings
            .iter()
            .all(|finding| finding.level == Level::Advice),
        findings,
    })
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
