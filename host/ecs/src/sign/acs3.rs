//! The newer signature: ACS3-HMAC-SHA256 over method, query, headers and body, in the
//! header `Authorization`.

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Call, Claims, FORM, Format, LONGEST_QUERY, SignatureGeneration, VerifyError};
use super::{all_params, encoding, form_encode, same, single, timestamp};
use crate::credentials::{Credentials, Secret};
use crate::http::{Headers, HttpRequest};
use crate::params::Params;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Headers without which a signature says too little.
const REQUIRED: &[&str] = &[
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
];

/// Bytes in lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a text can't fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The SHA-256 of bytes, as `x-acs-content-sha256` carries it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The canonical request. `headers` are the signed ones, their names in lower case and
/// sorted; `query` are the parameters of the query alone.
pub fn canonical_request(
    method: &str,
    query: &Params,
    headers: &[(&str, &str)],
    body_sha256: &str,
) -> String {
    let lines: String = headers
        .iter()
        .fold(String::new(), |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name}:{}", value.trim());
            lines
        });
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    format!(
        "{method}\n/\n{}\n{lines}\n{}\n{body_sha256}",
        form_encode(query),
        names.join(";")
    )
}

/// The text that is signed.
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// The signature of a text, in hexadecimal.
pub fn signature(secret: &Secret, string_to_sign: &str) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Signs a call: a POST with the parameters in the query, or, when that would be long, in
/// a form body. Signed are `host`, `content-type` and every `x-acs-` header.
pub fn sign(call: &Call<'_>, credentials: &Credentials) -> HttpRequest {
    let encoded = form_encode(call.params);
    let in_body = encoded.len() > LONGEST_QUERY;
    let no_params = Params::new();
    let (query, target, body) = if in_body {
        (&no_params, "/".to_owned(), encoded)
    } else if encoded.is_empty() {
        (&no_params, "/".to_owned(), String::new())
    } else {
        (call.params, format!("/?{encoded}"), String::new())
    };
    let hash = sha256_hex(body.as_bytes());
    let date = crate::time::format(call.now);
    let mut signed = vec![
        ("host", call.authority),
        ("x-acs-action", call.action),
        ("x-acs-content-sha256", &hash),
        ("x-acs-date", &date),
        ("x-acs-signature-nonce", call.nonce),
        ("x-acs-version", call.version),
    ];
    if in_body {
        signed.push(("content-type", FORM));
    }
    if let Some(token) = &credentials.security_token {
        signed.push(("x-acs-accesskey-id", &credentials.access_key_id));
        signed.push(("x-acs-security-token", token.expose()));
    }
    signed.sort_unstable();
    let canonical = canonical_request("POST", query, &signed, &hash);
    let signature = signature(&credentials.access_key_secret, &string_to_sign(&canonical));
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let authorization = format!(
        "{ALGORITHM} Credential={},SignedHeaders={},Signature={signature}",
        credentials.access_key_id,
        names.join(";")
    );
    let mut headers: Headers = signed
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    headers.extend([
        ("user-agent".to_owned(), call.user_agent.to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
        ("authorization".to_owned(), authorization),
    ]);
    HttpRequest {
        method: "POST".to_owned(),
        scheme: call.scheme.to_owned(),
        authority: call.authority.to_owned(),
        target,
        headers,
        body: Bytes::from(body),
    }
}

/// Checks a request; its time and nonce are left to the caller. See
/// [`super::verify`].
///
/// # Errors
/// Anything that is not exactly a request signed by that key.
pub fn verify(
    request: &HttpRequest,
    secret_of: impl FnOnce(&str) -> Option<Secret>,
) -> Result<Claims, VerifyError> {
    if !["GET", "POST"].contains(&request.method.as_str()) {
        return Err(VerifyError::malformed(
            "the method",
            "is neither GET nor POST",
        ));
    }
    let given = single(request, "authorization")?
        .ok_or_else(|| VerifyError::Missing("header authorization".into()))
        .and_then(Authorization::parse)?;
    let signed = signed_headers(request, &given)?;
    let value = |name: &str| {
        let found = signed.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| (*value).to_owned())
            .filter(|value| !value.is_empty())
    };
    let required =
        |name: &str| value(name).ok_or_else(|| VerifyError::Missing(format!("header {name}")));
    let params = all_params(request)?;
    if let Some(name) = ["Signature", "SignatureMethod"]
        .iter()
        .find(|name| params.contains(name))
    {
        return Err(VerifyError::Duplicate(format!(
            "the signature (parameter {name})"
        )));
    }
    if value("x-acs-accesskey-id").is_some_and(|id| id != given.credential) {
        return Err(VerifyError::malformed(
            "header x-acs-accesskey-id",
            "differs from Credential",
        ));
    }
    let hash = required("x-acs-content-sha256")?;
    if hash != sha256_hex(&request.body) {
        return Err(VerifyError::Body);
    }
    let Some(secret) = secret_of(given.credential) else {
        return Err(VerifyError::UnknownKey(given.credential.to_owned()));
    };
    let mut query = Params::new();
    encoding::decode_pairs(request.query(), "the query", &mut query)?;
    let canonical = canonical_request(&request.method, &query, &signed, &hash);
    let string_to_sign = string_to_sign(&canonical);
    if !same(&signature(&secret, &string_to_sign), given.signature) {
        return Err(VerifyError::Mismatch { string_to_sign });
    }
    Ok(Claims {
        generation: SignatureGeneration::Acs3,
        access_key_id: given.credential.to_owned(),
        security_token: value("x-acs-security-token"),
        action: required("x-acs-action")?,
        version: required("x-acs-version")?,
        timestamp: timestamp(&required("x-acs-date")?)?,
        nonce: required("x-acs-signature-nonce")?,
        format: Format::Json,
        params,
    })
}

