//! Requests that read: one answer with 200, of a bounded length, or a [`Fault`].
//!
//! What may pass is tried again; `Retry-After` is kept to. After a 401 a new token is
//! asked for once. Nothing here knows what is in an answer.

use std::time::Duration;

use backon::BackoffBuilder as _;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK, RETRY_AFTER};
use reqwest::{Method, Response};
use serde_json::Value;

use super::authorize::{Authorization, Right};
use super::connection::{Connection, classify};
use super::error::Fault;
use super::settings::Settings;

/// Most of an error's answer that is read.
const ERROR_LIMIT: usize = 16 * 1024;
/// What servers written in Go answer in plain http where they speak https.
const HTTPS_SERVER: &str = "Client sent an HTTP request to an HTTPS server.";
/// Most of an answer's memory that is taken before it comes.
const FIRST_BYTES: u64 = 1024 * 1024;

/// A request that reads.
pub(super) struct Get<'a> {
    /// The path with its query, from `/v2/` on.
    pub(super) path: String,
    /// The repository that the right is for; empty for none.
    pub(super) repository: &'a str,
    /// What the right must allow.
    pub(super) right: Right,
    /// Media types that will do.
    pub(super) accept: &'a str,
    /// What it is, for messages.
    pub(super) what: &'static str,
    /// Most bytes that may come.
    pub(super) limit: u64,
    /// How many bytes must come, if that is known.
    pub(super) size: Option<u64>,
    /// Only whether it is there.
    pub(super) head: bool,
    /// Whether we say who we are.
    pub(super) open: bool,
}

/// An answer with 200.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) media_type: Option<String>,
    /// The path of the next page.
    pub(super) next: Option<String>,
}

impl Connection {
    pub(super) async fn get(&self, get: &Get<'_>, settings: &Settings) -> Result<Answer, Fault> {
        let mut anew = false;
        repeat(settings, async || {
            let first = self.attempt(get, settings, anew).await;
            match first {
                // The token may have grown old.
                Err(Fault::Unauthorized { .. }) if !anew && !get.open => {
                    anew = true;
                    self.attempt(get, settings, true).await
                }
                other => other,
            }
        })
        .await
    }

    async fn attempt(
        &self,
        get: &Get<'_>,
        settings: &Settings,
        anew: bool,
    ) -> Result<Answer, Fault> {
        let work = async {
            let authorization = if get.open {
                Authorization::Nobody
            } else {
                self.authorize(get.repository, get.right, anew).await?
            };
            self.send(get, &authorization).await
        };
        match tokio::time::timeout(settings.timeout, work).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Timeout),
        }
    }

    async fn send(&self, get: &Get<'_>, authorization: &Authorization) -> Result<Answer, Fault> {
        let method = if get.head { Method::HEAD } else { Method::GET };
        let mut request = self.http.request(method, self.url(&get.path)?);
        if !get.accept.is_empty() {
            request = request.header(ACCEPT, get.accept);
        }
        let mut answer = authorization
            .apply(request)
            .send()
            .await
            .map_err(classify)?;
        if answer.status().as_u16() != 200 {
            let said = message(&mut answer).await;
            if self.plain && said == HTTPS_SERVER {
                return Err(Fault::WantsHttps);
            }
            let said = self.scrub(&said, authorization);
            let known = !matches!(authorization, Authorization::Nobody) || self.is_known();
            return Err(fault(&answer, said, known));
        }
        let text = |name| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let media_type = text(CONTENT_TYPE).map(|value| {
            let plain = value.split(';').next().unwrap_or_default();
            plain.trim().to_ascii_lowercase()
        });
        let next = text(LINK).and_then(|link| next_page(&link));
        let body = if get.head {
            Bytes::new()
        } else {
            body(&mut answer, get.what, get.size, get.limit).await?
        };
        Ok(Answer {
            body,
            media_type,
            next,
        })
    }
}

