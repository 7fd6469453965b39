//! A step: one script, file or reboot that a component asked for, as declared and
//! refined.
//!
//! Steps are journaled, so their serialized form is a boundary: fields may be added
//! with a default, none may change.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::expectations::Expectations;

/// What a script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// The POSIX shell, or what a first line `#!…` names.
    Sh,
    /// Windows PowerShell.
    #[serde(rename = "powershell")]
    PowerShell,
    /// The Windows command processor.
    Cmd,
}

/// What a written file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// This text as UTF-8.
    Text(String),
    /// These bytes; base64 in serialized form.
    Bytes(#[serde(serialize_with = "to_base64", deserialize_with = "from_base64")] Vec<u8>),
    /// A file or folder of the component's package, by its path there.
    Asset(String),
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StepKind {
    /// Run a script.
    Shell {
        /// What it is written in.
        language: Language,
        /// The script as the component gave it.
        script: String,
    },
    /// Write a file of the host's to the machine.
    Write {
        /// An absolute path.
        path: String,
        /// What it holds.
        content: FileContent,
    },
    /// Let the machine fetch a file.
    Download {
        /// An absolute path.
        path: String,
        /// An `https:`, `http:` or `oss:` address.
        address: String,
        /// The lower-case hexadecimal digest that the content must have.
        sha256: String,
    },
    /// Keep a file of the machine with the run.
    Collect {
        /// An absolute path.
        path: String,
        /// The bytes that it may have at most.
        limit: u64,
    },
    /// Reboot the machine.
    Reboot,
}

impl StepKind {
    /// The kind in words, for errors: `a script`.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "a script",
            Self::Write { .. } => "a file",
            Self::Download { .. } => "a download",
            Self::Collect { .. } => "a collected file",
            Self::Reboot => "a reboot",
        }
    }
}

/// One step as declared and refined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its number in the call, from 0.
    pub ordinal: u32,
    /// Its name for people; not unique.
    pub name: String,
    /// What is to be done.
    #[serde(flatten)]
    pub kind: StepKind,
    /// Seconds until one attempt is stopped and has failed.
    pub timeout_seconds: u32,
    /// How often it is tried until it succeeds.
    pub attempts: u32,
    /// Whether the component goes on when it fails.
    pub tolerate: bool,
    /// The user that a script runs as; `None` is `root` (`System` on Windows).
    pub run_as: Option<String>,
    /// The working directory of a script; `None` is the user's home.
    pub directory: Option<String>,
    /// Arguments of a script, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Environment variables of a script, in the order of their first mention, each
    /// name once.
    pub environment: Vec<(String, String)>,
    /// Permission bits of a file; `None` is 0644.
    pub mode: Option<u32>,
    /// `user` or `user:group` of a file; `None` is `root`.
    pub owner: Option<String>,
    /// What must hold for a script to have succeeded.
    pub expectations: Expectations,
}

impl Step {
    /// Seconds for one attempt unless the component says otherwise.
    pub const DEFAULT_TIMEOUT: u32 = 600;

    /// A step as it is right after its declaration.
    pub fn new(ordinal: u32, name: impl Into<String>, kind: StepKind) -> Self {
        Self {
            ordinal,
            name: name.into(),
            kind,
            timeout_seconds: Self::DEFAULT_TIMEOUT,
            attempts: 1,
            tolerate: false,
            run_as: None,
            directory: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            mode: None,
            owner: None,
            expectations: Expectations::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of the first release must read for ever.
    #[test]
    fn the_serialized_form_stays() {
        let mut step = Step::new(
            3,
            "page",
            StepKind::Write {
                path: "/a".into(),
                content: FileContent::Bytes(vec![0, 255]),
            },
        );
        step.mode = Some(0o755);
        step.environment.push(("A".into(), "b".into()));
        let text = r#"{"ordinal":3,"name":"page","kind":"write","path":"/a","content":{"bytes":"AP8="},"timeout_seconds":600,"attempts":1,"tolerate":false,"run_as":null,"directory":null,"environment":[["A","b"]],"mode":493,"owner":null,"expectations":{"exit_codes":[0],"contains":[],"lacks":[],"matches":[]}}"#;
        assert_eq!(serde_json::to_string(&step).unwrap(), text);
        assert_eq!(serde_json::from_str::<Step>(text).unwrap(), step);
    }
}
