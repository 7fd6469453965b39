//! [`Connection`]: one registry's host, with what is known of it.
//!
//! `Client` keeps one for each host. Two things speak here: our own requests, which read
//! (`read.rs`) and get tokens (`authorize.rs`), and the library, which writes
//! (`write.rs`). The library reads bodies of any length into memory and tells neither
//! headers nor `Retry-After`, so it is not asked to read.
//!
//! Plain http is for registries of this machine, and so is a redirect into it; proxies
//! come from the settings, never from the environment. `Authorization` never follows a
//! redirect to another host, port or scheme. Redirects of what the library writes are
//! followed by its own rule, which knows no such scheme: what is published isn't secret,
//! and `Authorization` stays behind there too. Nothing here knows manifests.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy, Url};
use tokio::sync::OnceCell;

use super::authorize::{Challenge, Tokens};
use super::error::Fault;
use super::settings::Settings;
use crate::config::Credentials;
use crate::config::wkg::Options;

/// Redirects that are followed; a blob is one or two away from its registry.
const MOST_REDIRECTS: usize = 5;
/// What we call ourselves.
const USER_AGENT: &str = concat!("darkroom/", env!("CARGO_PKG_VERSION"));

pub(super) struct Connection {
    pub(super) host: String,
    pub(super) plain: bool,
    /// Whether it is on this machine.
    pub(super) local: bool,
    pub(super) http: reqwest::Client,
    library: OnceCell<oci_client::Client>,
    pub(super) credentials: OnceCell<Credentials>,
    pub(super) challenge: OnceCell<Challenge>,
    pub(super) tokens: Mutex<Tokens>,
    options: Options,
    settings: Settings,
}

impl Connection {
    pub(super) fn new(host: &str, options: Options, settings: &Settings) -> Result<Self, Fault> {
        // Another part of the process may have chosen a provider already; any will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let local = is_loopback(host);
        // On this machine registries rarely have certificates.
        let plain = options.plain.unwrap_or(local);
        if plain && !local {
            return Err(Fault::Plain);
        }
        let http = builder(local, &options, settings)?
            .build()
            .map_err(|error| Fault::Setup {
                why: explain(&error),
            })?;
        Ok(Self {
            host: host.to_owned(),
            plain,
            local,
            http,
            library: OnceCell::new(),
            credentials: OnceCell::new(),
            challenge: OnceCell::new(),
            tokens: Mutex::default(),
            options,
            settings: settings.clone(),
        })
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, Fault> {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://{}{path}", self.address())
            .parse()
            .map_err(|_| Fault::NoConnection {
                detail: "it has no valid address".into(),
            })
    }

    /// Docker Hub answers under another name than people write.
    pub(super) fn address(&self) -> &str {
        match self.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        }
    }

    /// The library's half, made when it is first needed.
    pub(super) async fn library(&self) -> Result<&oci_client::Client, Fault> {
        self.library
            .get_or_try_init(|| async {
                oci_client::Client::try_from(self.library_config()).map_err(|error| Fault::Setup {
                    why: error.to_string(),
                })
            })
            .await
    }

