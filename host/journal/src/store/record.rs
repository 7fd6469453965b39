//! What is written for an entry, an undo entry and a stage: structs of their own, each
//! with its version.
//!
//! They are promises to every journal ever written. A field may be added with a
//! default; anything else is a new version, read beside the old one. The types the
//! rest of the crate works with must not be serialized instead.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StoreError;
use crate::epoch::Epoch;
use crate::world::Class;

/// The newest version of each record here.
const VERSION: u32 = 1;

/// What was asked, written before it is attempted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    v: u32,
    /// When it was first asked.
    pub at: Timestamp,
    /// What is compared at replay: `{"run": …}`, `{"wait": …}`, `{"sleep": null}`, …
    pub what: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What was seen before the first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Value>,
    /// The end of a sleep, the deadline of a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whose first attempt it was, of what changes the world. Older journals don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    v: u32,
    /// When it was known.
    pub at: Timestamp,
    pub result: Answer,
}

/// The ways an entry can end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// An operation's value, a condition's answer, a signal's payload.
    Value(Value),
    /// A final failure.
    Failed(Value),
    /// A wait's deadline passed.
    TimedOut,
    /// The place of a race's winner in its list.
    Winner(usize),
}

/// How to undo an operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Undo {
    v: u32,
    /// When it was registered.
    pub at: Timestamp,
    pub operation: Value,
}

/// A finished stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stage {
    v: u32,
    /// When it was finished.
    pub at: Timestamp,
    pub result: Value,
}

impl Intent {
    pub(crate) fn new(at: Timestamp, what: Value) -> Self {
        Self {
            v: VERSION,
            at,
            what,
            class: None,
            witness: None,
            until: None,
            epoch: None,
        }
    }
}

impl Outcome {
    pub(crate) fn new(at: Timestamp, result: Answer) -> Self {
        Self {
            v: VERSION,
            at,
            result,
        }
    }
}

impl Undo {
    pub(crate) fn new(at: Timestamp, operation: Value) -> Self {
        Self {
            v: VERSION,
            at,
            operation,
        }
    }
}

impl Stage {
    pub(crate) fn new(at: Timestamp, result: Value) -> Self {
        Self {
            v: VERSION,
            at,
            result,
        }
    }
}

/// Reads a record; `subject` names it in the error.
pub(crate) fn read<T: DeserializeOwned>(text: &str, subject: &str) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let failed = |problem| StoreError::Record {
        subject: subject.into(),
        problem,
    };
    let Versioned { v } = serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
    if v > VERSION {
        return Err(failed(format!(
            "it has version {v}, and this version knows up to {VERSION}"
        )));
    }
    serde_json::from_str(text).map_err(|error| failed(error.to_string()))
}

/// Writes anything as JSON; `subject` names it in the error.
pub(crate) fn write(value: &impl Serialize, subject: &str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unwritable {
        subject: subject.into(),
        problem: error.to_string(),
    })
}

/// A value as it would be read back, so that what is compared at replay has gone the
/// same way on both sides.
pub(crate) fn normal(value: &impl Serialize, subject: &str) -> Result<Value, StoreError> {
    parse(&write(value, subject)?, subject)
}

/// Reads plain JSON.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, subject: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Record {
        subject: subject.into(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_later_version_is_named_and_refused() {
        let error = read::<Outcome>(r#"{"v":9,"at":"2026-11-22T16:04:02Z","news":1}"#, "build/3")
            .unwrap_err();
        assert!(
            error.to_string().contains("build/3") && error.to_string().contains("version 9"),
            "{error}"
        );
    }

    #[test]
    fn the_written_form_is_a_promise() {
        let at: Timestamp = "2026-11-22T16:04:02Z".parse().unwrap();
        let mut intent = Intent::new(at, serde_json::json!({"run": "x"}));
        intent.class = Some(Class::Witness);
        intent.witness = Some(Value::Bool(true));
        assert_eq!(
            write(&intent, "").unwrap(),
            r#"{"v":1,"at":"2026-11-22T16:04:02Z","what":{"run":"x"},"class":"witness","witness":true}"#
        );
        let outcomes: Vec<_> = [
            Answer::Value(Value::Null),
            Answer::Failed("no".into()),
            Answer::TimedOut,
            Answer::Winner(1),
        ]
        .map(|answer| write(&Outcome::new(at, answer).result, "").unwrap())
        .into();
        assert_eq!(
            outcomes,
            [
                r#"{"value":null}"#,
                r#"{"failed":"no"}"#,
                r#""timed-out""#,
                r#"{"winner":1}"#
            ]
        );
    }
}
