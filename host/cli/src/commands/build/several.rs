//! Several builds in one process: at most so many at once, one display, one summary.
//!
//! Each is a run of its own, which can be resumed and cancelled by its id. One that fails
//! doesn't stop the others, unless that was asked for. Ctrl-C cancels all that have begun,
//! and no other begins; they clean up as one run does.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use darkroom_ecs::client::Client;
use darkroom_engine::{Begin, Drive, Engine, EngineError, OnFailure, Outcome, Pace, Status};
use darkroom_journal::RunId;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::job::Job;
use crate::driving::AfterFailure;
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::secrets;
use crate::terminal::{Interrupts, Progress, Table, Terminal, seconds};
use crate::workshop;

/// A build that can be begun, and the cloud that it is done in.
pub(super) struct Ready {
    pub(super) job: Job,
    pub(super) client: Arc<Client>,
    pub(super) pace: Pace,
    /// Whether layers are kept unasked.
    pub(super) layers: bool,
}

/// How they are built.
pub(super) struct How {
    pub(super) parallel: NonZeroUsize,
    /// Whether the first that fails ends the others.
    pub(super) fail_fast: bool,
    pub(super) refresh: bool,
    pub(super) after_failure: AfterFailure,
}

/// What came of one build.
enum End {
    /// It was built, or not.
    Ran(Box<Outcome>),
    /// It could not be begun, or can't go on for now.
    Failed(Failure),
    /// It was not begun.
    Left,
}

impl End {
    fn status(&self) -> Option<Status> {
        match self {
            Self::Ran(outcome) => Some(outcome.manifest.status),
            Self::Failed(_) | Self::Left => None,
        }
    }

    fn is_good(&self) -> bool {
        self.status() == Some(Status::Success)
    }

    fn word(&self) -> &str {
        match self {
            Self::Ran(outcome) if outcome.manifest.unchanged => "UNCHANGED",
            Self::Ran(outcome) => outcome.manifest.status.word(),
            Self::Failed(_) => "FAILED",
            Self::Left => "NOT BEGUN",
        }
    }
}

/// A second Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("{0} runs were stopped at once, in the middle of cleaning up")]
struct Stopped(usize);

/// The failure of one of several builds.
#[derive(Debug, thiserror::Error)]
#[error("{name} is not built")]
struct NotBuilt {
    name: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Some of the builds have failed.
#[derive(Debug, thiserror::Error)]
#[error("{} of {total} builds failed: {}", failed.len(), failed.join(", "))]
struct Failed {
    failed: Vec<String>,
    total: usize,
}

/// Builds all of them.
pub(super) async fn drive(
    engine: &Engine,
    builds: &[Ready],
    how: &How,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let began = Instant::now();
    let progress = terminal.progress_of(builds.len());
    let site = Site {
        engine,
        how,
        progress: &progress,
        on_failure: one_at_a_time(how.after_failure.for_engine(terminal, &progress.screen())),
        begun: Mutex::default(),
        halted: AtomicBool::new(false),
    };
    let ended = site.all(builds).await;
    progress.finish();
    summary(builds, &ended?, began, terminal)
}

/// What all builds share.
struct Site<'a> {
    engine: &'a Engine,
    how: &'a How,
    progress: &'a Progress,
    on_failure: OnFailure,
    /// The runs that are being driven.
    begun: Mutex<BTreeMap<usize, RunId>>,
    /// Whether no other is begun.
    halted: AtomicBool,
}

impl Site<'_> {
    async fn all(&self, builds: &[Ready]) -> Result<Vec<End>, Failure> {
        let mut interrupts = Interrupts::new()?;
        let mut ends: Vec<End> = builds.iter().map(|_| End::Left).collect();
        let mut waiting = builds.iter().enumerate();
        let mut running = FuturesUnordered::new();
        let mut cancelling = FuturesUnordered::new();
        let mut interrupted = false;
        loop {
            while running.len() < self.how.parallel.get() && !self.is_halted() {
                let Some((index, build)) = waiting.next() else {
                    break;
                };
                running.push(async move { (index, self.one(index, build).await) });
            }
            if running.is_empty() {
                return Ok(ends);
            }
            tokio::select! {
                Some((index, end)) = running.next() => {
                    self.begun().remove(&index);
                    let last = self.how.fail_fast && !end.is_good() && !self.is_halted();
                    if let Some(end_of) = ends.get_mut(index) {
                        *end_of = end;
                    }
                    if last {
                        self.progress.note("One build has failed: cancelling the others.");
                        cancelling.extend(self.halt());
                    }
                }
                Some(()) = cancelling.next(), if !cancelling.is_empty() => {}
                () = interrupts.next() => {
                    if interrupted {
                        return Err(stopped(&self.begun()));
                    }
                    interrupted = true;
                    self.progress.note("Cancelling and cleaning up; Ctrl-C again stops at once.");
                    cancelling.extend(self.halt());
                }
            }
        }
    }

    /// Begins no other build, and asks those that have begun to clean up.
    fn halt(&self) -> Vec<impl Future<Output = ()>> {
        self.halted.store(true, Ordering::SeqCst);
        let begun: Vec<_> = self.begun().values().cloned().collect();
        begun.into_iter().map(|run| self.cancel(run)).collect()
    }

    async fn cancel(&self, run: RunId) {
        match self.engine.cancel(&run).await {
            Ok(()) | Err(EngineError::Ended { .. }) => {}
            Err(error) => {
                let text = format!("run {run} can't be cancelled: {error}");
                self.progress.note(text);
            }
        }
    }

    async fn one(&self, index: usize, build: &Ready) -> End {
        match self.built(index, build).await {
            Ok(outcome) => End::Ran(Box::new(outcome)),
            Err(failure) => End::Failed(failure),
        }
    }

    async fn built(&self, index: usize, build: &Ready) -> Result<Outcome, Failure> {
        let job = &build.job;
        let ask = secrets::ask(&job.folder);
        let begin = Begin {
            file: &job.file,
            folder: &job.folder,
            account: job.settings.account.as_deref(),
            parameters: &job.parameters,
            random: workshop::random(),
            refresh: self.how.refresh,
            layers: build.layers,
            secrets: Arc::clone(&ask),
        };
        let run = self.engine.begin(&job.checked, &begin).await?;
        self.begun().insert(index, run.clone());
        if self.is_halted() {
            // It was begun while the others were told.
            self.cancel(run.clone()).await;
        }
        let watcher = self.progress.watcher();
        let drive = Drive::new(Arc::clone(&build.client), build.pace, watcher)
            .secrets(ask)
            .on_failure(self.on_failure.clone());
        Ok(self.engine.drive(&run, drive).await?)
    }

    fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, RunId>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks about one failed run after the other: there is one screen.
