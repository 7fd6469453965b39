//! The name of a run: when it began and a few random characters.
//!
//! It is the tag on everything a run creates and the word people type, so it is
//! short, sorts by time, and is checked where it enters.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A run's name: `yymmdd-hhmmss-xxxxxx`, in UTC, then six base32 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The text isn't a run's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run: expected yymmdd-hhmmss-xxxxxx, as in 261122-160402-k3x7qa")]
pub struct RunIdError(String);

/// Base32 as in RFC 4648, in lower case: nothing that must be quoted anywhere.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl RunId {
    /// A name for a run that begins `now`. The caller brings the randomness; 30 of
    /// its 32 bits are used.
    pub fn new(now: Timestamp, random: [u8; 4]) -> Self {
        let time = now.to_zoned(TimeZone::UTC).strftime("%y%m%d-%H%M%S");
        let bits = u32::from_be_bytes(random);
        let suffix: String = (0..6)
            .map(|place| char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]))
            .collect();
        Self(format!("{time}-{suffix}"))
    }

    /// When the run was begun, to the second; none where its name has no such time.
    pub fn begun(&self) -> Option<Timestamp> {
        let time = jiff::civil::DateTime::strptime("%y%m%d-%H%M%S", self.0.get(..13)?).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name begins with what a person typed.
    pub fn matches(&self, prefix: &str) -> bool {
        !prefix.is_empty() && self.0.starts_with(prefix)
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let fits = text.len() == 20
            && text.bytes().enumerate().all(|(place, byte)| match place {
                6 | 13 => byte == b'-',
                14.. => ALPHABET.contains(&byte),
                _ => byte.is_ascii_digit(),
            });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(RunIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_time_and_chance() {
        let now: Timestamp = "2026-11-22T18:04:02+02:00".parse().unwrap();
        let run = RunId::new(now, [0, 0, 0, 1]);
        assert_eq!(run.as_str(), "261122-160402-baaaaa");
        assert_eq!(run.as_str().parse::<RunId>().unwrap(), run);
        assert_eq!(run.begun(), Some(now));
        assert_ne!(run, RunId::new(now, [0x3f, 0, 0, 1]));
        assert!(run.matches("2611") && !run.matches("") && !run.matches("27"));
    }

    #[test]
    fn other_text_is_refused_with_an_example() {
        for text in [
            "",
            "last",
            "261122-160402-BAAAAA",
            "261122-160402-baaaa1",
            "261122_160402-baaaaa",
            "261122-160402-baaaaa ",
        ] {
            let error = text.parse::<RunId>().unwrap_err();
            assert!(
                error.to_string().contains("yymmdd-hhmmss-xxxxxx"),
                "{error}"
            );
        }
    }
}
