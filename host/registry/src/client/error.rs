//! [`RegistryError`]: what was tried, with which place, and the [`Fault`] that stopped it.
//!
//! Everything that speaks to a registry ends in one. Texts of servers are shortened and
//! scrubbed of secrets before they come here; addresses are never shown, because those
//! of redirects carry signatures. Nothing here decides what is tried again but
//! [`Fault::may_pass`].

use std::time::Duration;

use crate::config::ConfigError;
use crate::config::docker::CredentialError;
use crate::digest::Digest;

/// Something that a registry didn't do.
#[derive(Debug, thiserror::Error)]
#[error("can't {doing} {subject}")]
pub struct RegistryError {
    /// What was tried, such as `read the manifest of`.
    pub doing: &'static str,
    /// What with: `registry/repository:tag`, or less.
    pub subject: String,
    /// The host.
    pub registry: String,
    /// Why not.
    #[source]
    pub fault: Box<Fault>,
}

/// Why a registry didn't do something.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// No connection for another reason (name, route, TLS).
    #[error("no connection: {detail}")]
    NoConnection {
        /// What the system said.
        detail: String,
    },
    /// No answer, or no complete one, in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {detail}")]
    Broken {
        /// What the system said.
        detail: String,
    },
    /// 401.
    #[error("{}", if *known { "the registry doesn't accept the credentials (401)" } else { "the registry wants credentials (401)" })]
    Unauthorized {
        /// Whether credentials were sent.
        known: bool,
    },
    /// The token service refused.
    #[error("the registry's token service gave no token")]
    NoToken {
        /// Whether credentials were sent.
        known: bool,
    },
    /// 403.
    #[error("the registry forbids it (403){message}")]
    Forbidden {
        /// `: ` and what it said, or nothing.
        message: String,
    },
    /// 404.
    #[error("the registry has no such thing (404)")]
    NotFound,
    /// 429.
    #[error("the registry wants fewer requests (429){}", wait.map(|wait| format!(", and none for {} s", wait.as_secs())).unwrap_or_default())]
    TooMany {
        /// Its `Retry-After`.
        wait: Option<Duration>,
    },
    /// 5xx.
    #[error("the registry failed ({status}){message}")]
    Server {
        /// The status.
        status: u16,
        /// Its `Retry-After`.
        wait: Option<Duration>,
        /// `: ` and what it said, or nothing.
        message: String,
    },
    /// A status that has no meaning here.
    #[error("the registry answered {status}{message}")]
    Unexpected {
        /// The status.
        status: u16,
        /// `: ` and what it said, or nothing.
        message: String,
    },
    /// More than may be.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much may be.
        limit: u64,
    },
    /// Less than was announced.
    #[error("it ended after {found} of {expected} bytes")]
    Truncated {
        /// What was announced.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Other bytes than those that were asked for.
    #[error("its bytes are {found}, not {expected}")]
    WrongDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// An answer that can't be read.
    #[error("{what} can't be read: {why}")]
    Malformed {
        /// The answer.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Plain http to one that speaks https, on this machine.
    #[error("it speaks https, and was spoken to in plain http")]
    WantsHttps,
    /// Plain http to another machine.
    #[error("plain http is for this machine only")]
    Plain,
    /// A token service that is reached in plain http.
    #[error("the registry's token service at {host} is reached in plain http")]
    PlainToken {
        /// Its host.
        host: String,
    },
    /// A redirect that isn't followed.
    #[error("the registry's redirect is not followed: {why}")]
    Redirect {
        /// Why.
        why: String,
    },
    /// The credentials couldn't be had.
    #[error("the credentials can't be had")]
    Credentials(#[source] CredentialError),
    /// A connection can't be set up, with anybody.
    #[error("https can't be set up: {why}")]
    Setup {
        /// Why.
        why: String,
    },
    /// No configuration says where to look.
    #[error(transparent)]
    Nowhere(ConfigError),
}

impl Fault {
    /// Whether the same request may succeed in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::NoConnection { .. }
                | Self::Timeout
                | Self::Broken { .. }
                | Self::TooMany { .. }
                | Self::Server { .. }
                | Self::Truncated { .. }
        )
    }

    /// How long the registry wants to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany { wait } | Self::Server { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl RegistryError {
    /// Whether the registry says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(*self.fault, Fault::NotFound)
    }

    /// What to do.
    pub fn hint(&self) -> String {
        let registry = &self.registry;
        let login =
            format!("log in with `docker login {registry}`, or add it to wkg's config.toml");
        match &*self.fault {
            Fault::Refused | Fault::NoConnection { .. } => {
                format!("is {registry} right, and does it run?")
            }
            Fault::Timeout | Fault::Broken { .. } | Fault::Server { .. } => {
                format!("try again; if it stays so, ask those who run {registry}")
            }
            Fault::Unauthorized { known: false } | Fault::NoToken { known: false } => login,
            Fault::Unauthorized { known: true } | Fault::NoToken { known: true } => {
                format!("the credentials may be wrong or old: {login}")
            }
            Fault::Forbidden { .. } => {
                format!(
                    "whoever is logged in at {registry} may not do this; ask for the right, or {login}"
                )
            }
            Fault::NotFound => "look at the name and the version; a registry also says this of \
                                what one may not see"
                .into(),
            Fault::TooMany { .. } => "wait, or log in: many registries allow more then".into(),
            Fault::Unexpected { .. } | Fault::Malformed { .. } => {
                format!("is {registry} an OCI registry?")
            }
            Fault::TooLarge { .. } => {
                "it is not what it should be, or made to fill memories".into()
            }
            Fault::Truncated { .. } => "try again".into(),
            Fault::WrongDigest { .. } => {
                format!("{registry}, or something before it, alters what it holds; don't use it")
            }
            Fault::WantsHttps => format!(
                "say so in wkg's config.toml: [registry.\"{registry}\".oci] with protocol = \"https\""
            ),
            Fault::Plain => format!("use https for {registry}"),
            Fault::PlainToken { .. } => "credentials are not sent there; it must be https".into(),
            Fault::Redirect { .. } => format!("ask those who run {registry}"),
            Fault::Credentials(error) => error.hint(),
            Fault::Setup { .. } => "look at the certificates and the proxy".into(),
            Fault::Nowhere(error) => error.hint(),
        }
    }
}
