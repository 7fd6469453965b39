//! The transport over sockets.
//!
//! Plain HTTP goes to this machine and to the metadata service of an instance only, so that
//! real keys never travel in the clear, and to both never through a proxy. Nothing here reads the environment: a
//! proxy is handed in.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, NoProxy, Proxy, Url};

use super::{METADATA, Transport, TransportError};
use crate::endpoint::is_loopback;
use crate::http::{HttpRequest, HttpResponse};

/// How requests are sent.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long a connection may take; 5 s by default.
    pub connect_timeout: Duration,
    /// How long a request may take in all; 30 s by default. ECS answers `RunInstances`
    /// in some seconds.
    pub timeout: Duration,
    /// Largest answer that is read; 16 MiB by default, several times what ECS sends.
    /// It keeps a wrong server from filling the memory.
    pub limit: usize,
    /// Proxy for requests that leave this machine, such as `http://proxy:3128`; none by
    /// default.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, as `NO_PROXY` lists them.
    pub no_proxy: Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            limit: 16 * 1024 * 1024,
            proxy: None,
            no_proxy: None,
        }
    }
}

/// Sends requests over sockets, keeping connections open between them.
pub struct HttpTransport {
    options: HttpOptions,
    local: reqwest::Client,
    /// Made at the first request that leaves this machine: it needs the system's
    /// certificates, and a machine without them can still use a local cloud.
    public: OnceLock<Result<reqwest::Client, String>>,
}

impl HttpTransport {
    /// Makes a transport.
    ///
    /// # Errors
    /// The proxy is no address, or TLS can't be set up.
    pub fn new(options: HttpOptions) -> Result<Self, TransportError> {
        // Another part of the process may have chosen a provider already; any will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let refused = |reason: String| TransportError::Refused {
            authority: "the network".to_owned(),
            reason,
        };
        if let Some(proxy) = &options.proxy {
            Proxy::all(proxy).map_err(|error| refused(explain(&error.without_url())))?;
        }
        let local = builder(&options)
            .tls_certs_only([])
            .build()
            .map_err(|error| refused(explain(&error)))?;
        Ok(Self {
            options,
            local,
            public: OnceLock::new(),
        })
    }

    fn public(&self) -> Result<&reqwest::Client, String> {
        let make = || {
            let mut builder = builder(&self.options);
            if let Some(proxy) = &self.options.proxy {
                let except = self
                    .options
                    .no_proxy
                    .as_deref()
                    .and_then(NoProxy::from_string);
                let proxy = Proxy::all(proxy).map_err(|error| explain(&error.without_url()))?;
                builder = builder.proxy(proxy.no_proxy(except));
            }
            builder.build().map_err(|error| explain(&error))
        };
        self.public.get_or_init(make).as_ref().map_err(Clone::clone)
    }

    /// The client for a request, after the rules on where it may go.
    fn client_for(&self, request: &HttpRequest) -> Result<&reqwest::Client, String> {
        let local = is_loopback(&request.authority);
        match (request.scheme.as_str(), local) {
            ("http" | "https", true) => Ok(&self.local),
            ("http", false) if request.authority == METADATA => Ok(&self.local),
            ("https", false) => self.public(),
            ("http", false) => Err("plain http is for this machine only; use https".to_owned()),
            (scheme, _) => Err(format!("scheme '{scheme}' is neither http nor https")),
        }
    }
}

/// What both clients have in common. Proxies of the environment and redirects are off.
fn builder(options: &HttpOptions) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .timeout(options.timeout)
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let authority = request.authority.clone();
        let refused = |reason| TransportError::Refused {
            authority: authority.clone(),
            reason,
        };
        let client = self.client_for(&request).map_err(refused)?;
        let request = convert(request).map_err(refused)?;
        let failed = |error: reqwest::Error| classify(&authority, &error.without_url());
        let mut response = client.execute(request).await.map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.options.limit {
                let limit = self.options.limit;
                return Err(TransportError::TooLarge { authority, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: headers(response.headers()),
            body: body.freeze(),
        })
    }
}

