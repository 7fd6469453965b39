//! Signatures: both generations, to sign and to verify. Pure functions; the clock, the
//! nonce and the keys are handed in.
//!
//! - [`rpc`]: the older one (`SignatureVersion=1.0`, HMAC-SHA1), in the parameters.
//! - [`acs3`]: the newer one (ACS3-HMAC-SHA256), in headers.
//!
//! # What verifying promises
//! [`verify`] returns [`Claims`], and nothing that the signature doesn't cover is in
//! them. A server that takes meaning from the claims only can't be misled by a byte that
//! was changed on the way:
//! - Every byte of the method, of the target, of the body and of the signature itself is
//!   covered, in exactly one spelling: escapes have upper-case digits, base64 and
//!   hexadecimal their canonical form, a name stands once, a pair has its `=`.
//! - With ACS3, every byte of the values of the signed headers is covered, and every
//!   header whose name begins with `x-acs-` must be signed.
//! - With RPC no header is signed. `x-acs-` headers that repeat a parameter must agree with
//!   it; a body must be declared as a form.
//!
//! Not covered, and of no meaning: the case of header names; headers that are neither
//! signed nor named above (`user-agent`, `accept`, `connection`, `x-sdk-client`,
//! `content-md5`, ...); with RPC also `host`. `content-length` is framing: the HTTP layer
//! makes the body by it.
//!
//! A nonce that was used before is for the server to refuse, which remembers them.

pub mod acs3;
mod encoding;
pub mod rpc;

use jiff::{SignedDuration, Timestamp};

use crate::credentials::Secret;
use crate::error::{ApiError, ErrorCode};
use crate::http::HttpRequest;
use crate::params::Params;

pub use encoding::{form_encode, percent_encode};

/// How far a request's time may be from the server's, in both directions. A recorded
/// request can't be sent again after it, so that nonces must be remembered no longer.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Parameters go into the query while it is no longer than this, and into a form body
/// otherwise. The official clients use the query; but a file of 32 KB there meets the
/// limits that proxies and servers have for a request line.
const LONGEST_QUERY: usize = 8 * 1024;

/// The content type of a body of parameters.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Which signature a client writes. A server takes both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureGeneration {
    /// In the parameters, HMAC-SHA1.
    Rpc,
    /// In headers, HMAC-SHA256.
    #[default]
    Acs3,
}

/// A call that is to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port unless it is the scheme's.
    pub authority: &'a str,
    /// The action, such as `RunInstances`.
    pub action: &'a str,
    /// The version of the API, such as `2014-05-26`.
    pub version: &'a str,
    /// The parameters of the action.
    pub params: &'a Params,
    /// When it is signed.
    pub now: Timestamp,
    /// A text that no other request of this key carries.
    pub nonce: &'a str,
    /// Who calls. Not signed.
    pub user_agent: &'a str,
}

/// The wire format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON; what ACS3 requests get.
    Json,
    /// XML; what RPC requests get that ask for nothing.
    Xml,
}

/// What a verified request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// How it was signed.
    pub generation: SignatureGeneration,
    /// The key that signed it.
    pub access_key_id: String,
    /// The token of a temporary key.
    pub security_token: Option<String>,
    /// The action.
    pub action: String,
    /// The version of the API.
    pub version: String,
    /// When it was signed.
    pub timestamp: Timestamp,
    /// The nonce, which the server must see for the first time.
    pub nonce: String,
    /// The format of the answer.
    pub format: Format,
    /// The parameters of the action, from query and body, without those of the signature.
    pub params: Params,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Something that a signature needs isn't there.
    #[error("{0} is missing")]
    Missing(String),
    /// Something is there that can't be read, or is spelt in another way than the one.
    #[error("{what} {problem}")]
    Malformed {
        /// The part of the request.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A parameter or header stands twice.
    #[error("{0} is given more than once")]
    Duplicate(String),
    /// A header that must be signed isn't.
    #[error("header {0} is not signed")]
    Unsigned(String),
    /// A method of signing that isn't supported.
    #[error("signature method '{0}' is not supported")]
    UnknownMethod(String),
    /// No such key.
    #[error("access key '{0}' is not found")]
    UnknownKey(String),
    /// The time of the request is not that of the server.
    #[error("the request was signed at {0}, more than 15 minutes from now")]
    OutOfTime(Timestamp),
    /// The body is not the one that was signed.
    #[error("the body does not match x-acs-content-sha256")]
    Body,
    /// The signature is wrong.
    #[error(
        "the signature does not match our calculation; server string to sign is: {string_to_sign}"
    )]
    Mismatch {
        /// What the server signed, for comparing.
        string_to_sign: String,
    },
}

