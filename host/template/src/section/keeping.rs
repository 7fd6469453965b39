//! `on-test-failure`, `retain` and `rebuild`: what is kept, and when nothing is built.

use std::time::Duration;

use crate::keys;
use crate::read::Reader;
use crate::resolved::{OnTestFailure, Rebuild, Retain};
use crate::yaml::Node;

/// The most images that can be asked to be kept: an account holds no more.
pub(crate) const MOST_KEPT: u32 = 1000;

/// The longest age, in seconds: ten years of 365 days, above which a slip is likelier
/// than a wish.
const LONGEST_AGE: u64 = 10 * 365 * 86_400;

/// The units of a duration, in seconds.
const UNITS: [(&str, u64); 5] = [
    ("s", 1),
    ("m", 60),
    ("h", 3600),
    ("d", 86_400),
    ("w", 7 * 86_400),
];

/// The words of `on-test-failure`.
pub(crate) const ON_TEST_FAILURE: [(&str, OnTestFailure); 2] = [
    ("keep", OnTestFailure::Keep),
    ("delete", OnTestFailure::Delete),
];

pub(crate) fn on_test_failure(reader: &Reader, node: &Node) -> Option<OnTestFailure> {
    let text = reader.text(node, "on-test-failure")?;
    reader.word(&text, "on-test-failure", &ON_TEST_FAILURE)
}

pub(crate) fn retain(reader: &Reader, node: &Node) -> Option<Retain> {
    let fields = reader.fields(node, "retain", &keys::RETAIN)?;
    let Some(keep) = fields.get("keep") else {
        if fields.keys().next().is_none() {
            let mistake = reader.mistake(node.span, "`retain` doesn't say what to keep");
            reader.note(mistake.help("write `retain: { keep: 3 }`"));
        }
        return None;
    };
    let keep = reader.integer(keep, "retain.keep", 1, MOST_KEPT, " images")?;
    Some(Retain { keep: keep.value })
}

pub(crate) fn rebuild(reader: &Reader, node: &Node) -> Option<Rebuild> {
    let fields = reader.fields(node, "rebuild", &keys::REBUILD)?;
    let Some(age) = fields.get("max-age") else {
        if fields.keys().next().is_none() {
            let mistake = reader.mistake(node.span, "`rebuild` has no `max-age`");
            reader.note(mistake.help("write `rebuild: { max-age: 7d }`, or remove it"));
        }
        return None;
    };
    let text = reader.text(age, "rebuild.max-age")?;
    match duration(&text) {
        Ok(max_age) => Some(Rebuild { max_age }),
        Err(help) => {
            let message = format!("`{text}` can't be a duration");
            let mistake = reader.mistake(text.span, message);
            reader.note(mistake.label("not valid").help(help));
            None
        }
    }
}

/// What a duration looks like.
pub(crate) const DURATION_PATTERN: &str = "^([0-9]+[smhdw])+$";

/// `90s`, `30m`, `12h`, `7d`, `2w`, and sums such as `1d12h`.
fn duration(text: &str) -> Result<Duration, String> {
    let spelling = || {
        "write a number and one of `s`, `m`, `h`, `d` and `w` (seconds to weeks): `7d` or `1d12h`"
            .to_owned()
    };
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let (_, unit) = UNITS
            .iter()
            .find(|(unit, _)| after.starts_with(unit))
            .ok_or_else(spelling)?;
        if number.is_empty() {
            return Err(spelling());
        }
        let number: u64 = number.parse().unwrap_or(u64::MAX);
        seconds = seconds.saturating_add(number.saturating_mul(*unit));
        rest = &after[1..];
    }
    if text.is_empty() {
        return Err(spelling());
    }
    if seconds == 0 {
        return Err(
            "it must be more than nothing; to build each time, give `--refresh`".to_owned(),
        );
    }
    if seconds > LONGEST_AGE {
        return Err("it must be ten years or less".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |text: &str| duration(text).map(|found| found.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("7d"), Ok(7 * 86_400));
        assert_eq!(seconds("1d12h"), Ok(36 * 3600));
        assert_eq!(seconds("2w"), Ok(14 * 86_400));
        for bad in [
            "",
            "7",
            "d",
            "7 d",
            "7D",
            "-7d",
            "1.5d",
            "7days",
            "0s",
            "0d0h",
            "9999w",
            "99999999999999999999w",
            "1y",
            "7d ",
            "é",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
