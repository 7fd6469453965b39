//! Times as they travel: UTC, `2026-01-02T03:04:05Z`, and in some answers without
//! seconds.
//!
//! The fields of requests and answers keep their text; who computes with one reads it
//! here.

use jiff::Timestamp;

/// Writes a time to the second.
pub fn format(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes a time to the minute, as `DescribeInstances` does.
pub fn format_minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// Reads a time, with seconds or without; `None` for any other spelling, such as one
/// with an offset or a fraction.
pub fn parse(text: &str) -> Option<Timestamp> {
    let with_seconds = match text.len() {
        20 => text.to_owned(),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => return None,
    };
    let time: Timestamp = with_seconds.parse().ok()?;
    // The way back proves that it was spelt exactly so.
    (format(time) == with_seconds).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_two_spellings_are_read() {
        let time = parse("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(format(time), "2026-01-02T03:04:05Z");
        assert_eq!(format_minute(time), "2026-01-02T03:04Z");
        assert_eq!(parse("2026-01-02T03:04Z"), parse("2026-01-02T03:04:00Z"));
        for odd in [
            "",
            "2026-01-02 03:04:05Z",
            "2026-01-02t03:04:05Z",
            "2026-01-02T03:04:05z",
            "2026-01-02T03:04:5.5Z",
            "2026-13-02T03:04:05Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04+00",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