impl VerifyError {
    fn malformed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            what: what.into(),
            problem: problem.into(),
        }
    }

    /// The answer that ECS gives.
    pub fn to_api_error(&self) -> ApiError {
        let (status, code) = match self {
            Self::Missing(_) | Self::Unsigned(_) => (400, ErrorCode::IncompleteSignature),
            Self::Malformed { what, .. } if what == "the time" => {
                (400, ErrorCode::IllegalTimestamp)
            }
            Self::Malformed { .. } | Self::Duplicate(_) | Self::UnknownMethod(_) => {
                (400, ErrorCode::InvalidParameter)
            }
            Self::UnknownKey(_) => (404, ErrorCode::InvalidAccessKeyIdNotFound),
            Self::OutOfTime(_) => (400, ErrorCode::InvalidTimeStampExpired),
            Self::Body | Self::Mismatch { .. } => (400, ErrorCode::SignatureDoesNotMatch),
        };
        ApiError::new(status, code, self.to_string())
    }
}

/// Checks a request of either generation, its time included. `secret_of` finds the secret
/// of a key id.
///
/// # Errors
/// Anything that is not exactly a request signed by that key around `now`.
pub fn verify(
    request: &HttpRequest,
    now: Timestamp,
    secret_of: impl FnOnce(&str) -> Option<Secret>,
) -> Result<Claims, VerifyError> {
    // A request that carries both signatures is refused in ACS3.
    let claims = if request.header("authorization").is_some() {
        acs3::verify(request, secret_of)?
    } else {
        rpc::verify(request, secret_of)?
    };
    if claims.timestamp.duration_until(now).abs() > TOLERANCE {
        return Err(VerifyError::OutOfTime(claims.timestamp));
    }
    Ok(claims)
}

fn timestamp(text: &str) -> Result<Timestamp, VerifyError> {
    let exact = crate::time::parse(text).filter(|_| text.len() == 20);
    exact.ok_or_else(|| {
        VerifyError::malformed(
            "the time",
            format!("'{text}' is not like 2026-01-02T03:04:05Z"),
        )
    })
}

/// Whether a media type is that of a form, in the spellings that clients use.
fn is_form(content_type: &str) -> bool {
    let charset = content_type.strip_prefix(FORM).map(str::trim_start);
    matches!(
        charset,
        Some("" | ";charset=utf-8" | "; charset=utf-8" | ";charset=UTF-8" | "; charset=UTF-8")
    )
}

/// The values of a header; an error when it stands twice.
fn single<'r>(request: &'r HttpRequest, name: &str) -> Result<Option<&'r str>, VerifyError> {
    let mut values = request
        .headers
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let first = values.next().map(|(_, value)| value.as_str());
    if values.next().is_some() {
        return Err(VerifyError::Duplicate(format!("header {name}")));
    }
    Ok(first)
}

/// The parameters of query and form body together, each once.
fn all_params(request: &HttpRequest) -> Result<Params, VerifyError> {
    if request.path() != "/" {
        return Err(VerifyError::malformed("the path", "is not '/'"));
    }
    let mut params = Params::new();
    encoding::decode_pairs(request.query(), "the query", &mut params)?;
    if !request.body.is_empty() {
        let content_type = single(request, "content-type")?;
        if !content_type.is_some_and(is_form) {
            return Err(VerifyError::malformed(
                "the body",
                format!("is not declared as {FORM}"),
            ));
        }
        let body = str::from_utf8(&request.body)
            .map_err(|_| VerifyError::malformed("the body", "is not text"))?;
        encoding::decode_pairs(body, "the body", &mut params)?;
    }
    Ok(params)
}

/// Compares without telling by the time taken how much was right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .fold(0, |acc, (x, y)| acc | (x ^ y))
            == 0
}
