//! The client: signs calls, sends them, repeats what may be repeated, reads answers.
//!
//! Each attempt carries the same parameters, so the same `ClientToken`, with a new nonce,
//! time and signature. After a refused connection the resolver is asked again, so that
//! a local cloud that was started anew is found. What an error means is in [`class`], what
//! is repeated and when in [`retry`]; who waits for states is the engine.

mod call_error;
pub mod class;
pub mod retry;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use crate::action::Action;
use crate::credentials::Keyring;
use crate::credentials::keyring::KeyError;
use crate::endpoint::{Endpoint, EndpointError, Resolver};
use crate::error::{ApiError, ErrorCode};
use crate::http::HttpResponse;
use crate::id::RegionId;
use crate::params::{Params, to_params};
use crate::sign::{Call, SignatureGeneration, acs3, rpc};
use crate::transport::{Transport, TransportError};

pub use call_error::CallError;
pub use class::Class;
pub use retry::Retry;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Makes a text that no other request carries.
pub type Nonce = Arc<dyn Fn() -> String + Send + Sync>;
/// Waits between attempts.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Longest wait that a server may ask for between attempts.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Calls ECS for one account. Cheap to clone; clones share connections and endpoints.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Arc<dyn Transport>,
    keyring: Keyring,
    resolver: Resolver,
    generation: SignatureGeneration,
    retry: Retry,
    user_agent: String,
    now: Now,
    nonce: Nonce,
    sleep: Sleep,
    endpoints: Mutex<HashMap<RegionId, Endpoint>>,
}

/// Makes a [`Client`]. Without more it signs with ACS3, repeats as [`Retry::default`]
/// says, and uses the system's clock, random nonces and tokio's sleep.
pub struct Builder {
    inner: Inner,
}

impl Builder {
    /// Which signature is written.
    #[must_use]
    pub fn generation(mut self, generation: SignatureGeneration) -> Self {
        self.inner.generation = generation;
        self
    }

    /// What is repeated how often.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.inner.retry = retry;
        self
    }

    /// The text of the header `user-agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.inner.user_agent = user_agent.into();
        self
    }

    /// The clock that requests are signed by.
    #[must_use]
    pub fn now(mut self, now: Now) -> Self {
        self.inner.now = now;
        self
    }

    /// The source of nonces.
    #[must_use]
    pub fn nonce(mut self, nonce: Nonce) -> Self {
        self.inner.nonce = nonce;
        self
    }

    /// The wait between attempts.
    #[must_use]
    pub fn sleep(mut self, sleep: Sleep) -> Self {
        self.inner.sleep = sleep;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        Client {
            inner: Arc::new(self.inner),
        }
    }
}

impl Client {
    /// Begins a client that calls with these credentials: fixed ones, or a keyring that has
    /// them renewed.
    pub fn builder(
        transport: Arc<dyn Transport>,
        keyring: impl Into<Keyring>,
        resolver: Resolver,
    ) -> Builder {
        let inner = Inner {
            transport,
            keyring: keyring.into(),
            resolver,
            generation: SignatureGeneration::default(),
            retry: Retry::default(),
            user_agent: concat!("darkroom/", env!("CARGO_PKG_VERSION")).to_owned(),
            now: Arc::new(Timestamp::now),
            nonce: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            sleep: Arc::new(|duration| Box::pin(tokio::time::sleep(duration))),
            endpoints: Mutex::default(),
        };
        Builder { inner }
    }

    /// Whose calls these are, without any secret: clients of the same identity see the same
    /// things, so that one may ask for the other.
    pub fn identity(&self) -> String {
        self.inner.keyring.identity()
    }

