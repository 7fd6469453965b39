//! The admin API, behind the token of `server.json`: what the command line and tests
//! ask of the server itself. Never signed, never ECS.
//!
//! ```text
//! GET  /-/ping       {protocol, build_id, pid, driver}
//! GET  /-/status     the same, and root, range, counts, jobs
//! GET  /-/requests   ?after=N&limit=N&action=NAME   {requests: [Recorded], next}
//! GET  /-/ledger     ?all=true                      {entries: [Entry], per_hour}
//! GET  /-/sim        SimPlan and stock
//! PUT  /-/sim        {rules?, latencies?, seed?, bases?, stock?}; what is absent stays as it is
//! GET  /-/faults     FaultPlan
//! PUT  /-/faults     FaultPlan, in the place of the one that was in force
//! GET  /-/quotas     Quotas
//! PUT  /-/quotas     Quotas; what is absent is as at the beginning
//! POST /-/stop       the server leaves
//! POST /-/reset      {force?}: everything goes but accounts
//! ```
//! A refusal is `{"error": text, "hint": text?}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use darkroom_ecs::action::InstanceStatus;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer;
use crate::cloud::Cloud;
use crate::fault_plan::{FaultPlan, FaultPlanError};
use crate::files::PROTOCOL;
use crate::jobs;
use crate::service::Inner;
use crate::sim::{Latencies, PlanError, Rule, SimBase, SimPlan};
use crate::state::quotas::{self, Quotas};
use crate::state::rows::{self, ImageRow, InstanceRow, SnapshotRow};
use crate::state::stock::{self, Stock};
use crate::state::store::StoreError;
use crate::state::{jobs as job_rows, layers, ledger, requests};

/// Where the admin API begins.
pub(crate) const PREFIX: &str = "/-/";

/// Requests listed at once, at most and by default.
const MOST: u32 = 10_000;

/// What `GET /-/ping` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The server's [`PROTOCOL`].
    pub protocol: u32,
    /// The build that it comes from.
    pub build_id: String,
    /// Its process.
    pub pid: u32,
    /// `sim` or `sandbox`.
    pub driver: String,
}

/// What `GET /-/status` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Who it is.
    #[serde(flatten)]
    pub ping: Ping,
    /// The cloud's folder.
    pub root: String,
    /// The range of the instances' addresses.
    pub range: String,
    /// How many instances there are, by status.
    pub instances: BTreeMap<String, u32>,
    /// How many custom images there are.
    pub images: u32,
    /// How many snapshots there are.
    pub snapshots: u32,
    /// How many requests are recorded.
    pub requests: u32,
    /// What is being done: a word and since when.
    pub jobs: Vec<JobStatus>,
}

/// A job in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// What it does: `start`, `create-image`, ….
    pub name: String,
    /// The ids that it works on.
    pub subjects: Vec<String>,
    /// Since when.
    pub since: String,
}

/// What `PUT /-/sim` takes. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimChange {
    /// Scripted results of commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<Rule>>,
    /// How long things take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latencies: Option<Latencies>,
    /// What drawn times follow from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Public images beside `debian-12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bases: Option<Vec<SimBase>>,
    /// What is sold out. Works with every driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<Vec<Stock>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    #[serde(default)]
    force: bool,
}

