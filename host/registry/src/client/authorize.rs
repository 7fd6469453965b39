//! Who we are to a registry: its challenge, and tokens from its token service.
//!
//! A name and a password go to the registry itself, or to the token service that it names,
//! in https and to no other host by a redirect; on this machine a registry of this machine
//! may name one in plain http. Tokens are kept for less than the minute that the
//! [protocol] promises. The library is handed tokens and never asks for one. Nothing here
//! is printed or logged, also not what a token service says: it may repeat what it was
//! told.
//!
//! [protocol]: https://distribution.github.io/distribution/spec/auth/token/

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_auth::parser::ChallengeParser;
use oci_client::RegistryOperation;
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryToken, RegistryTokenType};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

use super::connection::{Connection, classify, is_safe};
use super::error::Fault;
use super::lock;
use super::read::{body, fault};
use crate::config::{Credentials, Secret};
use crate::name::shortened;

/// How long a token is used: tokens hold 60 s at least.
const TOKEN_AGE: Duration = Duration::from_secs(50);
/// Largest answer of a token service: some kilobytes, and tens where a token lists rights.
const TOKEN_LIMIT: u64 = 256 * 1024;
/// What messages call that answer.
const TOKEN_ANSWER: &str = "the answer of the registry's token service";

/// What a registry answers to somebody without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Nothing: it talks to anybody.
    Open,
    /// It wants a name and a password with each request.
    Basic,
    /// It wants a token of its token service.
    Bearer {
        /// The token service.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
    },
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Authorization {
    Nobody,
    Basic { username: String, password: Secret },
    Token(Secret),
}

impl Authorization {
    pub(super) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose()))
            }
            Self::Token(token) => request.bearer_auth(token.expose()),
        }
    }
}

/// What a request is for. Registries give tokens that allow no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Right {
    Read,
    Write,
}

impl Right {
    /// As the token service is asked for it. Without a repository it is the list of all.
    fn scope(self, repository: &str) -> String {
        match (repository, self) {
            ("", _) => "registry:catalog:*".into(),
            (_, Self::Read) => format!("repository:{repository}:pull"),
            (_, Self::Write) => format!("repository:{repository}:pull,push"),
        }
    }
}

/// What each request carries. A token is asked for by one at a time, and different ones
/// at once.
pub(super) type Tokens = HashMap<(String, Right), Arc<AsyncMutex<Option<Token>>>>;
type Token = (Authorization, Instant);

impl Connection {
    /// What a request for a repository carries. With `anew`, what is known is forgotten.
    pub(super) async fn authorize(
        &self,
        repository: &str,
        right: Right,
        anew: bool,
    ) -> Result<Authorization, Fault> {
        let key = (repository.to_owned(), right);
        let mine = Arc::clone(lock(&self.tokens).entry(key).or_default());
        // Held over the exchange: ten blobs at once ask for one token.
        let mut mine = mine.lock().await;
        match &*mine {
            Some((authorization, since)) if !anew && since.elapsed() < TOKEN_AGE => {
                return Ok(authorization.clone());
            }
            _ => {}
        }
        let authorization = self.exchange(repository, right).await?;
        *mine = Some((authorization.clone(), Instant::now()));
        Ok(authorization)
    }

    /// `: ` and what a server said, for a message; nothing where it repeats a secret.
    pub(super) fn scrub(&self, said: &str, authorization: &Authorization) -> String {
        let token = match authorization {
            Authorization::Token(token) => Some(token),
            Authorization::Nobody | Authorization::Basic { .. } => None,
        };
        let password = match self.credentials.get() {
            Some(Credentials::Basic { password, .. }) => Some(password),
            Some(Credentials::Bearer(token)) => Some(token),
            Some(Credentials::Anonymous) | None => None,
        };
        let mut secrets = token.into_iter().chain(password);
        if said.is_empty() || secrets.any(|secret| said.contains(secret.expose())) {
            return String::new();
        }
        // A name and a password as they are sent.
        if said.to_lowercase().contains("basic ") || said.to_lowercase().contains("bearer ") {
            return String::new();
        }
        format!(": {}", shortened(said))
    }

    /// Whether somebody asks.
    pub(super) fn is_known(&self) -> bool {
        let credentials = self.credentials.get();
        credentials.is_some_and(|known| *known != Credentials::Anonymous)
    }

