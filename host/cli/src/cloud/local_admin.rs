//! The admin API of the local cloud, as the verbs of `darkroom local` use it.
//!
//! It goes through the same transport as everything else, which never uses a proxy for
//! loopback. The token comes from `server.json`, which only its owner can read.

use bytes::Bytes;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::transport::{HttpOptions, HttpTransport, Transport, TransportError};
use darkroom_local::admin::{Ping, Status};
use darkroom_local::files::ServerFile;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Why the admin API didn't do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("the local cloud could not be asked to {what}")]
    Transport {
        what: &'static str,
        #[source]
        source: TransportError,
    },
    #[error("the local cloud refused to {what}: {message}")]
    Refused {
        what: &'static str,
        message: String,
        hint: Option<String>,
    },
    #[error("the local cloud gave an answer to {what} that makes no sense")]
    Answer {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let hint = match &error {
            AdminError::Refused { hint, .. } => hint.clone(),
            _ => None,
        };
        hint.into_iter().fold(Self::cloud(error), Self::hint)
    }
}

/// The admin API of one server.
#[derive(Debug)]
pub(crate) struct Admin<'s> {
    server: &'s ServerFile,
}

impl<'s> Admin<'s> {
    pub(crate) fn new(server: &'s ServerFile) -> Self {
        Self { server }
    }

    /// Who answers.
    pub(crate) async fn ping(&self) -> Result<Ping, AdminError> {
        self.json("answer", "GET", "ping", None).await
    }

    /// Asks it to leave. Instances go on.
    pub(crate) async fn stop(&self) -> Result<(), AdminError> {
        self.send("leave", "POST", "stop", None).await.map(drop)
    }

    /// Removes everything in it; with running instances only by force.
    pub(crate) async fn reset(&self, force: bool) -> Result<Value, AdminError> {
        let wish = Some(json!({ "force": force }));
        self.json("remove everything", "POST", "reset", wish).await
    }

    /// What is in it and what it does.
    pub(crate) async fn status(&self) -> Result<Status, AdminError> {
        self.json("tell its status", "GET", "status", None).await
    }

    /// What would be billed now.
    pub(crate) async fn ledger(&self) -> Result<Value, AdminError> {
        self.json("tell what is billed", "GET", "ledger", None)
            .await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        what: &'static str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, AdminError> {
        let body = self.send(what, method, path, body).await?;
        serde_json::from_slice(&body).map_err(|source| AdminError::Answer { what, source })
    }

    async fn send(
        &self,
        what: &'static str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Bytes, AdminError> {
        let failed = |source| AdminError::Transport { what, source };
        let url = &self.server.url;
        let (scheme, authority) = url.split_once("://").unwrap_or(("http", url));
        let request = HttpRequest {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target: format!("/-/{path}"),
            headers: vec![
                ("Host".to_owned(), authority.to_owned()),
                (
                    "Authorization".to_owned(),
                    format!("Bearer {}", self.server.token),
                ),
            ],
            body: body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())),
        };
        let transport = HttpTransport::new(HttpOptions::default()).map_err(failed)?;
        let response = transport.send(request).await.map_err(failed)?;
        if (200..300).contains(&response.status) {
            return Ok(response.body);
        }
        let json: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        Err(AdminError::Refused {
            what,
            message: text("error").unwrap_or_else(|| format!("HTTP {}", response.status)),
            hint: text("hint"),
        })
    }
}