/// Why an admin request was refused.
enum Refusal {
    Token,
    NotFound,
    Method,
    Bad(String),
    Conflict(String, &'static str),
    Inner(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the admin API failed");
        Self::Inner(error.to_string())
    }
}

impl Refusal {
    fn answer(&self) -> HttpResponse {
        let (status, text, hint) = match self {
            Self::Token => (
                401,
                "the admin token is missing or wrong".to_owned(),
                Some("it stands in server.json in the cloud's folder"),
            ),
            Self::NotFound => (404, "the admin API has no such page".to_owned(), None),
            Self::Method => (405, "the page takes another method".to_owned(), None),
            Self::Bad(text) => (400, text.clone(), None),
            Self::Conflict(text, hint) => (409, text.clone(), Some(*hint)),
            Self::Inner(text) => (500, text.clone(), None),
        };
        answer::json(status, &json!({"error": text, "hint": hint}))
    }
}

/// Answers a request whose path begins with [`PREFIX`].
pub(crate) async fn handle(inner: &Arc<Inner>, request: &HttpRequest) -> HttpResponse {
    match route(inner, request).await {
        Ok(value) => answer::json(200, &value),
        Err(refusal) => refusal.answer(),
    }
}

async fn route(inner: &Arc<Inner>, request: &HttpRequest) -> Result<Value, Refusal> {
    let given = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // Compared by digest, so that the time taken tells nothing.
    if blake3::hash(given.as_bytes()) != blake3::hash(inner.token.as_bytes()) {
        return Err(Refusal::Token);
    }
    let page = request.path().strip_prefix(PREFIX).unwrap_or_default();
    let cloud = &inner.cloud;
    match (page, request.method.as_str()) {
        ("ping", "GET") => value(&ping(inner)),
        ("status", "GET") => value(&status(inner).await?),
        ("requests", "GET") => list_requests(cloud, request).await,
        ("ledger", "GET") => show_ledger(cloud, request).await,
        ("sim", "GET") => show_sim(inner).await,
        ("sim", "PUT") => change_sim(inner, body(request)?).await,
        ("faults", "GET") => value(&cloud.faults.show(&cloud.store).await?),
        ("faults", "PUT") => set_faults(cloud, body(request)?).await,
        ("quotas", "GET") => value(&cloud.store.read(quotas::get).await?),
        ("quotas", "PUT") => {
            let wish: Quotas = body(request)?;
            let kept = wish.clone();
            cloud.store.write(move |tx| quotas::set(tx, &kept)).await?;
            value(&wish)
        }
        ("stop", "POST") => {
            inner.stop.notify_one();
            Ok(json!({"stopping": true}))
        }
        ("reset", "POST") => {
            let wish: Reset = body(request)?;
            reset(inner, wish.force).await
        }
        (
            "ping" | "status" | "requests" | "ledger" | "sim" | "faults" | "quotas" | "stop"
            | "reset",
            _,
        ) => Err(Refusal::Method),
        _ => Err(Refusal::NotFound),
    }
}

fn value(of: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(of).map_err(|error| Refusal::Inner(error.to_string()))
}

fn body<T: for<'de> Deserialize<'de> + Default>(request: &HttpRequest) -> Result<T, Refusal> {
    if request.body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&request.body).map_err(|error| Refusal::Bad(error.to_string()))
}

fn query<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let pairs = request
        .query()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next()
}

fn ping(inner: &Inner) -> Ping {
    Ping {
        protocol: PROTOCOL,
        build_id: inner.build_id.clone(),
        pid: std::process::id(),
        driver: inner.driver.as_str().to_owned(),
    }
}

async fn status(inner: &Inner) -> Result<Status, Refusal> {
    let (instances, images, snapshots, jobs, requests) = inner
        .cloud
        .store
        .read(|tx| {
            Ok::<_, StoreError>((
                rows::all::<InstanceRow>(tx)?,
                rows::all::<ImageRow>(tx)?,
                rows::all::<SnapshotRow>(tx)?,
                job_rows::all(tx)?,
                requests::count(tx)?,
            ))
        })
        .await?;
    let mut counts = BTreeMap::new();
    for placed in instances {
        *counts.entry(placed.row.status.to_string()).or_insert(0) += 1;
    }
    let custom = images.iter().filter(|placed| placed.row.account.is_some());
    let jobs = jobs.into_iter().map(|(_, job)| JobStatus {
        name: job.task.name().to_owned(),
        subjects: job.task.subjects().into_iter().map(str::to_owned).collect(),
        since: job.created_at.to_string(),
    });
    Ok(Status {
        ping: ping(inner),
        root: inner.root.display().to_string(),
        range: inner.cloud.range.to_string(),
        instances: counts,
        images: u32::try_from(custom.count()).unwrap_or(u32::MAX),
        snapshots: u32::try_from(snapshots.len()).unwrap_or(u32::MAX),
        requests,
        jobs: jobs.collect(),
    })
}

async fn list_requests(cloud: &Arc<Cloud>, request: &HttpRequest) -> Result<Value, Refusal> {
    let number = |name: &str| -> Result<Option<i64>, Refusal> {
        let text = query(request, name);
        text.map(|text| {
            text.parse()
                .map_err(|_| Refusal::Bad(format!("{name} must be a number")))
        })
        .transpose()
    };
    let after = number("after")?.unwrap_or(0);
    let limit = number("limit")?.and_then(|limit| u32::try_from(limit).ok());
    let limit = limit.unwrap_or(MOST).min(MOST);
    let action = query(request, "action").map(str::to_owned);
    let found = cloud
        .store
        .read(move |tx| requests::list(tx, after, limit, action.as_deref()))
        .await?;
    let next = found.last().map(|last| last.number);
    Ok(json!({"requests": value(&found)?, "next": next}))
}

async fn show_ledger(cloud: &Arc<Cloud>, request: &HttpRequest) -> Result<Value, Refusal> {
    let all = query(request, "all") == Some("true");
    let entries = cloud.store.read(move |tx| ledger::entries(tx, all)).await?;
    let open = entries.iter().filter(|entry| entry.until.is_none());
    let per_hour: f64 = open.map(|entry| entry.price_per_hour).sum();
    Ok(json!({"entries": value(&entries)?, "per_hour": per_hour}))
}