fn one_at_a_time(on_failure: OnFailure) -> OnFailure {
    let OnFailure::Ask(ask) = on_failure else {
        return on_failure;
    };
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    OnFailure::Ask(Arc::new(move |at| {
        let (ask, turn) = (Arc::clone(&ask), Arc::clone(&turn));
        Box::pin(async move {
            let _turn = turn.lock().await;
            ask(at).await
        })
    }))
}

fn stopped(begun: &BTreeMap<usize, RunId>) -> Failure {
    let runs: Vec<_> = begun.values().map(ToString::to_string).collect();
    let failure = Failure::new(Kind::Cancelled, Stopped(runs.len()));
    runs.iter().fold(failure, |failure, run| {
        failure.hint(format!("`darkroom resume {run}` goes on with cleaning up"))
    })
}

/// Tells what came of each, and of all together.
fn summary(
    builds: &[Ready],
    ends: &[End],
    began: Instant,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let named: Vec<_> = builds
        .iter()
        .map(|build| build.job.checked.name())
        .zip(ends)
        .collect();
    let results: Vec<_> = named.iter().map(|(name, end)| result(name, end)).collect();
    terminal.json(&json!({ "results": results }));
    terminal.line("");
    let mut table = Table::new(&["NAME", "RUN", "STATUS", "TOOK", "IMAGES"]);
    for (name, end) in &named {
        table.row(row(name, end));
    }
    for line in table.lines() {
        terminal.line(line);
    }
    let good = ends.iter().filter(|end| end.is_good()).count();
    let took = seconds(began.elapsed().as_secs_f64());
    let total = ends.len();
    terminal.line("");
    terminal.line(format!("{good} of {total} builds succeeded in {took}"));
    let mut kinds = Vec::new();
    let mut failed = Vec::new();
    for (name, end) in &named {
        let Some(failure) = failure(end) else {
            continue;
        };
        kinds.push(failure.kind);
        failed.push((*name).to_owned());
        if !terminal.is_json() {
            terminal.failure(&Failure {
                error: Box::new(NotBuilt {
                    name: (*name).to_owned(),
                    source: failure.error,
                }),
                ..failure
            });
        }
    }
    match kinds.first() {
        Some(kind) => Err(Failure::new(*kind, Failed { failed, total })),
        None if good == total => Ok(exit::DONE),
        // What was not begun and what was cancelled is nobody's failure.
        None => Ok(exit::CANCELLED),
    }
}

/// What a build failed with, if that is how it ended.
fn failure(end: &End) -> Option<Failure> {
    match end {
        End::Ran(outcome) => workshop::failure_of(&outcome.manifest),
        End::Failed(failure) => Some(Failure {
            kind: failure.kind,
            error: failure.chain().join(": ").into(),
            hints: failure.hints.clone(),
        }),
        End::Left => None,
    }
}

fn row(name: &str, end: &End) -> [String; 5] {
    let (mut run, mut took, mut images) = ("-".to_owned(), "-".to_owned(), "-".to_owned());
    if let End::Ran(outcome) = end {
        let manifest = &outcome.manifest;
        run = manifest.run.to_string();
        let whole = manifest.finished.duration_since(manifest.started);
        took = seconds(whole.as_secs_f64());
        let made = workshop::images(manifest);
        if !made.is_empty() {
            images = made.join("; ");
        }
    }
    [name.to_owned(), run, end.word().to_owned(), took, images]
}

fn result(name: &str, end: &End) -> Value {
    let mut result = match end {
        End::Ran(outcome) => workshop::result(outcome),
        End::Failed(_) | End::Left => json!({}),
    };
    result["name"] = name.into();
    result["begun"] = (!matches!(end, End::Left)).into();
    if let Some(failure) = failure(end) {
        result["error"] = json!({
            "kind": failure.kind.word(),
            "message": failure.error.to_string(),
            "hints": failure.hints,
        });
    }
    result
}