/// The parts of the header `Authorization`.
struct Authorization<'r> {
    credential: &'r str,
    signed: Vec<&'r str>,
    signature: &'r str,
}

impl<'r> Authorization<'r> {
    fn parse(text: &'r str) -> Result<Self, VerifyError> {
        let malformed = |problem: &str| VerifyError::malformed("header authorization", problem);
        let Some((algorithm, parts)) = text.split_once(' ') else {
            return Err(malformed("has no parts"));
        };
        if algorithm != ALGORITHM {
            return Err(VerifyError::UnknownMethod(algorithm.to_owned()));
        }
        let parts: Vec<&str> = parts.split(',').collect();
        let [credential, signed, signature] = parts[..] else {
            return Err(malformed("has not three parts with commas between them"));
        };
        let (Some(credential), Some(signed), Some(signature)) = (
            credential.strip_prefix("Credential="),
            signed.strip_prefix("SignedHeaders="),
            signature.strip_prefix("Signature="),
        ) else {
            return Err(malformed("has not Credential, SignedHeaders and Signature"));
        };
        let signed: Vec<&str> = signed.split(';').collect();
        let in_order = signed.windows(2).all(|pair| pair[0] < pair[1]);
        let plain = |name: &&str| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
        if !in_order || !signed.iter().all(plain) {
            return Err(malformed(
                "lists SignedHeaders that are not sorted, once each, in lower case",
            ));
        }
        Ok(Self {
            credential,
            signed,
            signature,
        })
    }
}

/// The signed headers with their values, after every rule on what must be signed.
fn signed_headers<'r>(
    request: &'r HttpRequest,
    given: &Authorization<'r>,
) -> Result<Vec<(&'r str, &'r str)>, VerifyError> {
    for (name, _) in &request.headers {
        let name = name.to_ascii_lowercase();
        let must =
            name.starts_with("x-acs-") || (name == "content-type" && !request.body.is_empty());
        if must && !given.signed.contains(&name.as_str()) {
            return Err(VerifyError::Unsigned(name));
        }
    }
    for name in REQUIRED {
        if !given.signed.contains(name) {
            return Err(VerifyError::Unsigned((*name).to_owned()));
        }
    }
    let value = |name: &&'r str| {
        let value =
            single(request, name)?.ok_or_else(|| VerifyError::Missing(format!("header {name}")))?;
        // The canonical form trims; taking only what is trimmed leaves one spelling.
        if value.trim() != value || value.chars().any(char::is_control) {
            return Err(VerifyError::malformed(
                format!("header {name}"),
                "has white space around it",
            ));
        }
        Ok((*name, value))
    };
    given.signed.iter().map(value).collect()
}
