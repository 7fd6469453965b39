//! The cloud as a function from request to response, whatever carries the bytes.
//!
//! Used by [`mod@crate::serve`] behind a listener, and directly by tests and simulations
//! through [`Service::transport`]. A request is checked (`auth`), recorded,
//! done (`action`) and answered. Its work goes on when the one who asked has
//! hung up, and ends only with the service: dropping it ends all tasks where they are,
//! like a kill does, and the next [`Service::open`] on the folder goes on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use darkroom_ecs::action::ACTIONS;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::params::Params;
use darkroom_ecs::sign::{Claims, Format, SignatureGeneration};
use darkroom_ecs::transport::{MemoryTransport, TransportError};
use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::action::{self, Context, hex};
use crate::admin;
use crate::answer::render;
use crate::auth;
use crate::clock::{Clock, SystemClock, after};
use crate::cloud::{Cloud, OpenError};
use crate::driver::Driver;
use crate::fault::Fault;
use crate::fault_plan::FaultKind;
use crate::files::{self, Account};
use crate::network::Range;
use crate::sandbox::{Sandbox, Settings as SandboxSettings};
use crate::sim::Sim;
use crate::state::requests::{self, Recorded};
use crate::state::store::StoreError;

/// What runs the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// Nothing: results are scripted.
    Sim,
    /// Namespaces of this machine.
    Sandbox,
}

impl DriverKind {
    /// The driver's name for people and for the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Sandbox => "sandbox",
        }
    }
}

/// What a cloud is made of.
#[derive(Clone)]
pub struct Settings {
    /// Its folder; made if it isn't there.
    pub root: PathBuf,
    /// Where bases are kept.
    pub cache: PathBuf,
    /// What runs the instances.
    pub driver: DriverKind,
    /// The program that supervisors are started from.
    pub executable: PathBuf,
    /// What stands before the folder on a supervisor's command line; none: the verb
    /// of the command line, `local supervise`.
    pub arguments: Option<Vec<OsString>>,
    /// The build that this is.
    pub build_id: String,
    /// The range of the instances' addresses; none: one that this machine doesn't
    /// route. Looked at only when the cloud is made.
    pub range: Option<Range>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// The usual settings: the machine's time, a range of its own choice.
    pub fn new(root: impl Into<PathBuf>, driver: DriverKind) -> Self {
        let root = root.into();
        Self {
            cache: root.join("cache"),
            root,
            driver,
            executable: PathBuf::new(),
            arguments: None,
            build_id: String::new(),
            range: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A running cloud.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<Inner>,
    /// Ends the cloud's tasks with the last handle; the tasks don't hold it.
    _end: Arc<DropGuard>,
}

/// What all handles of a service share.
pub(crate) struct Inner {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) sim: Option<Sim>,
    pub(crate) driver: DriverKind,
    pub(crate) root: PathBuf,
    pub(crate) build_id: String,
    pub(crate) token: String,
    /// The values of `Host` that are this cloud; empty: anything.
    pub(crate) hosts: RwLock<Vec<String>>,
    /// The admin API was asked to stop.
    pub(crate) stop: Notify,
}

impl Service {
    /// Brings a cloud up and goes on with what it had promised. Only one service may
    /// be open on a folder; whoever serves it to others holds the folder's lock.
    ///
    /// # Errors
    /// When the folder or the driver can't be used.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        files::make_private_folder(&settings.root)?;
        let clock = Arc::clone(&settings.clock);
        let (driver, sim): (Arc<dyn Driver>, Option<Sim>) = match settings.driver {
            DriverKind::Sim => {
                let sim = Sim::open(&settings.root, Arc::clone(&clock))?;
                sim.recall().await?;
                (Arc::new(sim.clone()), Some(sim))
            }
            DriverKind::Sandbox => {
                let mut sandbox = SandboxSettings::new(
                    &settings.root,
                    &settings.cache,
                    &settings.executable,
                    &settings.build_id,
                );
                if let Some(arguments) = settings.arguments {
                    sandbox.arguments = arguments;
                }
                (Arc::new(Sandbox::new(sandbox)), None)
            }
        };
        let end = CancellationToken::new();
        let guard = end.clone().drop_guard();
        let cloud = Cloud::open(&settings.root, driver, clock, settings.range, end).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                cloud,
                sim,
                driver: settings.driver,
                root: settings.root,
                build_id: settings.build_id,
                token: files::random_text(32),
                hosts: RwLock::new(Vec::new()),
                stop: Notify::new(),
            }),
            _end: Arc::new(guard),
        })
    }

    /// The cloud's accounts.
    pub fn accounts(&self) -> &[Account] {
        &self.inner.cloud.accounts
    }

    /// The admin API's token.
    pub fn token(&self) -> &str {
        &self.inner.token
    }

    /// The cloud's folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Says under which names the cloud is reached; requests to others are refused.
    pub fn set_hosts(&self, hosts: Vec<String>) {
        *self
            .inner
            .hosts
            .write()
            .unwrap_or_else(PoisonError::into_inner) = hosts;
    }

    /// A transport that hands requests over in memory, with the same bytes.
    pub fn transport(&self) -> MemoryTransport {
        let service = self.clone();
        MemoryTransport(Arc::new(move |request| {
            let service = service.clone();
            async move {
                let authority = request.authority.clone();
                match service.answer(request).await {
                    Answer::Response(response) => Ok(response),
                    Answer::Lost => Err(TransportError::Broken {
                        authority,
                        detail: "lost, as the fault plan says".to_owned(),
                    }),
                }
            }
            .boxed()
        }))
    }

    /// Answers a request that no fault plan is about, such as the admin API's.
    pub async fn call(&self, request: HttpRequest) -> HttpResponse {
        match self.answer(request).await {
            Answer::Response(response) => response,
            Answer::Lost => unavailable(),
        }
    }

    /// Answers a request. Its work is done even if nobody waits for the answer.
    pub async fn answer(&self, request: HttpRequest) -> Answer {
        let inner = Arc::clone(&self.inner);
        let end = inner.cloud.end.clone();
        let work = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end.cancelled() => None,
                response = handle(&inner, request) => Some(response),
            }
        });
        match work.await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Answer::Response(unavailable()),
        }
    }
}

