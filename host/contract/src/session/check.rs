//! Whether a single argument makes sense. Pure functions; each answers what is
//! wrong in words that stand after the call: `shell("", "ls"): the name is empty`.

use std::collections::BTreeSet;

use crate::secret::Marker;

/// Names of steps are for people: one line of 1 to 100 characters.
pub(super) fn name(name: &str) -> Result<(), String> {
    match name.chars().count() {
        0 => Err("the name is empty".into()),
        1..=100 if name.chars().any(char::is_control) => {
            Err("the name has a control character or a line break".into())
        }
        1..=100 => no_secret("name", name),
        count => Err(format!("the name has {count} characters; 100 are allowed")),
    }
}

/// A text that is not empty, not too long, and can be handed to a program.
pub(super) fn text(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("the {what} is empty"));
    }
    value(what, text, most)?;
    no_secret(what, text)
}

/// Secrets would get into commands, journals and events, where the marker stands for
/// nothing: the author has taken it for the value.
pub(super) fn no_secret(what: &str, text: &str) -> Result<(), String> {
    match Marker::find(text).first() {
        None => Ok(()),
        Some(name) => Err(format!(
            "the {what} holds the secret {name:?}, which may only stand in a value of \
             `environment` or in the text of `write`"
        )),
    }
}

/// A text that may hold markers, but only of secrets that the component was given:
/// whoever knows a secret's name can write its marker.
pub(super) fn given(what: &str, text: &str, given: &BTreeSet<String>) -> Result<(), String> {
    match Marker::find(text)
        .iter()
        .find(|name| !given.contains(*name))
    {
        None => Ok(()),
        Some(name) => Err(format!(
            "the {what} holds the secret {name:?}, which this component was not given"
        )),
    }
}

/// The same, but it may be empty, and hold secrets.
pub(super) fn value(what: &str, text: &str, most: usize) -> Result<(), String> {
    size(what, text.len(), most)?;
    if text.contains('\0') {
        return Err(format!("the {what} has a NUL character"));
    }
    Ok(())
}

pub(super) fn size(what: &str, bytes: usize, most: usize) -> Result<(), String> {
    if bytes > most {
        return Err(format!("the {what} has {bytes} bytes; {most} are allowed"));
    }
    Ok(())
}

/// An absolute path of the machine: `/a/b`, on Windows `C:\a` or `C:/a`.
pub(super) fn absolute(what: &str, path: &str, family: &str, most: usize) -> Result<(), String> {
    text(what, path, most)?;
    let posix = path.starts_with('/');
    let windows =
        matches!(path.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic());
    let fits = match family {
        "linux" => posix,
        "windows" => windows,
        _ => posix || windows,
    };
    if !fits {
        return Err(format!("the {what} {path:?} is not absolute"));
    }
    if windows && path.contains(['\r', '\n']) {
        return Err(format!("the {what} has a line break"));
    }
    Ok(())
}

/// The path of a file: absolute and not that of a folder.
pub(super) fn file(path: &str, family: &str, most: usize) -> Result<(), String> {
    absolute("path", path, family, most)?;
    if path.ends_with(['/', '\\']) {
        return Err(format!("the path {path:?} names a folder, not a file"));
    }
    Ok(())
}

/// A path inside of the package; `known` are the names that it has.
pub(super) fn asset(asset: &str, known: Option<&[String]>, most: usize) -> Result<(), String> {
    text("asset", asset, most)?;
    if asset.starts_with(['/', '\\']) || asset.split(['/', '\\']).any(|part| part == "..") {
        return Err(format!("the asset {asset:?} is outside of the package"));
    }
    let folder = format!("{}/", asset.trim_end_matches('/'));
    let found = known.is_none_or(|known| {
        known
            .iter()
            .any(|name| name == asset || name.starts_with(&folder))
    });
    if !found {
        return Err(format!("the package has no asset {asset:?}"));
    }
    Ok(())
}

