//! Percent-encoding as the signatures define it, and the strict way back.
//!
//! Reading takes one spelling of each escape, so that no byte of a query can change
//! without changing what was read.

use std::fmt::Write as _;

use super::VerifyError;
use crate::params::Params;

/// Encodes by RFC 3986: letters, digits, `-`, `_`, `.` and `~` stay, a space is `%20`.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Parameters as a query or form body, sorted: `a=1&b=2`.
pub fn form_encode(params: &Params) -> String {
    let pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    pairs.join("&")
}

/// Reads `a=1&b=2` into `params`; each name once, also over several calls.
pub(super) fn decode_pairs(text: &str, what: &str, params: &mut Params) -> Result<(), VerifyError> {
    if text.is_empty() {
        return Ok(());
    }
    for pair in text.split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(VerifyError::malformed(what, "has a part without '='"));
        };
        let name = decode(name, what)?;
        if name.is_empty() {
            return Err(VerifyError::malformed(what, "has a part without a name"));
        }
        let value = decode(value, what)?;
        if params.contains(&name) {
            return Err(VerifyError::Duplicate(format!("parameter {name}")));
        }
        params.insert(name, value);
    }
    Ok(())
}

fn decode(text: &str, what: &str) -> Result<String, VerifyError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let escaped = digit(rest.next()).zip(digit(rest.next()));
                let (high, low) = escaped.ok_or_else(|| {
                    VerifyError::malformed(what, "has a '%' without two upper-case digits")
                })?;
                high << 4 | low
            }
            b'+' => b' ',
            b'#' => return Err(VerifyError::malformed(what, "has a '#'")),
            b'!'..=b'~' => byte,
            _ => {
                return Err(VerifyError::malformed(
                    what,
                    "has a byte that must be escaped",
                ));
            }
        });
    }
    String::from_utf8(bytes).map_err(|_| VerifyError::malformed(what, "is not UTF-8"))
}

fn digit(byte: Option<u8>) -> Option<u8> {
    match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        letter @ b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_keeps_the_unreserved_only() {
        assert_eq!(percent_encode("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(percent_encode("a b+c*d/é'"), "a%20b%2Bc%2Ad%2F%C3%A9%27");
    }

    #[test]
    fn reading_takes_one_spelling() {
        let read = |text: &str| {
            let mut params = Params::new();
            decode_pairs(text, "the query", &mut params).map(|()| params)
        };
        let params = read("a=b+c%20d&e=&f=g=h").unwrap();
        assert_eq!(params.get("a"), Some("b c d"));
        assert_eq!(params.get("e"), Some(""));
        assert_eq!(params.get("f"), Some("g=h"));
        for odd in [
            "a", "a=1&", "&a=1", "=1", "a=%2f", "a=%2", "a=%FF", "a=#", "a=\u{7f}", "a=é", "a= ",
        ] {
            assert!(
                matches!(read(odd), Err(VerifyError::Malformed { .. })),
                "{odd}"
            );
        }
        assert!(matches!(read("a=1&%61=2"), Err(VerifyError::Duplicate(_))));
    }
}
