//! Which process's hold on a run is the newest: a number that each session raises in the
//! journal, and a mark that tells apart two that raised it to the same.
//!
//! On one state folder the lock lets only one process drive a run. Two folders, of which
//! one is a copy of the other, have a lock each: there the world compares epochs, which
//! it writes on what the run has made. Nothing here decides or compares anything else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One session's hold on a run, such as `2.k3j9aq`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch {
    /// How many sessions the run has had, by its journal: 1 when it was begun.
    pub number: u32,
    /// Random: sessions on two copies of a journal have the same number.
    mark: String,
}

/// The text isn't an epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an epoch: expected a number, a dot and a mark, as in 2.k3j9aq")]
pub struct EpochError(String);

/// Base32 as in RFC 4648, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Letters of a mark. Two of them are the same once in a billion.
const LETTERS: usize = 6;

impl Epoch {
    /// A new session's, with a mark of its own.
    pub(crate) fn new(number: u32) -> Self {
        let random = *uuid::Uuid::new_v4().as_bytes();
        let letters = random.iter().take(LETTERS);
        let mark = letters.map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        Self {
            number,
            mark: mark.collect(),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.number, self.mark)
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let parsed = text.split_once('.').and_then(|(number, mark)| {
            let fits = mark.len() == LETTERS && mark.bytes().all(|one| ALPHABET.contains(&one));
            let number = number.parse().ok().filter(|_| fits)?;
            Some(Self {
                number,
                mark: mark.to_owned(),
            })
        });
        parsed.ok_or_else(|| EpochError(text.to_owned()))
    }
}

impl TryFrom<String> for Epoch {
    type Error = EpochError;

    fn try_from(text: String) -> Result<Self, EpochError> {
        text.parse()
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_number_and_a_mark() {
        let (one, other) = (Epoch::new(2), Epoch::new(2));
        assert_ne!(one, other);
        assert_eq!(one.number, other.number);
        assert_eq!(one.to_string().parse::<Epoch>().unwrap(), one);
        for text in [
            "",
            "2",
            "2.",
            "x.abcdef",
            "2.ABCDEF",
            "2.abcde",
            "-1.abcdef",
        ] {
            assert!(text.parse::<Epoch>().is_err(), "{text}");
        }
    }
}