    async fn exchange(&self, repository: &str, right: Right) -> Result<Authorization, Fault> {
        let credentials = self.credentials.get().cloned().unwrap_or_default();
        let challenge = self
            .challenge
            .get_or_try_init(|| self.challenge())
            .await?
            .clone();
        let authorization = match (challenge, credentials) {
            (_, Credentials::Bearer(token)) => Authorization::Token(token),
            (Challenge::Bearer { realm, service }, credentials) => {
                let scope = right.scope(repository);
                let token = self.token(&realm, service.as_deref(), &scope, &credentials);
                token.await?
            }
            // Some want none to read and one to write, and say nothing before.
            (_, Credentials::Basic { username, password }) => {
                Authorization::Basic { username, password }
            }
            (_, Credentials::Anonymous) => Authorization::Nobody,
        };
        if right == Right::Write {
            self.hand_over(repository, &authorization).await?;
        }
        Ok(authorization)
    }

    /// Lets the library write as somebody.
    async fn hand_over(
        &self,
        repository: &str,
        authorization: &Authorization,
    ) -> Result<(), Fault> {
        let (kind, auth) = match authorization {
            Authorization::Nobody => return Ok(()),
            Authorization::Basic { username, password } => {
                let (username, password) = (username.clone(), password.expose().to_owned());
                let kind = RegistryTokenType::Basic(username.clone(), password.clone());
                (kind, RegistryAuth::Basic(username, password))
            }
            Authorization::Token(token) => {
                // The library would panic at it.
                if HeaderValue::from_str(token.expose()).is_err() {
                    return Err(Fault::Malformed {
                        what: "the token",
                        why: "it has characters that no token has".into(),
                    });
                }
                let token = token.expose().to_owned();
                let auth = RegistryAuth::Bearer(token.clone());
                let kind = RegistryTokenType::Bearer(RegistryToken::Token { token });
                (kind, auth)
            }
        };
        let reference = self.reference(repository, "latest");
        let library = self.library().await?;
        // It looks for a token only where it knows somebody. It never asks for one: a
        // name and a password are used as they are, and so is the token that it knows.
        let registry = reference.resolve_registry();
        library.store_auth_if_needed(registry, &auth).await;
        let operation = RegistryOperation::Push;
        library.tokens.insert(&reference, operation, kind).await;
        Ok(())
    }

    async fn challenge(&self) -> Result<Challenge, Fault> {
        let answer = self
            .http
            .get(self.url("/v2/")?)
            .send()
            .await
            .map_err(classify)?;
        let status = answer.status();
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(fault(&answer, String::new(), false));
        }
        let mut challenge = Challenge::Open;
        for header in answer.headers().get_all(WWW_AUTHENTICATE) {
            for one in ChallengeParser::new(header.to_str().unwrap_or_default()).flatten() {
                let said = |name: &str| {
                    let all = &one.params;
                    let found = all.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if one.scheme.eq_ignore_ascii_case("bearer") {
                    return Ok(Challenge::Bearer {
                        realm: said("realm").unwrap_or_default(),
                        service: said("service"),
                    });
                }
                if one.scheme.eq_ignore_ascii_case("basic") {
                    challenge = Challenge::Basic;
                }
            }
        }
        Ok(challenge)
    }

    /// Asks the token service that the registry has named ([protocol]).
    ///
    /// [protocol]: https://distribution.github.io/distribution/spec/auth/token/
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credentials: &Credentials,
    ) -> Result<Authorization, Fault> {
        let mut url: Url = realm.parse().map_err(|_| Fault::Malformed {
            what: "the registry's challenge",
            why: "its realm is no address".into(),
        })?;
        if !is_safe(&url, self.local) {
            return Err(Fault::PlainToken {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        let service = service.map(|service| ("service", service));
        url.query_pairs_mut()
            .extend_pairs(service.into_iter().chain([("scope", scope)]));
        let (sent, known) = match credentials {
            Credentials::Basic { username, password } => {
                let (username, password) = (username.clone(), password.clone());
                (Authorization::Basic { username, password }, true)
            }
            Credentials::Anonymous | Credentials::Bearer(_) => (Authorization::Nobody, false),
        };
        let request = sent.apply(self.http.get(url));
        let mut answer = request.send().await.map_err(classify)?;
        match answer.status().as_u16() {
            200 => {}
            429 | 500.. => return Err(fault(&answer, String::new(), known)),
            _ => return Err(Fault::NoToken { known }),
        }
        let bytes = body(&mut answer, TOKEN_ANSWER, None, TOKEN_LIMIT).await?;
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = |key| json.get(key).and_then(Value::as_str);
        let token = token("token").or_else(|| token("access_token"));
        let token = token.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Fault::Malformed {
            what: TOKEN_ANSWER,
            why: "it has no token".into(),
        })?;
        Ok(Authorization::Token(Secret::new(token)))
    }

    /// The library's word for a place. A digest goes where a tag goes: the address is the
    /// same, and the library panics at some answers to one that it knows for a digest.
    pub(super) fn reference(&self, repository: &str, at: &str) -> oci_client::Reference {
        oci_client::Reference::with_tag(self.address().into(), repository.into(), at.into())
    }
}
