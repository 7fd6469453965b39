//! Keeps the values of secrets out of texts that are kept or shown: each one found is
//! replaced by `***`.
//!
//! A command may print what it was given. What it printed is masked before it is
//! journaled, logged, shown or handed to a component, wherever a chunk of it happens to
//! be cut. This file looks for the values and for their forms that cost nothing to know
//! (lines, base64, URL, JSON, quoted for the shell); against a command that is out to
//! betray its secret, nothing helps.

use std::io::{self, Read, Write};

use aho_corasick::{AhoCorasick, Input, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::carry::wrap::escape;

/// What stands for a value.
const MASK: &[u8] = b"***";

/// Shorter values would be found everywhere, and hide nothing.
pub const SHORTEST: usize = 4;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Finds the values of a run's secrets.
#[derive(Clone, Default)]
pub struct Masker {
    /// None where there is nothing to find.
    finder: Option<AhoCorasick>,
    forms: Vec<Vec<u8>>,
    longest: usize,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masker({} forms)", self.forms.len())
    }
}

impl Masker {
    /// Of these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<Vec<u8>> = values.into_iter().flat_map(forms).collect();
        // Longest first, for whoever tries them one by one.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let finder = (!forms.is_empty())
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(&forms)
                    .ok()
            })
            .flatten();
        Self {
            longest: forms.first().map_or(0, Vec::len),
            finder,
            forms,
        }
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// The forms that stand on one line, longest first.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let forms = self.forms.iter().map(Vec::as_slice);
        forms.filter(|form| !form.contains(&b'\n'))
    }

    /// A whole text, masked.
    pub fn text(&self, text: &str) -> String {
        match &self.finder {
            None => text.to_owned(),
            Some(_) => String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned(),
        }
    }

    /// Whole bytes, masked.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(bytes.len());
        self.pass(bytes, bytes.len(), &mut masked);
        masked
    }

    /// The end of something longer, whose beginning was cut off: what it begins with may
    /// be the end of a value.
    pub fn tail(&self, bytes: &[u8]) -> Vec<u8> {
        let ends = |form: &Vec<u8>| {
            (SHORTEST..form.len().min(bytes.len() + 1))
                .rev()
                .find(|length| bytes.starts_with(&form[form.len() - length..]))
        };
        match self.forms.iter().filter_map(ends).max() {
            None => self.bytes(bytes),
            Some(cut) => [MASK, &self.bytes(&bytes[cut..])].concat(),
        }
    }

    /// Something that still grows, masked and without what may become a value.
    pub fn growing(&self, bytes: &[u8]) -> Vec<u8> {
        let begins = |form: &Vec<u8>| {
            let most = form.len().saturating_sub(1).min(bytes.len());
            (1..=most)
                .rev()
                .find(|length| bytes.ends_with(&form[..*length]))
        };
        let held = self.forms.iter().filter_map(begins).max().unwrap_or(0);
        self.tail(&bytes[..bytes.len() - held])
    }

    /// Copies everything, masked.
    ///
    /// # Errors
    /// When one side can't be read or the other can't be written.
    pub fn copy(&self, mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
        let mut held: Vec<u8> = Vec::new();
        let mut chunk = vec![0; CHUNK];
        let mut masked = Vec::new();
        loop {
            let read = from.read(&mut chunk)?;
            held.extend_from_slice(&chunk[..read]);
            // A value that begins before `safe` is in `held` to its end.
            let safe = match read {
                0 => held.len(),
                _ => (held.len() + 1).saturating_sub(self.longest.max(1)),
            };
            let passed = self.pass(&held, safe, &mut masked);
            to.write_all(&masked)?;
            masked.clear();
            held.drain(..passed);
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Masks what begins before `safe`; how many bytes that were.
    fn pass(&self, bytes: &[u8], safe: usize, masked: &mut Vec<u8>) -> usize {
        let mut at = 0;
        if let Some(finder) = &self.finder {
            while let Some(found) = finder.find(Input::new(bytes).range(at..)) {
                if found.start() >= safe {
                    break;
                }
                masked.extend_from_slice(&bytes[at..found.start()]);
                masked.extend_from_slice(MASK);
                at = found.end();
            }
        }
        if at < safe {
            masked.extend_from_slice(&bytes[at..safe]);
            at = safe;
        }
        at
    }
}

/// The value as it may stand in an output.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = vec![value.into(), value.trim().into()];
    // A file is printed line by line, and indented.
    forms.extend(value.lines().map(|line| line.trim().into()));
    for text in [value, value.trim_end_matches('\n')] {
        forms.push(escape(text).into());
        let json = serde_json::Value::from(text).to_string();
        forms.push(json.trim_matches('"').into());
        forms.push(url(text).into());
        // Three bytes are four digits; what an end that isn't whole becomes depends on
        // what follows it.
        let whole = text.len() - text.len() % 3;
        forms.push(STANDARD.encode(&text.as_bytes()[..whole]).into());
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Percent-encoded, as in the query of an address.
fn url(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _: std::fmt::Result = write!(url, "%{byte:02X}");
        }
        url
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            let (now, rest) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = rest;
            Ok(length)
        }
    }

    #[test]
    fn values_are_masked_wherever_a_chunk_ends() {
        let masker = Masker::new(["hunter2", "hunter2-long", "per\"ce nt", "two\nlines"]);
        let text = b"a hunter2-long b hunter2hunter2 huntez c \"per\\\"ce nt\" per%22ce%20nt \
                     aHVudGVyMg== two\nlines two lines hunter2-lon";
        let wanted = "a *** b ****** huntez c \"***\" *** ***Mg== *** two *** ***-lon";
        assert_eq!(String::from_utf8_lossy(&masker.bytes(text)), wanted);
        for length in 1..40 {
            let mut out = Vec::new();
            masker.copy(Drip(text, length), &mut out).unwrap();
            assert_eq!(String::from_utf8_lossy(&out), wanted, "{length}");
        }
    }

    #[test]
    fn halves_of_values_are_masked_at_both_ends() {
        let masker = Masker::new(["correct-horse"]);
        let shown = |text: &str| String::from_utf8(masker.growing(text.as_bytes())).unwrap();
        assert_eq!(shown("t-horse and correct-h"), "*** and ");
        assert_eq!(shown("correct-horse"), "***");
        assert_eq!(shown("rse c"), "rse ");
        let tail = |text: &str| String::from_utf8(masker.tail(text.as_bytes())).unwrap();
        assert_eq!(tail("orrect-horse correct-horse c"), "*** *** c");
    }

    #[test]
    fn short_values_and_none_change_nothing() {
        for masker in [Masker::default(), Masker::new(["abc", ""])] {
            assert_eq!(masker.text("abc é"), "abc é");
            assert_eq!(masker.growing(b"abc"), b"abc");
            let mut out = Vec::new();
            masker.copy(&b"abc"[..], &mut out).unwrap();
            assert_eq!(out, b"abc");
        }
    }
}
