//! Patterns of paths: `*` is anything but a slash, `**` is anything. Nothing else is
//! special, so that a path that was shown can be allowed as it stands.

/// Whether the whole path fits the pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    let Some(star) = pattern.find('*') else {
        return pattern == path;
    };
    let (before, rest) = pattern.split_at(star);
    let Some(tail) = path.strip_prefix(before) else {
        return false;
    };
    let (deep, rest) = match rest.strip_prefix("**") {
        Some(rest) => (true, rest),
        None => (false, &rest[1..]),
    };
    // Every end that the star may have.
    let reach = if deep {
        tail.len()
    } else {
        tail.find('/').unwrap_or(tail.len())
    };
    (0..=reach)
        .filter(|end| tail.is_char_boundary(*end))
        .any(|end| matches(rest, &tail[end..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stop_at_slashes_unless_doubled() {
        for (pattern, path, fits) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/bc", false),
            ("/a/*.key", "/a/x.key", true),
            ("/a/*.key", "/a/b/x.key", false),
            ("/a/**.key", "/a/b/x.key", true),
            ("/a/**", "/a/b/é/c", true),
            ("/*/id_*", "/root/id_rsa", true),
            ("/a[b]", "/a[b]", true),
            ("/a?", "/ab", false),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
    }
}