/// Tries something until it succeeds, can't pass, or was tried often enough.
pub(super) async fn repeat<T>(
    settings: &Settings,
    mut work: impl AsyncFnMut() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut delays = settings.backoff().build();
    loop {
        let fault = match work().await {
            Err(fault) if fault.may_pass() => fault,
            other => return other,
        };
        let wait = fault.wait().unwrap_or_default();
        let Some(delay) = delays.next() else {
            return Err(fault);
        };
        if wait > settings.longest_retry_after {
            return Err(fault);
        }
        let delay = delay.max(wait);
        tracing::debug!(%fault, ?delay, "trying again");
        tokio::time::sleep(delay).await;
    }
}

/// The body of an answer: `size` bytes where that is known, at most `limit`.
pub(super) async fn body(
    answer: &mut Response,
    what: &'static str,
    size: Option<u64>,
    limit: u64,
) -> Result<Bytes, Fault> {
    let most = size.unwrap_or(limit).min(limit);
    let too_large = || Fault::TooLarge { what, limit: most };
    let announced = answer.content_length();
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let first = announced.or(size).unwrap_or_default().min(FIRST_BYTES);
    let mut body = BytesMut::with_capacity(usize::try_from(first).unwrap_or_default());
    while let Some(chunk) = answer.chunk().await.map_err(classify)? {
        if body.len() as u64 + chunk.len() as u64 > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let found = body.len() as u64;
    match size {
        Some(expected) if found < expected => Err(Fault::Truncated { expected, found }),
        _ => Ok(body.freeze()),
    }
}

/// What a status other than 200 means.
pub(super) fn fault(answer: &Response, message: String, known: bool) -> Fault {
    let status = answer.status().as_u16();
    match status {
        401 => Fault::Unauthorized { known },
        403 => Fault::Forbidden { message },
        404 => Fault::NotFound,
        429 => Fault::TooMany {
            wait: retry_after(answer.headers()),
        },
        500.. => Fault::Server {
            status,
            wait: retry_after(answer.headers()),
            message,
        },
        _ => Fault::Unexpected { status, message },
    }
}

/// Seconds, or a date ([RFC 9110 section 10.2.3]).
///
/// [RFC 9110 section 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = rfc2822::parse(text).ok()?.timestamp();
    let seconds = then.as_second() - Timestamp::now().as_second();
    Some(Duration::from_secs(
        u64::try_from(seconds).unwrap_or_default(),
    ))
}

/// What an error's answer says.
async fn message(answer: &mut Response) -> String {
    let mut bytes = BytesMut::new();
    while bytes.len() < ERROR_LIMIT {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    said(&bytes)
}

/// The distribution spec's error, or the first line of plain text.
pub(super) fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let first = json.pointer("/errors/0");
        let part = |name| {
            first
                .and_then(|error| error.get(name))
                .and_then(Value::as_str)
        };
        return match (part("code"), part("message")) {
            (Some(code), Some(message)) if !message.is_empty() => format!("{code}, {message}"),
            (Some(one), _) | (_, Some(one)) => one.to_owned(),
            (None, None) => String::new(),
        };
    }
    let line = text.lines().next().unwrap_or_default().trim();
    if line.starts_with('<') {
        return String::new();
    }
    line.to_owned()
}

/// The path of `<path>; rel="next"`. An address of another host is not followed.
fn next_page(link: &str) -> Option<String> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = rest.replace('"', "").contains("rel=next");
    (next && target.starts_with('/') && !target.starts_with("//")).then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn pages_stay_with_their_registry() {
        let next = |link| next_page(link);
        assert_eq!(
            next("</v2/_catalog?last=b&n=2>; rel=\"next\"").as_deref(),
            Some("/v2/_catalog?last=b&n=2")
        );
        assert_eq!(next("<https://evil.example/v2/>; rel=\"next\""), None);
        assert_eq!(next("<//evil.example/v2/>; rel=\"next\""), None);
        assert_eq!(next("</v2/>; rel=\"prev\""), None);
    }

    #[test]
    fn what_servers_say() {
        assert_eq!(
            said(br#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            "DENIED, no"
        );
        assert_eq!(said(b"<html>"), "");
        assert_eq!(said(b"Bad Gateway\nmore"), "Bad Gateway");
    }
}
