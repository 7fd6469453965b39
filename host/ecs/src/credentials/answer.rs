//! Answers that carry keys: what the metadata service and an address of the user's own
//! say, and what a program prints. All have the same few fields in two spellings.
//!
//! What isn't such an answer is never shown: it may hold half of a secret.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::keyring::{Granted, KeyError};
use super::way::Tools;
use super::{Credentials, Secret};
use crate::endpoint::Endpoint;
use crate::http::HttpRequest;

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "AccessKeyId", alias = "access_key_id")]
    id: String,
    #[serde(rename = "AccessKeySecret", alias = "access_key_secret")]
    secret: String,
    #[serde(rename = "SecurityToken", alias = "sts_token")]
    token: Option<String>,
    #[serde(rename = "Expiration", alias = "expiration")]
    expiration: Option<String>,
    #[serde(alias = "Mode")]
    mode: Option<String>,
}

/// Reads keys. The error says what is missing, and nothing of what is there.
pub(super) fn read(body: &[u8]) -> Result<Granted, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| "what it says is not JSON with keys in it".to_owned())?;
    if let Some(code) = answer.code.filter(|code| code != "Success") {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let code: String = code.chars().filter(|c| plain(*c)).take(60).collect();
        return Err(format!("it answered with the code {code}"));
    }
    let expires = match answer.expiration.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(
            text.parse::<Timestamp>()
                .map_err(|_| "its Expiration is no time".to_owned())?,
        ),
    };
    if answer.id.is_empty() || answer.secret.is_empty() {
        return Err("its answer has no key in it".to_owned());
    }
    Ok(Granted {
        credentials: Credentials {
            access_key_id: answer.id,
            access_key_secret: Secret::new(answer.secret),
            security_token: answer
                .token
                .filter(|token| !token.is_empty())
                .map(Secret::new),
        },
        expires,
    })
}

/// Reads what a program printed: the same, or a profile of mode AK or `StsToken`.
pub(super) fn printed(bytes: &[u8]) -> Result<Granted, String> {
    let mode = serde_json::from_slice::<Answer>(bytes)
        .ok()
        .and_then(|answer| answer.mode);
    let granted = read(bytes)?;
    if mode.as_deref() == Some("StsToken") && granted.credentials.security_token.is_none() {
        return Err("it printed mode StsToken and no sts_token".to_owned());
    }
    Ok(granted)
}

/// Asks an address for keys. Plain http is for this machine and the metadata service.
pub(super) async fn ask(tools: &Tools, uri: &str) -> Result<Granted, KeyError> {
    let name = uri.split(['?', '#']).next().unwrap_or_default().to_owned();
    let refuse = |problem: String, passing| KeyError {
        source_name: name.clone(),
        problem,
        hint: Some("check ALIBABA_CLOUD_CREDENTIALS_URI, or the profile's credentials_uri".into()),
        passing,
    };
    let (endpoint, target) = split(uri).map_err(|problem| refuse(problem, false))?;
    let request = get(&endpoint, &target, Vec::new());
    let response = tools.transport.send(request).await;
    let response = response.map_err(|error| refuse(error.to_string(), error.is_retryable()))?;
    if response.status != 200 {
        let problem = format!("it answered with status {}", response.status);
        return Err(refuse(problem, response.status >= 500));
    }
    read(&response.body).map_err(|problem| refuse(problem, false))
}

fn split(uri: &str) -> Result<(Endpoint, String), String> {
    let (scheme, rest) = uri.split_once("://").ok_or_else(|| {
        "it is no address: it begins with neither http:// nor https://".to_owned()
    })?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let endpoint = format!("{scheme}://{authority}").parse::<Endpoint>();
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    let target = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((endpoint, target))
}

/// A request that reads.
pub(super) fn get(
    endpoint: &Endpoint,
    target: &str,
    mut headers: Vec<(String, String)>,
) -> HttpRequest {
    headers.push(("host".to_owned(), endpoint.authority().to_owned()));
    HttpRequest {
        method: "GET".to_owned(),
        scheme: endpoint.scheme().to_owned(),
        authority: endpoint.authority().to_owned(),
        target: target.to_owned(),
        headers,
        body: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let cloud = br#"{"Code":"Success","AccessKeyId":"STS.1","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2026-11-23T04:00:00Z"}"#;
        let program = br#"{"mode":"StsToken","access_key_id":"STS.1","access_key_secret":"s","sts_token":"t","expiration":"2026-11-23T04:00:00Z"}"#;
        assert_eq!(read(cloud), printed(program));
        assert!(read(cloud).unwrap().expires.is_some());
        let lasting = printed(br#"{"mode":"AK","access_key_id":"LTAI","access_key_secret":"s"}"#);
        assert_eq!(lasting.unwrap().expires, None);
    }

    #[test]
    fn what_is_wrong_is_said_without_what_is_there() {
        for (text, said) in [
            ("{\"AccessKeySecret\":\"hush\"", "not JSON"),
            ("{\"AccessKeySecret\":\"hush\"}", "no key"),
            ("{\"Code\":\"Fail hush\\u001b\"}", "code Failhush"),
            (
                "{\"AccessKeyId\":\"a\",\"AccessKeySecret\":\"hush\",\"Expiration\":\"soon\"}",
                "no time",
            ),
            (
                "{\"mode\":\"StsToken\",\"access_key_id\":\"a\",\"access_key_secret\":\"hush\"}",
                "no sts_token",
            ),
        ] {
            let problem = printed(text.as_bytes()).unwrap_err();
            assert!(problem.contains(said), "{problem}");
            assert!(!problem.contains(" hush"), "{problem}");
        }
    }

    #[test]
    fn an_address_is_taken_apart() {
        let parts = |uri| split(uri).map(|(endpoint, target)| (endpoint.to_string(), target));
        let ok = |endpoint: &str, target: &str| Ok((endpoint.to_owned(), target.to_owned()));
        assert_eq!(
            parts("http://localhost:8080/a?b=c"),
            ok("http://localhost:8080", "/a?b=c")
        );
        assert_eq!(
            parts("https://keys.example.org"),
            ok("https://keys.example.org", "/")
        );
        assert!(parts("keys.example.org").is_err() && parts("file:///etc/keys").is_err());
    }
}
