//! Ways to carry a request to a server and its response back.
//!
//! A transport sends a request once and as it is: signing, retrying and reading the
//! answer are the [`client`](crate::client)'s. No transport follows a redirect: a
//! signed request belongs to the server that it was signed for.

mod http;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::http::{HttpRequest, HttpResponse};

pub use http::{HttpOptions, HttpTransport};

/// The metadata service of every ECS instance: the one address beyond this machine that is
/// reached by plain HTTP, because it has nothing else. It ends at the host of the instance.
pub const METADATA: &str = "100.100.100.200";

/// Carries requests. Cheap to call from many tasks at once.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and reads the whole response, whatever its status.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// Why no response came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody listens there: the request was surely not seen.
    #[error("connection to {authority} refused")]
    ConnectionRefused {
        /// Host and port.
        authority: String,
    },
    /// No connection for another reason (name, route, TLS): the request was not seen.
    #[error("no connection to {authority}: {detail}")]
    NoConnection {
        /// Host and port.
        authority: String,
        /// What the system said.
        detail: String,
    },
    /// No answer in time. The request may have taken effect.
    #[error("no answer from {authority} in time")]
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// The connection broke before the answer was complete. The request may have taken
    /// effect.
    #[error("the connection to {authority} broke: {detail}")]
    Broken {
        /// Host and port.
        authority: String,
        /// What the system said.
        detail: String,
    },
    /// The answer is larger than an answer of ECS can be.
    #[error("the answer of {authority} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        authority: String,
        /// The limit.
        limit: usize,
    },
    /// The request was not sent, and sending it again would not help.
    #[error("request to {authority} refused: {reason}")]
    Refused {
        /// Host and port.
        authority: String,
        /// Why.
        reason: String,
    },
}

impl TransportError {
    /// Whether the server surely never saw the request, so that repeating it is safe.
    pub fn is_unseen(&self) -> bool {
        matches!(
            self,
            Self::ConnectionRefused { .. } | Self::NoConnection { .. } | Self::Refused { .. }
        )
    }

    /// Whether sending it again may help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }
}

/// What a [`MemoryTransport`] hands requests to.
pub type Handler = Arc<
    dyn Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, TransportError>> + Send + Sync,
>;

/// Hands requests to a function in this process, with the same bytes as on a socket.
#[derive(Clone)]
pub struct MemoryTransport(pub Handler);

#[async_trait]
impl Transport for MemoryTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        (self.0)(request).await
    }
}