/// What comes of a request.
#[derive(Debug)]
pub enum Answer {
    /// An answer.
    Response(HttpResponse),
    /// The connection breaks instead, as a fault plan says. Whether anything was done
    /// is not for the client to know.
    Lost,
}

fn unavailable() -> HttpResponse {
    HttpResponse {
        status: 503,
        headers: Vec::new(),
        body: bytes::Bytes::from_static(
            b"{\"Code\":\"ServiceUnavailable\",\"Message\":\"the local cloud is leaving\"}",
        ),
    }
}

async fn handle(inner: &Arc<Inner>, request: HttpRequest) -> Answer {
    if request.path().starts_with(admin::PREFIX) {
        return Answer::Response(admin::handle(inner, &request).await);
    }
    let request_id = uuid::Uuid::new_v4().to_string().to_uppercase();
    let hosts = inner
        .hosts
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match auth::check(&inner.cloud, &hosts, &request).await {
        Ok((account, claims)) => serve(inner, &account, claims, request_id).await,
        Err(fault) => Answer::Response(refuse(inner, &request, fault, &request_id).await),
    }
}

/// Answers a request whose signature was refused. Nothing of it is believed; what it
/// says it wants is only recorded.
async fn refuse(
    inner: &Arc<Inner>,
    request: &HttpRequest,
    fault: Fault,
    request_id: &str,
) -> HttpResponse {
    let newer = request.header("authorization").is_some();
    let record = Recorded {
        number: 0,
        at: inner.cloud.clock.now(),
        account: None,
        region: None,
        action: request
            .header("x-acs-action")
            .unwrap_or("unknown")
            .chars()
            .take(64)
            .collect(),
        signature: if newer { "ACS3" } else { "RPC" }.to_owned(),
        params: Map::new(),
        status: Some(fault.status),
        code: Some(fault.code.to_string()),
        request_id: request_id.to_owned(),
    };
    let kept = inner
        .cloud
        .store
        .note(move |tx| requests::add(tx, &record))
        .await;
    if let Err(error) = kept {
        tracing::error!(%error, "a refused request is not recorded");
    }
    let json = newer || request.query().to_ascii_lowercase().contains("format=json");
    let format = if json { Format::Json } else { Format::Xml };
    render("", format, request_id, Err(fault))
}