    /// Calls an action in a region.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<A: Action>(
        &self,
        region: &RegionId,
        request: &A,
    ) -> Result<A::Response, CallError> {
        let params = to_params(request).map_err(|source| CallError::Request {
            action: A::NAME.to_owned(),
            region: region.clone(),
            source,
        })?;
        let answer = self.call_raw(region, A::NAME, A::VERSION, &params).await?;
        // ECS now and then writes null for what is absent.
        let answer = without_nulls(answer);
        A::Response::deserialize(&answer).map_err(|error| {
            let body = answer.to_string();
            CallError::response(A::NAME, region, 200, &error, body.as_bytes())
        })
    }

    /// Calls an action by its name, for callers whose operations are data.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_raw(
        &self,
        region: &RegionId,
        action: &str,
        version: &str,
        params: &Params,
    ) -> Result<Value, CallError> {
        let what = What {
            region,
            action,
            version,
            params,
        };
        // The library's `Retryable` makes a future that isn't `Send` for every lifetime;
        // its delays in a loop of our own are the same.
        let mut waits = self.inner.retry.waits();
        let mut attempts = 0;
        let mut renewed = false;
        loop {
            attempts += 1;
            let failure = match self.inner.attempt(&what).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // A key that had ended had no effect. Once, and at once: a second one that has
            // ended too was not granted to us, or the clock is wrong.
            if failure.renew && !renewed {
                renewed = true;
                continue;
            }
            let Some(delay) = failure
                .repeat
                .and_then(|class| waits.next(class, failure.wait))
            else {
                return Err(failure.into_error(&what, attempts));
            };
            tracing::debug!(action, %region, ?delay, cause = ?failure.cause, "calling again");
            (self.inner.sleep)(delay).await;
        }
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(name, field)| (name, without_nulls(field)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// One call, the same for all its attempts.
struct What<'a> {
    region: &'a RegionId,
    action: &'a str,
    version: &'a str,
    params: &'a Params,
}

/// An attempt that failed.
struct Failure {
    cause: Cause,
    /// As what it is repeated, if it is.
    repeat: Option<Class>,
    wait: Option<Duration>,
    /// The key had ended, and another one may be had.
    renew: bool,
}

#[derive(Debug)]
enum Cause {
    Endpoint(EndpointError),
    Keys(KeyError),
    Transport(TransportError),
    Api(Box<ApiError>),
    Response {
        response: HttpResponse,
        problem: String,
    },
}

impl Cause {
    fn is_ended_key(&self) -> bool {
        matches!(self, Self::Api(error) if error.code == ErrorCode::InvalidSecurityTokenExpired)
    }
}

impl Failure {
    fn final_(cause: Cause) -> Self {
        Self {
            cause,
            repeat: None,
            wait: None,
            renew: false,
        }
    }

    fn into_error(self, what: &What<'_>, attempts: u32) -> CallError {
        let (action, region) = (what.action.to_owned(), what.region.clone());
        match self.cause {
            Cause::Endpoint(source) => CallError::Endpoint {
                action,
                region,
                source,
            },
            Cause::Keys(source) => CallError::Keys {
                action,
                region,
                source,
            },
            Cause::Transport(source) => CallError::Transport {
                action,
                region,
                attempts,
                source,
            },
            Cause::Api(source) => CallError::Api {
                action,
                region,
                attempts,
                source,
            },
            Cause::Response { response, problem } => CallError::response(
                what.action,
                what.region,
                response.status,
                &problem,
                &response.body,
            ),
        }
    }
}

impl Inner {
    async fn attempt(&self, what: &What<'_>) -> Result<Value, Failure> {
        let endpoint = self.endpoint(what.region).await;
        let endpoint = endpoint.and_then(|found| found.of_version(what.version, what.region));
        let endpoint = endpoint.map_err(|error| Failure::final_(Cause::Endpoint(error)))?;
        let credentials = self.keyring.credentials().await.map_err(|error| Failure {
            repeat: error.passing.then_some(Class::Lost),
            ..Failure::final_(Cause::Keys(error))
        })?;
        let nonce = (self.nonce)();
        let call = Call {
            scheme: endpoint.scheme(),
            authority: endpoint.authority(),
            action: what.action,
            version: what.version,
            params: what.params,
            now: (self.now)(),
            nonce: &nonce,
            user_agent: &self.user_agent,
        };
        let request = match self.generation {
            SignatureGeneration::Rpc => rpc::sign(&call, &credentials),
            SignatureGeneration::Acs3 => acs3::sign(&call, &credentials),
        };
        match self.transport.send(request).await {
            Ok(response) => match read(what, response) {
                Err(failure) if failure.cause.is_ended_key() => {
                    let renew = self.keyring.ended(&credentials).await;
                    Err(Failure { renew, ..failure })
                }
                other => other,
            },
            Err(error) => {
                if matches!(error, TransportError::ConnectionRefused { .. }) {
                    self.endpoints().remove(what.region);
                }
                let safe = error.is_unseen() || retry::may_repeat(what.action, what.params);
                Err(Failure {
                    repeat: (error.is_retryable() && safe).then_some(Class::Lost),
                    ..Failure::final_(Cause::Transport(error))
                })
            }
        }
    }

    async fn endpoint(&self, region: &RegionId) -> Result<Endpoint, EndpointError> {
        let known = self.endpoints().get(region).cloned();
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        let endpoint = (self.resolver)(region.clone()).await?;
        self.endpoints().insert(region.clone(), endpoint.clone());
        Ok(endpoint)
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, HashMap<RegionId, Endpoint>> {
        // No code that holds it can leave it half changed.
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer.
fn read(what: &What<'_>, response: HttpResponse) -> Result<Value, Failure> {
    let may_repeat = || retry::may_repeat(what.action, what.params);
    if (200..300).contains(&response.status) {
        return serde_json::from_slice(&response.body).map_err(|error| {
            // It was done; doing it again would not make the answer better.
            let problem = format!("it is not JSON: {error}");
            Failure::final_(Cause::Response { response, problem })
        });
    }
    let fault = response.status >= 500;
    let Some(error) = ApiError::from_response(&response) else {
        let problem = "it is not an error of ECS".to_owned();
        return Err(Failure {
            repeat: (fault && may_repeat()).then_some(Class::Lost),
            ..Failure::final_(Cause::Response { response, problem })
        });
    };
    let class = Class::of_error(what.action, &error);
    let repeat = match class {
        Class::Throttling | Class::Busy => Some(class),
        Class::Fault | Class::Lost => may_repeat().then_some(class),
        Class::Passing | Class::NoStock | Class::Mistake => None,
    };
    let wait = response
        .header("x-acs-retry-after")
        .and_then(|text| text.parse().ok());
    Err(Failure {
        cause: Cause::Api(Box::new(error)),
        repeat,
        renew: false,
        wait: wait.map(|wait| Duration::from_millis(wait).min(LONGEST_WAIT)),
    })
}