    fn library_config(&self) -> ClientConfig {
        let roots = || {
            let pem = |data: &Vec<u8>| Certificate {
                encoding: CertificateEncoding::Pem,
                data: data.clone(),
            };
            self.options.roots.iter().map(pem).collect()
        };
        let local = self.local;
        // With a proxy set, the library's connections don't look for one in the
        // environment; with everything excepted, none is used.
        let none = || Some("http://localhost".to_owned());
        let proxy = self.settings.proxy.clone().filter(|_| !local);
        let no_proxy = match &proxy {
            Some(_) => self.settings.no_proxy.clone(),
            None => Some("*,0.0.0.0/0,::/0".to_owned()),
        };
        ClientConfig {
            protocol: if self.plain {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            tls_certs_only: if local { roots() } else { Vec::new() },
            extra_root_certificates: if local { Vec::new() } else { roots() },
            platform_resolver: None,
            connect_timeout: Some(self.settings.connect_timeout),
            read_timeout: Some(self.settings.read_timeout),
            user_agent: USER_AGENT,
            https_proxy: proxy.clone().or_else(none),
            http_proxy: proxy.or_else(none),
            no_proxy,
            ..ClientConfig::default()
        }
    }
}

fn builder(
    local: bool,
    options: &Options,
    settings: &Settings,
) -> Result<reqwest::ClientBuilder, Fault> {
    let setup = |error: reqwest::Error| Fault::Setup {
        why: explain(&error.without_url()),
    };
    let mut roots = Vec::new();
    for pem in &options.roots {
        roots.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?);
    }
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .referer(false)
        .user_agent(USER_AGENT)
        .redirect(redirects(local))
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout);
    if local {
        return Ok(builder.tls_certs_only(roots));
    }
    if let Some(proxy) = &settings.proxy {
        let except = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
        builder = builder.proxy(Proxy::all(proxy).map_err(setup)?.no_proxy(except));
    }
    Ok(builder.tls_certs_merge(roots))
}

/// Why a redirect isn't followed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there are more than {MOST_REDIRECTS}")]
    TooMany,
    #[error("it leads to {0} in plain http")]
    Plain(String),
}

/// reqwest drops `Authorization` when host, port or scheme change.
fn redirects(local: bool) -> Policy {
    Policy::custom(move |attempt| {
        if attempt.previous().len() > MOST_REDIRECTS {
            return attempt.error(Refusal::TooMany);
        }
        if is_safe(attempt.url(), local) {
            attempt.follow()
        } else {
            let host = attempt.url().host_str().unwrap_or_default().to_owned();
            attempt.error(Refusal::Plain(host))
        }
    })
}

/// Whether an address that a registry names may be followed: in https, or on this machine
/// if the registry is there as well. One that isn't has no business with what listens here:
/// any user of this machine could be that.
pub(super) fn is_safe(url: &Url, local: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => local && url.host_str().is_some_and(is_loopback),
        _ => false,
    }
}

/// Whether a host, with or without a port, is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What a failed request means. The address goes: those of redirects carry signatures.
pub(super) fn classify(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let refused = causes(&error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::ConnectionRefused);
    let detail = explain(&error);
    if refused {
        Fault::Refused
    } else if error.is_redirect() {
        Fault::Redirect { why: detail }
    } else if error.is_timeout() {
        Fault::Timeout
    } else if error.is_connect() {
        Fault::NoConnection { detail }
    } else {
        Fault::Broken { detail }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// The innermost cause; those around it say "error sending request".
pub(super) fn explain(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_of_this_machine_names_plain_http_on_it() {
        let safe = |url: &str, local| is_safe(&url.parse().expect("an address"), local);
        for (url, of_local, of_other) in [
            ("https://auth.example/token", true, true),
            ("http://localhost:1234/token", true, false),
            ("http://[::1]:1234/token", true, false),
            ("http://auth.example/token", false, false),
            ("ftp://localhost/token", false, false),
        ] {
            assert_eq!(
                (safe(url, true), safe(url, false)),
                (of_local, of_other),
                "{url}"
            );
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let options = || Options {
            plain: Some(true),
            ..Options::default()
        };
        for local in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.8.8",
            "[::1]:5000",
        ] {
            assert!(is_loopback(local), "{local}");
            assert!(Connection::new(local, options(), &Settings::default()).is_ok());
        }
        for other in [
            "ghcr.io",
            "127.0.0.1.example.org",
            "10.0.0.1:5000",
            "localhost.example.org",
        ] {
            assert!(!is_loopback(other), "{other}");
            let made = Connection::new(other, options(), &Settings::default());
            assert!(matches!(made.err(), Some(Fault::Plain)), "{other}");
        }
    }
}