async fn show_sim(inner: &Inner) -> Result<Value, Refusal> {
    let plan = match &inner.sim {
        Some(sim) => sim.plan().await?,
        None => SimPlan::default(),
    };
    let stock = inner.cloud.store.read(stock::all).await?;
    Ok(
        json!({"rules": plan.rules, "latencies": plan.latencies, "seed": plan.seed, "bases": plan.bases, "stock": stock}),
    )
}

async fn change_sim(inner: &Inner, change: SimChange) -> Result<Value, Refusal> {
    let scripted = change.rules.is_some()
        || change.latencies.is_some()
        || change.seed.is_some()
        || change.bases.is_some();
    if scripted {
        let sim = inner.sim.as_ref().ok_or_else(|| {
            Refusal::Conflict(
                "commands really run here: they can't be scripted".to_owned(),
                "start the cloud with the sim driver",
            )
        })?;
        let mut plan = sim.plan().await?;
        plan.rules = change.rules.unwrap_or(plan.rules);
        plan.latencies = change.latencies.unwrap_or(plan.latencies);
        plan.seed = change.seed.unwrap_or(plan.seed);
        plan.bases = change.bases.unwrap_or(plan.bases);
        sim.set_plan(plan).await.map_err(|error| match error {
            PlanError::Store(error) => error.into(),
            other => Refusal::Bad(other.to_string()),
        })?;
    }
    if let Some(stock) = change.stock {
        inner
            .cloud
            .store
            .write(move |tx| stock::set(tx, &stock))
            .await?;
    }
    show_sim(inner).await
}

async fn set_faults(cloud: &Arc<Cloud>, plan: FaultPlan) -> Result<Value, Refusal> {
    let set = cloud.faults.set(&cloud.store, plan).await;
    set.map_err(|error| match error {
        FaultPlanError::Store(error) => error.into(),
        other => Refusal::Bad(other.to_string()),
    })?;
    // What was stuck may go on.
    cloud.changed.notify_waiters();
    value(&cloud.faults.show(&cloud.store).await?)
}

/// Tables whose rows go with a reset. Accounts are a file; the range, the id layout
/// and used nonces stay.
const EMPTIED: &[&str] = &[
    "instances",
    "disks",
    "snapshots",
    "images",
    "vpcs",
    "vswitches",
    "security_groups",
    "invocations",
    "files",
    "running",
    "tokens",
    "ledger",
    "requests",
    "stock",
];

async fn reset(inner: &Arc<Inner>, force: bool) -> Result<Value, Refusal> {
    let cloud = &inner.cloud;
    let now = cloud.clock.now();
    let promised = cloud
        .store
        .write(move |tx| {
            let instances = rows::all::<InstanceRow>(tx)?;
            let on = |row: &InstanceRow| row.status != InstanceStatus::Stopped;
            let running = instances.iter().filter(|placed| on(&placed.row)).count();
            if running > 0 && !force {
                return Ok(Err(running));
            }
            let mut numbers = Vec::new();
            for placed in instances {
                numbers.extend(jobs::promise_delete(tx, &placed.row.id, now)?);
            }
            Ok::<_, StoreError>(Ok(numbers))
        })
        .await?;
    let numbers = promised.map_err(|running| {
        let noun = if running == 1 {
            "instance is"
        } else {
            "instances are"
        };
        Refusal::Conflict(
            format!("{running} {noun} running"),
            "delete them first, or reset with `--force`",
        )
    })?;
    for number in numbers {
        jobs::begin(cloud, number);
    }
    all_done(cloud).await?;
    cloud
        .store
        .write(|tx| {
            tx.execute_batch(
                "INSERT OR IGNORE INTO loose SELECT DISTINCT region, layer FROM layer_users;
                 DELETE FROM layer_users;",
            )?;
            for table in EMPTIED {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            quotas::set(tx, &Quotas::default())?;
            Ok::<_, StoreError>(())
        })
        .await?;
    if let Some(sim) = &inner.sim {
        let plan = SimPlan::default();
        sim.set_plan(plan)
            .await
            .map_err(|error| Refusal::Inner(error.to_string()))?;
    }
    cloud
        .faults
        .set(&cloud.store, FaultPlan::default())
        .await
        .map_err(|error| Refusal::Inner(error.to_string()))?;
    jobs::sweep(cloud);
    let loose = cloud.store.read(layers::loose).await?;
    Ok(json!({"reset": true, "layers_to_remove": loose.len()}))
}

/// Waits until no job is left.
async fn all_done(cloud: &Arc<Cloud>) -> Result<(), Refusal> {
    loop {
        let changed = cloud.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if cloud.store.read(job_rows::all).await?.is_empty() {
            return Ok(());
        }
        changed.await;
    }
}