fn convert(request: HttpRequest) -> Result<reqwest::Request, String> {
    let url: Url = request
        .url()
        .parse()
        .map_err(|_| "it has no valid address".to_owned())?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    // A target that was spelt otherwise would no longer be the one that was signed.
    if target != request.target {
        return Err("its target is not in canonical form".to_owned());
    }
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("method '{}' is not valid", request.method))?;
    let mut converted = reqwest::Request::new(method, url);
    for (name, value) in request.headers {
        let invalid = || format!("header {name} is not valid");
        let value = HeaderValue::from_str(&value).map_err(|_| invalid())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        converted.headers_mut().append(name, value);
    }
    *converted.body_mut() = Some(reqwest::Body::from(Bytes::clone(&request.body)));
    Ok(converted)
}

fn headers(map: &HeaderMap) -> crate::http::Headers {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn classify(authority: &str, error: &reqwest::Error) -> TransportError {
    let authority = authority.to_owned();
    let refused = causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        TransportError::ConnectionRefused { authority }
    } else if error.is_connect() {
        let detail = explain(error);
        TransportError::NoConnection { authority, detail }
    } else if error.is_timeout() {
        TransportError::Timeout { authority }
    } else {
        let detail = explain(error);
        TransportError::Broken { authority, detail }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The innermost cause, which says what happened; those around it say "error sending
/// request".
fn explain(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A port of this machine.
    fn local() -> String {
        format!("{}:1", Ipv4Addr::LOCALHOST)
    }

    fn request(scheme: &str, authority: &str) -> HttpRequest {
        HttpRequest {
            method: "POST".into(),
            scheme: scheme.into(),
            authority: authority.into(),
            target: "/?a=1".into(),
            headers: vec![("host".into(), authority.into())],
            body: Bytes::new(),
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let transport = HttpTransport::new(HttpOptions::default()).unwrap();
        assert!(transport.client_for(&request("http", &local())).is_ok());
        let disguised = format!("{}.example.org", Ipv4Addr::LOCALHOST);
        let beyond = Ipv4Addr::from_bits((Ipv4Addr::LOCALHOST.to_bits() | 0xFF_FFFF) + 1);
        for authority in ["ecs.aliyuncs.com".to_owned(), disguised, beyond.to_string()] {
            let error = transport
                .client_for(&request("http", &authority))
                .unwrap_err();
            assert!(error.contains("this machine only"), "{error}");
        }
        assert!(transport.client_for(&request("http", METADATA)).is_ok());
        assert!(transport.client_for(&request("ftp", &local())).is_err());
    }

    #[test]
    fn the_public_client_is_made_or_refused_and_never_a_panic() {
        let transport = HttpTransport::new(HttpOptions {
            proxy: Some(format!("http://{}", local())),
            no_proxy: Some("example.org".into()),
            ..HttpOptions::default()
        });
        // On a machine without certificates it is refused.
        let transport = transport.unwrap();
        let made = transport
            .client_for(&request("https", "ecs.aliyuncs.com"))
            .err();
        assert!(made.is_none_or(|reason| reason.to_lowercase().contains("certificate")));
    }

    #[test]
    fn a_target_is_sent_as_it_was_signed_or_not_at_all() {
        assert!(convert(request("http", &local())).is_ok());
        for target in ["/a/../b", "/?a='", "?a=1", "/?a=1#b", "/?a b"] {
            let odd = HttpRequest {
                target: target.into(),
                ..request("http", &local())
            };
            assert!(convert(odd).is_err(), "{target}");
        }
    }

    #[test]
    fn a_proxy_must_be_an_address() {
        let options = HttpOptions {
            proxy: Some("http://[".into()),
            ..HttpOptions::default()
        };
        assert!(matches!(
            HttpTransport::new(options),
            Err(TransportError::Refused { .. })
        ));
    }
}
