//! What must hold for a script to have succeeded, and whether it did.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The size that a compiled pattern may have: a short text such as
/// `(a{1000}){1000}` would otherwise fill the memory.
const PATTERN_SIZE: usize = 4 << 20;

/// What a script's exit code and whole output must be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// The exit code is one of these.
    pub exit_codes: Vec<i32>,
    /// The output contains each of these.
    pub contains: Vec<String>,
    /// The output contains none of these.
    pub lacks: Vec<String>,
    /// The output matches each of these patterns, unanchored.
    pub matches: Vec<String>,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            exit_codes: vec![0],
            contains: Vec::new(),
            lacks: Vec::new(),
            matches: Vec::new(),
        }
    }
}

/// An expectation that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmet {
    /// Another exit code.
    ExitCode {
        /// What it was; `None` where there was none.
        was: Option<i32>,
        /// What was allowed.
        expected: Vec<i32>,
    },
    /// A text that is not in the output.
    Contains(String),
    /// A text that is in the output.
    Lacks(String),
    /// A pattern that does not match.
    Matches(String),
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitCode { was: None, .. } => f.write_str("it has no exit code"),
            Self::ExitCode {
                was: Some(was),
                expected,
            } => match expected.as_slice() {
                [0] => write!(f, "it exited with {was}"),
                [one] => write!(f, "it exited with {was}, not with {one}"),
                many => write!(f, "it exited with {was}, not with one of {many:?}"),
            },
            Self::Contains(text) => write!(f, "its output does not contain {text:?}"),
            Self::Lacks(text) => write!(f, "its output contains {text:?}"),
            Self::Matches(pattern) => write!(f, "its output does not match /{pattern}/"),
        }
    }
}

impl Expectations {
    /// What did not hold for this exit code and the whole output; empty when all did.
    ///
    /// A pattern that can't be compiled counts as one that does not match; sessions
    /// refuse such patterns when they are declared.
    pub fn unmet(&self, exit_code: Option<i32>, output: &[u8]) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        if !exit_code.is_some_and(|code| self.exit_codes.contains(&code)) {
            unmet.push(Unmet::ExitCode {
                was: exit_code,
                expected: self.exit_codes.clone(),
            });
        }
        for text in &self.contains {
            if !contains(output, text) {
                unmet.push(Unmet::Contains(text.clone()));
            }
        }
        for text in &self.lacks {
            if contains(output, text) {
                unmet.push(Unmet::Lacks(text.clone()));
            }
        }
        for pattern in &self.matches {
            if !compile(pattern).is_ok_and(|regex| regex.is_match(output)) {
                unmet.push(Unmet::Matches(pattern.clone()));
            }
        }
        unmet
    }

    /// Whether the output is looked at at all.
    pub fn look_at_output(&self) -> bool {
        !(self.contains.is_empty() && self.lacks.is_empty() && self.matches.is_empty())
    }
}

/// Compiles a pattern; matching takes time linear in the output.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build()
}

/// A literal pattern searches in linear time, which comparing windows does not.
fn contains(output: &[u8], text: &str) -> bool {
    RegexBuilder::new(&regex::escape(text))
        .size_limit(usize::MAX)
        .build()
        .is_ok_and(|regex| regex.is_match(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_did_not_hold_is_named() {
        let expectations = Expectations {
            exit_codes: vec![0, 2],
            contains: vec!["ready".into(), "(x".into()],
            lacks: vec!["error".into()],
            matches: vec![r"^v\d+\.".into(), r"(?m)^v\d+\.".into()],
        };
        let output = b"one error\nv12.1 ready \xff\n";
        let words: Vec<_> = expectations
            .unmet(Some(1), output)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            words,
            [
                "it exited with 1, not with one of [0, 2]",
                "its output does not contain \"(x\"",
                "its output contains \"error\"",
                r"its output does not match /^v\d+\./",
            ]
        );
        assert!(Expectations::default().unmet(Some(0), output).is_empty());
        assert_eq!(
            Expectations::default().unmet(None, b"")[0].to_string(),
            "it has no exit code"
        );
    }

    #[test]
    fn a_pattern_that_explodes_is_refused() {
        assert!(compile("((a{100}){100}){100}").is_err());
    }
}