async fn serve(
    inner: &Arc<Inner>,
    account: &Account,
    claims: Claims,
    request_id: String,
) -> Answer {
    let cloud = &inner.cloud;
    let mut record = record(account, &claims, &request_id, cloud.clock.now());
    let mutating = ACTIONS
        .iter()
        .any(|known| known.name == claims.action && known.mutating);
    let mut number = None;
    if mutating {
        let early = record.clone();
        match cloud.store.write(move |tx| requests::add(tx, &early)).await {
            Ok(added) => number = Some(added),
            Err(error) => {
                return Answer::Response(render(
                    &claims.action,
                    claims.format,
                    &request_id,
                    Err(error.into()),
                ));
            }
        }
    }
    let planned = planned(cloud, &claims).await;
    let outcome = if let Some(fault) = planned.as_ref().and_then(FaultKind::refusal) {
        Err(fault)
    } else if let Some(body) = planned.as_ref().and_then(FaultKind::answer) {
        Ok(body)
    } else {
        let context = Context {
            cloud: Arc::clone(cloud),
            account: account.id.clone(),
            now: cloud.clock.now(),
            token: None,
        };
        action::dispatch(context, &claims.action, &claims.version, &claims.params).await
    };
    let code = outcome.as_ref().err().map(|fault| fault.code.to_string());
    let status = outcome.as_ref().err().map_or(200, |fault| fault.status);
    record.status = Some(status);
    record.code.clone_from(&code);
    let kept = cloud
        .store
        .note(move |tx| match number {
            Some(number) => requests::answer(tx, number, status, code.as_deref()),
            None => requests::add(tx, &record).map(drop),
        })
        .await;
    if let Err(error) = kept {
        let error: StoreError = error;
        tracing::error!(%error, "an answer is not recorded");
    }
    match planned {
        Some(FaultKind::LoseRequest | FaultKind::LoseResponse) => return Answer::Lost,
        Some(FaultKind::DelayResponse(seconds)) => delay(cloud, seconds).await,
        _ => {}
    }
    let mut response = render(&claims.action, claims.format, &request_id, outcome);
    let after = planned.as_ref().and_then(FaultKind::retry_after);
    response
        .headers
        .extend(after.map(|seconds| ("x-acs-retry-after".to_owned(), seconds.to_string())));
    Answer::Response(response)
}

/// What goes wrong on purpose. A delay has passed when this returns.
async fn planned(cloud: &Arc<Cloud>, claims: &Claims) -> Option<FaultKind> {
    let found = cloud
        .faults
        .of_request(&cloud.store, &claims.action, &claims.params)
        .await;
    match found {
        Ok(Some(FaultKind::Delay(seconds))) => {
            delay(cloud, seconds).await;
            None
        }
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "the fault plan can't be read");
            None
        }
    }
}

async fn delay(cloud: &Cloud, seconds: f64) {
    let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let until = after(cloud.clock.now(), span);
    cloud.clock.sleep_until(until).await;
}

fn record(account: &Account, claims: &Claims, request_id: &str, at: jiff::Timestamp) -> Recorded {
    Recorded {
        number: 0,
        at,
        account: Some(account.id.clone()),
        region: claims.params.get("RegionId").map(str::to_owned),
        action: claims.action.clone(),
        signature: match claims.generation {
            SignatureGeneration::Rpc => "RPC",
            SignatureGeneration::Acs3 => "ACS3",
        }
        .to_owned(),
        params: redacted(&claims.params),
        status: None,
        code: None,
        request_id: request_id.to_owned(),
    }
}

/// Parameters whose values are never kept. Any action may carry them, also one that is
/// refused, and in any case of letters.
const SECRETS: [&str; 3] = ["Content", "Password", "UserData"];

/// The longest value that is kept, above every limit of an action: requests are
/// recorded before they are checked, and must not fill the disk.
const LONGEST_KEPT: usize = 64 * 1024;

/// Parameters as they may be kept: contents of files, user data, passwords and what is
/// too long only as length and digest.
fn redacted(params: &Params) -> Map<String, Value> {
    let secret = |name: &str| SECRETS.iter().any(|known| known.eq_ignore_ascii_case(name));
    let entry = |(name, value): (&str, &str)| {
        let kept = if secret(name) || value.len() > LONGEST_KEPT {
            json!({"length": value.len(), "sha256": hex(&Sha256::digest(value.as_bytes()))})
        } else {
            Value::from(value)
        };
        (name.to_owned(), kept)
    };
    params.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_what_is_too_long_are_kept_as_length_and_digest() {
        let long = "x".repeat(LONGEST_KEPT + 1);
        let params: Params = [
            ("Content", "secret"),
            ("userdata", "secret"),
            ("Password", "secret"),
            ("CommandContent", "echo"),
            ("Description", &long),
        ]
        .into_iter()
        .collect();
        let kept = redacted(&params);
        for name in ["Content", "userdata", "Password"] {
            assert_eq!(kept[name]["length"], 6, "{name}");
        }
        assert_eq!(kept["CommandContent"], "echo");
        assert_eq!(kept["Description"]["length"], long.len());
        assert!(!Value::from(kept).to_string().contains("secret"));
    }
}
