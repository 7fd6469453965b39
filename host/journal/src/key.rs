//! Keys: the paths under which effects are journaled, and what is derived from them.
//!
//! The forms are promises to every journal ever written and to every token ever sent:
//! they must never change.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::RunId;

/// Names an undo entry of a run. It can be kept in a stage's record and used in a
/// later stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UndoKey(pub(crate) String);

impl UndoKey {
    /// The key of the operation that the entry undoes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UndoKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The namespace of all tokens: a random UUID, fixed for ever.
const TOKENS: Uuid = Uuid::from_u128(0x6a0d_98c4_52f1_4c1e_9b0e_37d1_c2a8_f405);

/// The token of the operation at `key`: the same in every process that attempts it.
pub(crate) fn token(run: &RunId, key: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::new_v5(&TOKENS, run.as_str().as_bytes()),
        key.as_bytes(),
    )
}

/// A name as one segment of a path. The characters that paths are made of are
/// written as `%` and two hex digits, so that no two names give one path.
pub(crate) fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '/' => text.push_str("%2f"),
            '#' => text.push_str("%23"),
            '%' => text.push_str("%25"),
            other => text.push(other),
        }
    }
    if text.is_empty() { "%".into() } else { text }
}

/// The `count`th (from 1) of the segments with one name: `name`, `name#2`, …
pub(crate) fn numbered(segment: String, count: u32) -> String {
    if count == 1 {
        segment
    } else {
        format!("{segment}#{count}")
    }
}

/// The key under which an undo entry is performed by an unwind.
pub(crate) fn unwinding(key: &str) -> String {
    format!("{key}#undo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_key_never_changes() {
        let run: RunId = "261122-160402-baaaaa".parse().unwrap();
        assert_eq!(
            token(&run, "distribute/cn-beijing/3").to_string(),
            "3b641a18-cbf6-504b-b68f-71ac54ec6124"
        );
        assert_ne!(
            token(&run, "distribute/cn-beijing/3"),
            token(&run, "distribute/cn-beijing/4")
        );
    }

    #[test]
    fn no_two_names_share_a_path() {
        let names = ["", "%", "a/b", "a", "a#2", "%2f", "a%2fb"];
        let mut segments: Vec<_> = names.iter().map(|name| segment(name)).collect();
        segments.push(numbered(segment("a"), 2));
        let all = segments.len();
        segments.sort();
        segments.dedup();
        assert_eq!(segments.len(), all);
        assert!(segments.iter().all(|segment| !segment.contains('/')));
    }
}
