//! The older signature: HMAC-SHA1 over all parameters, itself a parameter
//! (`SignatureVersion=1.0`; the cloud's newer pages call it "V2").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::{Call, Claims, FORM, Format, LONGEST_QUERY, SignatureGeneration, VerifyError};
use super::{all_params, form_encode, percent_encode, same, single, timestamp};
use crate::credentials::{Credentials, Secret};
use crate::http::HttpRequest;
use crate::params::Params;

/// The parameters that belong to the signature and not to an action.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "Format",
    "AccessKeyId",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureNonce",
    "SignatureType",
    "Timestamp",
    "SecurityToken",
];

/// Headers that some clients send beside the parameters that they repeat.
const REPEATED: &[(&str, &str)] = &[
    ("x-acs-action", "Action"),
    ("x-acs-version", "Version"),
    ("x-acs-date", "Timestamp"),
    ("x-acs-signature-nonce", "SignatureNonce"),
    ("x-acs-accesskey-id", "AccessKeyId"),
    ("x-acs-security-token", "SecurityToken"),
];

/// The text that is signed: method, `%2F`, and the encoded sorted parameters (all but
/// `Signature`).
pub fn string_to_sign(method: &str, params: &Params) -> String {
    format!("{method}&%2F&{}", percent_encode(&form_encode(params)))
}

/// The signature of a text, in base64.
pub fn signature(secret: &Secret, string_to_sign: &str) -> String {
    let key = format!("{}&", secret.expose());
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Signs a call: a POST with everything in the query, or, when that would be long, with
/// the action's parameters in a form body.
pub fn sign(call: &Call<'_>, credentials: &Credentials) -> HttpRequest {
    let mut common: Params = [
        ("Action", call.action),
        ("Version", call.version),
        ("Format", "JSON"),
        ("AccessKeyId", credentials.access_key_id.as_str()),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", call.nonce),
    ]
    .into_iter()
    .collect();
    common.insert("Timestamp", crate::time::format(call.now));
    if let Some(token) = &credentials.security_token {
        common.insert("SecurityToken", token.expose());
    }
    let mut all = common.clone();
    all.extend(call.params.iter());
    let signed = signature(
        &credentials.access_key_secret,
        &string_to_sign("POST", &all),
    );

    let mut headers = vec![
        ("host".to_owned(), call.authority.to_owned()),
        ("user-agent".to_owned(), call.user_agent.to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    let (mut query, mut body) = (form_encode(&all), String::new());
    if query.len() > LONGEST_QUERY {
        body = form_encode(call.params);
        query = form_encode(&common);
        headers.push(("content-type".to_owned(), FORM.to_owned()));
    }
    HttpRequest {
        method: "POST".to_owned(),
        scheme: call.scheme.to_owned(),
        authority: call.authority.to_owned(),
        target: format!("/?{query}&Signature={}", percent_encode(&signed)),
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
    let mut params = all_params(request)?;
    let given = params
        .remove("Signature")
        .ok_or_else(|| VerifyError::Missing("Signature".into()))?;
    let text = |name: &str| params.get(name).filter(|value| !value.is_empty());
    let required = |name: &str| {
        text(name)
            .map(ToOwned::to_owned)
            .ok_or_else(|| VerifyError::Missing(name.to_owned()))
    };
    method(
        &required("SignatureMethod")?,
        &required("SignatureVersion")?,
        text("SignatureType"),
    )?;
    for (header, name) in REPEATED {
        let repeated = single(request, header)?;
        if repeated.is_some_and(|value| params.get(name) != Some(value)) {
            return Err(VerifyError::malformed(
                format!("header {header}"),
                format!("differs from parameter {name}"),
            ));
        }
    }
    let access_key_id = required("AccessKeyId")?;
    let Some(secret) = secret_of(&access_key_id) else {
        return Err(VerifyError::UnknownKey(access_key_id));
    };
    let string_to_sign = string_to_sign(&request.method, &params);
    if !same(&signature(&secret, &string_to_sign), &given) {
        return Err(VerifyError::Mismatch { string_to_sign });
    }
    let claims = Claims {
        generation: SignatureGeneration::Rpc,
        security_token: text("SecurityToken").map(ToOwned::to_owned),
        action: required("Action")?,
        version: required("Version")?,
        timestamp: timestamp(&required("Timestamp")?)?,
        nonce: required("SignatureNonce")?,
        format: format(text("Format"))?,
        access_key_id,
        params: Params::new(),
    };
    for name in COMMON {
        params.remove(name);
    }
    Ok(Claims { params, ..claims })
}

fn method(method: &str, version: &str, kind: Option<&str>) -> Result<(), VerifyError> {
    let named = match (method, version, kind) {
        ("HMAC-SHA1", "1.0", None) => return Ok(()),
        ("HMAC-SHA1", "1.0", Some(kind)) => kind.to_owned(),
        (method, version, _) => format!("{method} {version}"),
    };
    Err(VerifyError::UnknownMethod(named))
}

fn format(text: Option<&str>) -> Result<Format, VerifyError> {
    match text {
        None => Ok(Format::Xml),
        Some(text) if text.eq_ignore_ascii_case("XML") => Ok(Format::Xml),
        Some(text) if text.eq_ignore_ascii_case("JSON") => Ok(Format::Json),
        Some(text) => Err(VerifyError::malformed(
            "Format",
            format!("'{text}' is neither JSON nor XML"),
        )),
    }
}
