//! One recorded call of the interface `steps`, and the transcript that the next
//! call of the role is compared with.
//!
//! Transcripts are kept and compared, never executed: what is to be done stands in
//! the steps. So long texts and bytes are kept as their beginning, size and digest.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::sha256;

/// Texts up to this many bytes are kept whole.
const KEPT: usize = 1024;
/// Characters of a text that an error shows.
const SHOWN: usize = 120;

/// A call as the component made it: `environment(1, "LC_ALL", "C")`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The function as the WIT names it: `run-as`.
    pub function: String,
    /// The arguments in order. A text or bytes of more than 1 KiB are an object of
    /// `start`, `bytes` and `sha256`.
    pub arguments: Vec<Value>,
}

impl Call {
    /// A call of this function with these arguments (see [`text`] and [`bytes`]).
    pub(crate) fn new(function: &str, arguments: impl Into<Vec<Value>>) -> Self {
        Self {
            function: function.into(),
            arguments: arguments.into(),
        }
    }
}

/// A text as an argument.
pub(crate) fn text(text: &str) -> Value {
    if text.len() <= KEPT {
        Value::from(text)
    } else {
        let start: String = text.chars().take(SHOWN).collect();
        json!({ "start": start, "bytes": text.len(), "sha256": sha256(text.as_bytes()) })
    }
}

/// Bytes as an argument.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    json!({ "start": "", "bytes": bytes.len(), "sha256": sha256(bytes) })
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function)?;
        for (i, argument) in self.arguments.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            show(argument, f)?;
        }
        f.write_str(")")
    }
}

fn show(argument: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match argument {
        Value::String(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            write!(f, "{}…", Value::from(start))
        }
        Value::Object(long) => {
            let start = long.get("start").and_then(Value::as_str).unwrap_or("");
            if !start.is_empty() {
                write!(f, "{}… ", Value::from(start))?;
            }
            let size = long.get("bytes").and_then(Value::as_u64).unwrap_or(0);
            let digest = long.get("sha256").and_then(Value::as_str).unwrap_or("");
            write!(
                f,
                "<{size} bytes, sha256 {}>",
                digest.get(..12).unwrap_or(digest)
            )
        }
        other => write!(f, "{other}"),
    }
}

/// All calls of the interface `steps` in one call of a role, in order. That of a
/// suspended call ends with the question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transcript(pub Vec<Call>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_like_a_call() {
        let call = Call::new("environment", [1.into(), text("LC_ALL"), text("a\"b\n")]);
        assert_eq!(call.to_string(), r#"environment(1, "LC_ALL", "a\"b\n")"#);
    }

    #[test]
    fn long_texts_are_kept_as_digests_and_still_tell_apart() {
        let one = Call::new("shell", [text("a"), text(&"x".repeat(5000))]);
        let mut other = "x".repeat(4999);
        other.push('y');
        let two = Call::new("shell", [text("a"), text(&other)]);
        assert_ne!(one, two);
        let shown = one.to_string();
        assert!(shown.contains("… <5000 bytes, sha256 "), "{shown}");
        assert!(shown.len() < 300, "{shown}");
        let back: Call = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(back, one);
    }
}