pub(super) fn address(address: &str, most: usize) -> Result<(), String> {
    text("address", address, most)?;
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the address has white space".into());
    }
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let bucket = address
        .strip_prefix("oss://")
        .and_then(|rest| rest.split_once('/'));
    let fits = match (rest, bucket) {
        (Some(rest), _) => !rest.is_empty() && !rest.starts_with('/'),
        (_, Some((bucket, key))) => !bucket.is_empty() && !key.is_empty(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "the address {address:?} is none of https://…, http://… or oss://bucket/key"
        ))
    }
}

pub(super) fn sha256(digest: &str) -> Result<(), String> {
    let fits = digest.len() == 64
        && digest
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if fits {
        Ok(())
    } else {
        Err("the digest is not 64 lower-case hexadecimal digits".into())
    }
}

pub(super) fn variable(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let fits = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= 256;
    if fits {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is no name of a variable: letters, digits and _, no digit first"
        ))
    }
}

/// Decimal numbers that somebody meant as octal. None of them is a mode that
/// anybody wants: all have the sticky bit on top of odd permissions.
const DECIMAL_MODES: [u32; 12] = [600, 640, 644, 660, 664, 666, 700, 711, 750, 755, 775, 777];

pub(super) fn mode(bits: u32) -> Result<(), String> {
    if DECIMAL_MODES.contains(&bits) {
        return Err(format!(
            "the mode is {bits} in decimal, which is 0o{bits:o}; write 0o{bits}"
        ));
    }
    if bits > 0o7777 {
        return Err(format!("the mode 0o{bits:o} has more than 12 bits"));
    }
    Ok(())
}

/// The name of an output: `site-url`.
pub(super) fn output_name(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let fits = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.len() <= 100;
    if fits {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is no name of an output: a lower-case letter, then lower-case letters, \
             digits and dashes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert!(file("/etc/motd", "linux", 100).is_ok());
        assert!(file("etc/motd", "linux", 100).is_err());
        assert!(file("/etc/", "linux", 100).is_err());
        assert!(file("C:\\a", "linux", 100).is_err());
        assert!(file("C:\\a", "windows", 100).is_ok());
        assert!(file("/a\0b", "linux", 100).is_err());
        assert!(file("/abc", "linux", 3).is_err());
    }

    #[test]
    fn assets_stay_in_the_package() {
        let known = ["site/index.html".to_owned(), "a".to_owned()];
        for good in ["site", "site/", "site/index.html", "a"] {
            assert!(asset(good, Some(&known), 100).is_ok(), "{good}");
        }
        for bad in ["", "/a", "../a", "site/../../x", "b", "sit", "site\\..\\.."] {
            assert!(asset(bad, Some(&known), 100).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        for good in ["https://a/b", "http://a", "oss://bucket/a/b"] {
            assert!(address(good, 100).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ftp://a",
            "https:///a",
            "oss://bucket",
            "oss://b/",
            "https://a b",
        ] {
            assert!(address(bad, 100).is_err(), "{bad}");
        }
    }

    #[test]
    fn decimal_modes_are_recognized() {
        assert_eq!(
            mode(755).unwrap_err(),
            "the mode is 755 in decimal, which is 0o1363; write 0o755"
        );
        assert!(mode(0o755).is_ok());
        assert!(mode(0o1777).is_ok());
        assert!(mode(0o4755).is_ok());
        assert!(mode(u32::MAX).is_err());
    }

    #[test]
    fn names() {
        assert!(variable("LC_ALL").is_ok());
        for bad in ["", "1A", "A-B", "A=B", "Ä"] {
            assert!(variable(bad).is_err(), "{bad}");
        }
        assert!(output_name("site-url2").is_ok());
        for bad in ["", "Site", "2a", "a_b", "-a"] {
            assert!(output_name(bad).is_err(), "{bad}");
        }
        assert!(name("x").is_ok());
        assert!(name(&"ä".repeat(100)).is_ok());
        assert!(name(&"ä".repeat(101)).is_err());
        assert!(name("a\nb").is_err());
    }
}
