//! Names, tags and times as requests write them and answers show them.

use darkroom_ecs::action::{Tag, Tags};
use darkroom_ecs::error::ErrorCode;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::fault::Fault;
use crate::state::rows::RowTag;

const MOST_TAGS: usize = 20;

/// `yyyy-MM-ddTHH:mm:ssZ`.
pub(crate) fn seconds(moment: Timestamp) -> String {
    let moment = moment.to_zoned(TimeZone::UTC);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `yyyy-MM-ddTHH:mmZ`.
pub(crate) fn minutes(moment: Timestamp) -> String {
    let moment = moment.to_zoned(TimeZone::UTC);
    moment.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// A moment, or nothing.
pub(crate) fn maybe_seconds(moment: Option<Timestamp>) -> String {
    moment.map_or_else(String::new, seconds)
}

/// Reads either of the two forms.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let full = match text.strip_suffix('Z') {
        Some(rest) if rest.len() == 16 => format!("{rest}:00Z"),
        _ => text.to_owned(),
    };
    full.parse().ok()
}

/// A new id: the prefix and twenty letters and digits.
pub(crate) fn new_id<T: std::str::FromStr<Err: std::fmt::Debug> + Default>(prefix: &str) -> T {
    const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuv";
    let bytes = *uuid::Uuid::new_v4().as_bytes();
    let hash = blake3::hash(&bytes);
    let letters = hash.as_bytes().iter().take(20);
    let text: String = letters
        .filter_map(|byte| LETTERS.get(usize::from(byte & 31)))
        .map(|letter| char::from(*letter))
        .collect();
    format!("{prefix}{text}").parse().unwrap_or_default()
}

/// Checks a request's tags and makes them a row's.
pub(crate) fn row_tags(tags: &[Tag]) -> Result<Vec<RowTag>, Fault> {
    if tags.len() > MOST_TAGS {
        return Err(Fault::invalid("Tag", "there may be at most 20"));
    }
    let mut found: Vec<RowTag> = Vec::new();
    for tag in tags {
        check_tag(tag)?;
        if found.iter().any(|(key, _)| *key == tag.key) {
            return Err(Fault::bad(
                ErrorCode::DuplicateTagKey,
                "The Tag.N.Key contain duplicate key.",
            ));
        }
        found.push((tag.key.clone(), tag.value.clone()));
    }
    Ok(found)
}

fn check_tag(tag: &Tag) -> Result<(), Fault> {
    let reserved = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.starts_with("acs:")
            || text.starts_with("aliyun")
            || text.contains("http://")
            || text.contains("https://")
    };
    let key = tag.key.as_str();
    if key.is_empty() || key.chars().count() > 128 || reserved(key) {
        return Err(Fault::bad(
            ErrorCode::InvalidTagKeyMalformed,
            "The specified Tag.N.Key is not valid.",
        ));
    }
    if tag.value.chars().count() > 128 || tag.value.contains("http://") {
        return Err(Fault::bad(
            ErrorCode::InvalidTagValueMalformed,
            "The specified Tag.N.Value is not valid.",
        ));
    }
    Ok(())
}

/// Whether a row has all the tags asked for; one asked for without a value may have
/// any.
pub(crate) fn tagged(tags: &[RowTag], wanted: &[Tag]) -> bool {
    wanted.iter().all(|tag| {
        tags.iter()
            .any(|(key, value)| *key == tag.key && (tag.value.is_empty() || *value == tag.value))
    })
}

/// Tags as answers show them.
pub(crate) fn shown_tags(tags: &[RowTag]) -> Tags {
    tags.iter().cloned().collect()
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    let mut parts = pattern.split('*').peekable();
    if let Some(first) = parts.next() {
        let Some(after) = rest.strip_prefix(first) else {
            return false;
        };
        rest = after;
        if parts.peek().is_none() {
            return rest.is_empty();
        }
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Whether a text can be the name of something: 2 to 128 characters, a letter first.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.:[]{},".contains(letter);
    let lower = text.to_ascii_lowercase();
    (2..=128).contains(&text.chars().count())
        && text.starts_with(char::is_alphabetic)
        && text.chars().all(plain)
        && !lower.starts_with("aliyun")
        && !lower.starts_with("acs:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_both_forms() {
        let moment = parse_time("2026-03-04T05:06Z").unwrap();
        assert_eq!(minutes(moment), "2026-03-04T05:06Z");
        assert_eq!(seconds(moment), "2026-03-04T05:06:00Z");
        assert_eq!(
            parse_time("2026-03-04T05:06:07Z").map(seconds).unwrap(),
            "2026-03-04T05:06:07Z"
        );
        assert_eq!(parse_time("tomorrow"), None);
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("web*", "web1", true),
            ("*1", "web1", true),
            ("w*1", "web1", true),
            ("*e*", "web1", true),
            ("a*", "web1", false),
            ("*", "", true),
            ("w*b*", "wxb", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_and_tags_are_checked() {
        assert!(is_name("web-1.2_x:y") && is_name("网页"));
        for bad in ["w", "1web", "acs:x", "aliyun-x", "a b", ""] {
            assert!(!is_name(bad), "{bad}");
        }
        let tag = |key: &str| Tag {
            key: key.into(),
            value: String::new(),
        };
        assert_eq!(
            row_tags(&[tag("a"), tag("a")]).unwrap_err().code,
            ErrorCode::DuplicateTagKey
        );
        assert_eq!(
            row_tags(&[tag("acs:x")]).unwrap_err().code,
            ErrorCode::InvalidTagKeyMalformed
        );
        assert!(tagged(&[("a".into(), "1".into())], &[tag("a")]));
        assert!(!tagged(&[], &[tag("a")]));
    }
}
