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
use reqwest::{Method, Response, Url};
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

impl<'a> Get<'a> {
    /// Asks for something of a repository, as whoever we are, within a limit.
    pub(super) fn new(path: String, repository: &'a str, what: &'static str, limit: u64) -> Self {
        Self {
            path,
            repository,
            right: Right::Read,
            accept: "",
            what,
            limit,
            size: None,
            head: false,
            open: false,
        }
    }
}

/// An answer with 200.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) media_type: Option<String>,
    /// Where it came from, redirects followed.
    url: Url,
    links: Option<String>,
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
        let (url, links) = (answer.url().clone(), text(LINK));
        let body = if get.head {
            Bytes::new()
        } else {
            body(&mut answer, get.what, get.size, get.limit).await?
        };
        Ok(Answer {
            body,
            media_type,
            url,
            links,
        })
    }

    /// The path of the page after this one of a list.
    pub(super) fn next_page(&self, answer: &Answer) -> Result<Option<String>, Fault> {
        match &answer.links {
            Some(links) => next_page(links, &answer.url, &self.url("/")?),
            None => Ok(None),
        }
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

/// The path of `<address>; rel="next"` ([RFC 8288]), which may be one of several. An
/// address of another host is not followed, and a list without its end is none.
///
/// [RFC 8288]: https://www.rfc-editor.org/rfc/rfc8288
fn next_page(links: &str, here: &Url, registry: &Url) -> Result<Option<String>, Fault> {
    let mut parts = links.split('<').skip(1);
    let next = parts.find_map(|part| {
        let (target, rest) = part.split_once('>')?;
        let rest = rest.replace(['"', ' '], "").to_ascii_lowercase();
        let is_next = rest.split([';', ',']).any(|one| one == "rel=next");
        is_next.then_some(target)
    });
    let Some(next) = next else { return Ok(None) };
    // The scheme is ours: behind some proxies a registry doesn't know that it is https.
    let place = |url: &Url| (url.host_str().map(str::to_owned), url.port());
    match here.join(next) {
        Ok(url) if place(&url) == place(registry) => {
            let query = url.query().map(|query| format!("?{query}"));
            Ok(Some(format!("{}{}", url.path(), query.unwrap_or_default())))
        }
        _ => Err(Fault::Malformed {
            what: "the list",
            why: "its next page is at another host".into(),
        }),
    }
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
        let registry: Url = "https://reg.example/".parse().expect("an address");
        let here = registry.join("/v2/acme/x/tags/list").expect("an address");
        let next = |link: &str| next_page(link, &here, &registry).ok();
        let path = |path: &str| Some(Some(path.to_owned()));
        for link in [
            "</v2/_catalog?last=b&n=2>; rel=\"next\"",
            "<https://reg.example/v2/_catalog?last=b&n=2>; rel=next",
            "<http://reg.example/v2/_catalog?last=b&n=2>; title=\"x\"; rel=\"next\"",
            "</v2/>; rel=\"prev\", </v2/_catalog?last=b&n=2>;rel=\"next\"",
        ] {
            assert_eq!(next(link), path("/v2/_catalog?last=b&n=2"), "{link}");
        }
        let relative = next("<list?last=b>; rel=\"next\"");
        assert_eq!(relative, path("/v2/acme/x/tags/list?last=b"));
        for none in [
            "</v2/>; rel=\"prev\"",
            "",
            "rel=next",
            "</v2/>; rel=\"nextish\"",
        ] {
            assert_eq!(next(none), Some(None), "{none}");
        }
        for elsewhere in [
            "<https://evil.example/v2/>; rel=\"next\"",
            "<//evil.example/v2/>; rel=\"next\"",
            "<https://reg.example:444/v2/>; rel=\"next\"",
        ] {
            assert_eq!(next(elsewhere), None, "{elsewhere}");
        }
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
