//! Markers: what stands for a secret wherever its value must not.
//!
//! `template` puts a marker in the place of `${{ secrets.x }}`, components pass it on
//! as they pass on any text, a [`Session`](crate::Session) sees to it that it gets
//! nowhere but into a value of `environment` or the text of `write`, and `engine`
//! replaces it by the value at the last moment, in memory. So a journal, a plan or a
//! transcript can only ever hold the marker.
//!
//! This file knows names, never values; it keeps nothing and must not be taught to
//! look a value up.

use std::collections::BTreeSet;

use crate::digest::sha256;

/// How a marker begins.
const OPENING: &str = "<<darkroom-secret:";
/// How it ends.
const CLOSING: &str = ">>";
/// What is hashed before the name, so that the digits are no plain digest of it.
const PREFIX: &str = "darkroom secret marker 1:";
/// Hexadecimal digits of a marker. They are there against accidents: a text that
/// speaks of markers, like this one, is none.
const DIGITS: usize = 16;
/// The length that a secret's name may have.
const NAME_BYTES: usize = 64;

/// The text that stands for a secret: `<<darkroom-secret:NAME:0123456789abcdef>>`.
///
/// It is no proof of anything: whoever knows the name can write the marker. A session
/// therefore lets a component use only those that its own arguments hold.
#[derive(Debug, Clone, Copy)]
pub enum Marker {}

/// A text holds the marker of a secret that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret {0:?}")]
pub struct UnknownSecret(
    /// The name.
    pub String,
);

impl Marker {
    /// The marker of the secret of this name.
    pub fn of(name: &str) -> String {
        format!("{OPENING}{name}:{}{CLOSING}", digits(name))
    }

    /// Whether this can be the name of a secret: `[a-z][a-z0-9-]*`, at most 64 bytes.
    pub fn is_name(name: &str) -> bool {
        name.len() <= NAME_BYTES
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }

    /// The names of the secrets whose markers the text holds, each once, sorted.
    pub fn find(text: &str) -> Vec<String> {
        let names: BTreeSet<_> = Pieces(text)
            .filter_map(|piece| match piece {
                Piece::Marker(name) => Some(name.to_owned()),
                Piece::Text(_) => None,
            })
            .collect();
        names.into_iter().collect()
    }

    /// The text with each marker replaced by what `lookup` answers. What a value
    /// itself holds is not looked at again.
    ///
    /// # Errors
    /// The first name that `lookup` does not know.
    pub fn fill<T: AsRef<str>>(
        text: &str,
        mut lookup: impl FnMut(&str) -> Option<T>,
    ) -> Result<String, UnknownSecret> {
        let mut filled = String::with_capacity(text.len());
        for piece in Pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Marker(name) => {
                    let value = lookup(name).ok_or_else(|| UnknownSecret(name.to_owned()))?;
                    filled.push_str(value.as_ref());
                }
            }
        }
        Ok(filled)
    }
}

fn digits(name: &str) -> String {
    let mut digest = sha256(format!("{PREFIX}{name}").as_bytes());
    digest.truncate(DIGITS);
    digest
}

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Marker(&'a str),
}

/// The parts of a text, in order; their texts together are the text.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        if let Some((name, length)) = marker_at_start(text) {
            self.0 = text.get(length..).unwrap_or_default();
            return Some(Piece::Marker(name));
        }
        // From the second character on, so that an opening that opens nothing is passed.
        let from = text.chars().next().map_or(0, char::len_utf8);
        let next = text
            .match_indices(OPENING)
            .map(|(at, _)| at)
            .find(|at| {
                *at >= from
                    && text
                        .get(*at..)
                        .is_some_and(|at| marker_at_start(at).is_some())
            })
            .unwrap_or(text.len());
        let (before, rest) = text.split_at(next);
        self.0 = rest;
        Some(Piece::Text(before))
    }
}

/// The name and the length in bytes of the marker that the text begins with.
fn marker_at_start(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix(OPENING)?;
    let longest = NAME_BYTES + 1;
    let colon = rest.bytes().take(longest).position(|byte| byte == b':')?;
    let name = rest.get(..colon).filter(|name| Marker::is_name(name))?;
    let marker = Marker::of(name);
    text.starts_with(&marker).then_some((name, marker.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_stays() {
        assert_eq!(
            Marker::of("db-password"),
            "<<darkroom-secret:db-password:6611386510579e04>>"
        );
    }

    #[test]
    fn markers_are_found_and_filled_wherever_they_stand() {
        let (a, b) = (Marker::of("a"), Marker::of("b2-c"));
        let text = format!("é<<{a}{b}<<darkroom-secret:x:0123456789abcdef>>镜 {a}");
        assert_eq!(Marker::find(&text), ["a", "b2-c"]);
        // A value that looks like a marker is not filled again.
        let filled = Marker::fill(&text, |name| {
            Some(if name == "a" { b.clone() } else { "B".into() })
        });
        assert_eq!(
            filled.unwrap(),
            format!("é<<{b}B<<darkroom-secret:x:0123456789abcdef>>镜 {b}")
        );
        assert_eq!(
            Marker::fill(&text, |name| (name == "a").then_some("A")),
            Err(UnknownSecret("b2-c".into()))
        );
    }

    #[test]
    fn what_is_not_quite_a_marker_is_text() {
        let marker = Marker::of("a");
        for text in [
            String::new(),
            OPENING.into(),
            marker.replace(":a:", ":b:"),
            marker[..marker.len() - 1].into(),
            OPENING.repeat(1000),
            Marker::of("A"),
            Marker::of(""),
        ] {
            assert_eq!(Marker::find(&text), [""; 0], "{text}");
            assert_eq!(Marker::fill(&text, |_| None::<&str>).unwrap(), text);
        }
    }

    #[test]
    fn names() {
        for good in ["a", "db-password", "a1"] {
            assert!(Marker::is_name(good), "{good}");
        }
        for bad in ["", "A", "1a", "-a", "a_b", "a:b", &"a".repeat(65)] {
            assert!(!Marker::is_name(bad), "{bad}");
        }
    }
}
