//! Begin, drive, resume, cancel and list runs.
//!
//! A run is begun once (its folder and its row in the journal) and then driven, by the
//! process that began it or by any later one: driving a new run and resuming a killed one
//! are the same call. Which client the cloud is called with is the caller's to say; the
//! run's [`Header`] says which cloud, region and account that must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::{
    Clock, FindError, Journal, LockError, RunId, RunSummary, StageSummary, Stop, StoreError,
};
use darkroom_runtime::Runtime;
use darkroom_template::{Cloud as Where, Mistakes, ResolveWith};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::{CheckWith, Checked, check};
use crate::cloud::{Cloud, Pace};
use crate::components::Shelf;
use crate::event::{Events, ImageOf, Kind, Level, Status, Watcher};
use crate::folder::{RunFolder, private};
use crate::manifest::{self, Manifest, StageTime};
use crate::mask::SHORTEST;
use crate::pipeline;
use crate::secret::{Ask, SecretError, Vault};
use crate::stage::Work;
use crate::trouble::Trouble;

/// The version of the pipeline: of the order and the names of what stages ask of the
/// journal. Raise it when an open stage of an older one can't be replayed any more.
const PIPELINE: &str = "1";

/// The version of [`Header`].
const HEADER: u32 = 1;

/// What a run is, as its first record in the journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of this record.
    pub header: u32,
    /// The template's name.
    pub template: String,
    /// The template's file, as it was given.
    pub file: String,
    /// `local` or `aliyun`.
    pub cloud: String,
    /// The region in which the image is built.
    pub region: String,
    /// The account, by the name that the caller knows it by.
    pub account: Option<String>,
    /// The parameters that were given.
    pub parameters: Vec<(String, String)>,
    /// The version of Darkroom that began the run.
    pub darkroom: String,
    /// Each component's digest, by its reference.
    pub components: BTreeMap<String, String>,
    /// The template's folder, absolute: where the files of secrets are asked for again.
    #[serde(default)]
    pub folder: PathBuf,
    /// Whether the image is built even if an unchanged one is young enough.
    #[serde(default)]
    pub refresh: bool,
}

/// Where an engine works.
pub struct Settings {
    /// The folder of the journal and of the runs.
    pub state: PathBuf,
    /// What calls components.
    pub runtime: Runtime,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What a run is begun with, beside the checked template.
pub struct Begin<'a> {
    /// The template's file, as it was given.
    pub file: &'a str,
    /// The template's folder, absolute.
    pub folder: &'a Path,
    /// The account, by the name that the caller knows it by.
    pub account: Option<&'a str>,
    /// The parameters that were given.
    pub parameters: &'a [(String, String)],
    /// Four random bytes for the run's id.
    pub random: [u8; 4],
    /// Builds even if an unchanged image is young enough.
    pub refresh: bool,
    /// Asks for the values of the template's secrets, before there is a run.
    pub secrets: Ask,
}

/// What a run is driven with.
pub struct Drive {
    /// Calls the cloud of the run's header, as its account.
    pub client: Arc<Client>,
    /// How often it is asked.
    pub pace: Pace,
    /// Is told each event.
    pub watcher: Watcher,
    /// Asks for the values of the template's secrets, unless [`Engine::begin`] has.
    pub secrets: Ask,
    /// What becomes of a run that has failed.
    pub on_failure: OnFailure,
}

impl Drive {
    /// With no secrets to ask for, and a clean-up after a failure.
    pub fn new(client: Arc<Client>, pace: Pace, watcher: Watcher) -> Self {
        Self {
            client,
            pace,
            watcher,
            secrets: crate::secret::none(),
            on_failure: OnFailure::Cleanup,
        }
    }

    /// Asks for secrets in this way.
    #[must_use]
    pub fn secrets(mut self, ask: Ask) -> Self {
        self.secrets = ask;
        self
    }

    /// Does this with a run that has failed.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }
}

/// What becomes of the instances of a run that has failed.
#[derive(Clone, Default)]
pub enum OnFailure {
    /// They go.
    #[default]
    Cleanup,
    /// They stay until somebody cleans up ([`Engine::cleanup`]) or the cloud releases
    /// them at their time.
    Keep,
    /// Somebody says whether they stay.
    Ask(Arc<dyn Fn(FailedAt) -> BoxFuture<'static, bool> + Send + Sync>),
}

/// Where a run has failed, for whoever is asked what becomes of it.
#[derive(Clone, Debug)]
pub struct FailedAt {
    /// The run.
    pub run: RunId,
    /// What went wrong.
    pub trouble: Trouble,
    /// The instance that is there to be looked at, if there is one.
    pub instance: Option<String>,
    /// The region of the instance.
    pub region: String,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What came of it.
    pub manifest: Manifest,
    /// Where the manifest is.
    pub file: PathBuf,
}

/// A run, for lists.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub begun: Timestamp,
    /// What it is.
    pub header: Header,
    /// How it ended; none while it hasn't.
    pub status: Option<Status>,
    /// Its images by region, when it has ended.
    pub images: Vec<ImageOf>,
    /// The process that drives it now.
    pub pid: Option<u32>,
}

/// Why the engine can't do something. What goes wrong inside a run is its outcome.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The template has mistakes.
    #[error("the template has mistakes")]
    Mistakes(#[from] Mistakes),
    /// The value of a secret can't be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The journal can't be used.
    #[error("the journal can't be used")]
    Store(#[from] StoreError),
    /// No such run, or several.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Another process drives the run.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The run has ended.
    #[error("run {run} has ended: {}", status.word())]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        status: Status,
    },
    /// The run can't go on now, but it can later.
    #[error("run {run} can't go on for now")]
    Unavailable {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        trouble: Trouble,
    },
    /// Something that the run made could not be undone. It is not lost: the run has not
    /// ended, and a resume tries again.
    #[error("run {run} came to {}, but something is left: {}", status.word(), left.join("; "))]
    Left {
        /// The run.
        run: RunId,
        /// How it would have ended.
        status: Status,
        /// What is left, in words.
        left: Vec<String>,
    },
    /// The run was written by another pipeline, or the journal is damaged.
    #[error("run {run} can't go on with this version")]
    Stopped {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        stop: Box<Stop<Trouble>>,
    },
    /// The run's folder can't be used.
    #[error("can't {act} {}", path.display())]
    Folder {
        /// Such as `write`.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A record of the run can't be read.
    #[error("run {run} has a record that this version can't read: {problem}")]
    Record {
        /// The run.
        run: RunId,
        /// What is wrong with it.
        problem: String,
    },
}

impl EngineError {
    /// What to do about it, for the line under the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unavailable { run, trouble } => Some(match trouble.hint() {
                Some(hint) => format!("{hint}; then `darkroom resume {run}`"),
                None => format!("`darkroom resume {run}` goes on with it"),
            }),
            Self::Left { run, .. } => Some(format!("`darkroom resume {run}` tries again")),
            Self::Stopped { stop, .. } => stop.hint(),
            Self::Store(error) => error.hint(),
            Self::Secret(error) => error.hint.clone(),
            Self::Ended { .. } => Some("`darkroom build` begins a new run".into()),
            Self::Lock(LockError::Held(held)) => Some(format!(
                "wait for process {}, or cancel the run with `darkroom runs cancel {}`",
                held.pid, held.run
            )),
            _ => None,
        }
    }
}

/// Begins, drives and lists runs. Cheap to share behind an [`Arc`].
pub struct Engine {
    state: PathBuf,
    runtime: Runtime,
    journal: Journal,
    clock: Arc<dyn Clock>,
    /// The secrets of runs that were begun and are not driven yet.
    vaults: Mutex<BTreeMap<RunId, Arc<Vault>>>,
}

impl Engine {
    /// Opens the state folder, made if it isn't there.
    ///
    /// # Errors
    /// When the folder or the journal can't be used.
    pub async fn open(settings: Settings) -> Result<Self, EngineError> {
        private(&settings.state).map_err(|source| EngineError::Folder {
            act: "make",
            path: settings.state.clone(),
            source,
        })?;
        let file = settings.state.join("journal.sqlite");
        let journal = Journal::open(file, Arc::clone(&settings.clock)).await?;
        Ok(Self {
            state: settings.state,
            runtime: settings.runtime,
            journal,
            clock: settings.clock,
            vaults: Mutex::default(),
        })
    }

    /// What calls components.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Checks a template's text.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn check(&self, text: &str, with: &CheckWith<'_>) -> Result<Checked, Mistakes> {
        check(&self.runtime, text, with)
    }

    /// Begins a run: from here on it is in the journal and can be resumed.
    ///
    /// # Errors
    /// When a secret can't be had, or folder or journal can't be written.
    pub async fn begin(&self, checked: &Checked, begin: &Begin<'_>) -> Result<RunId, EngineError> {
        let vault = Vault::ask(&checked.secrets(), &begin.secrets).await?;
        let run = RunId::new(self.clock.now(), begin.random);
        let folder = self.folder(&run);
        let failed = |source| EngineError::Folder {
            act: "write",
            path: folder.path().to_owned(),
            source,
        };
        RunFolder::create(folder.path().to_owned()).map_err(failed)?;
        folder
            .write("template.yaml", checked.text.as_bytes())
            .map_err(failed)?;
        let digests = checked.digests();
        for (reference, bytes) in &checked.bytes {
            if let Some(digest) = digests.get(reference) {
                folder
                    .write(&format!("components/{digest}"), bytes)
                    .map_err(failed)?;
            }
        }
        let header = Header {
            header: HEADER,
            template: checked.name().into(),
            file: begin.file.into(),
            cloud: checked.resolved.cloud.word().into(),
            region: checked.resolved.region.clone(),
            account: begin.account.map(ToOwned::to_owned),
            parameters: begin.parameters.to_vec(),
            darkroom: env!("CARGO_PKG_VERSION").into(),
            components: digests,
            folder: begin.folder.to_owned(),
            refresh: begin.refresh,
        };
        self.journal.begin(&run, json!(header)).await?;
        self.vaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run.clone(), Arc::new(vault));
        darkroom_failpoint::reach("engine.begun").await;
        Ok(run)
    }

    /// Drives a run to its end: a new one from its beginning, an interrupted one from
    /// where it was.
    ///
    /// # Errors
    /// Why it has not come to an end. What went wrong inside the run is in the outcome.
    pub async fn drive(&self, run: &RunId, drive: Drive) -> Result<Outcome, EngineError> {
        // That there is such a run, before a lock is made for it.
        self.view(run).await?;
        let lock = self.journal.lock(run)?;
        // Whoever held the lock until now may have ended it.
        let view = self.view(run).await?;
        if let Some(status) = view.status {
            return Err(EngineError::Ended {
                run: run.clone(),
                status,
            });
        }
        let folder = self.folder(run);
        let checked = self.recheck(run, &view.header, &folder)?;
        let path = folder.file("events.ndjson");
        let events = Events::open(&path, run.clone(), Arc::clone(&self.clock), drive.watcher)
            .map_err(|source| EngineError::Folder {
                act: "write",
                path,
                source,
            })?;
        self.announce(run, &view.header, &events).await?;
        let vault = self.vault(run, &checked, &drive.secrets).await?;
        for name in vault.short() {
            events.tell(Kind::Message {
                path: "prepare".into(),
                level: Level::Warning,
                text: format!(
                    "the secret {name} has less than {SHORTEST} bytes: it can't be masked in outputs"
                ),
            });
        }
        let cloud = Cloud::new(
            run.clone(),
            drive.client,
            folder.clone(),
            events.clone(),
            Arc::clone(&self.clock),
            drive.pace,
            vault,
        );
        let session = self
            .journal
            .session(lock, Arc::new(cloud), PIPELINE)
            .await?;
        let region: RegionId = view
            .header
            .region
            .parse()
            .map_err(|_| EngineError::Record {
                run: run.clone(),
                problem: format!("{} can't be a region", view.header.region),
            })?;
        let work = Work {
            run: run.clone(),
            started: view.begun,
            region,
            checked: &checked,
            runtime: &self.runtime,
            folder: folder.clone(),
            events: events.clone(),
            roles: Mutex::default(),
        };
        let stages = self.journal.stages(run).await?;
        let finished = stages
            .into_iter()
            .filter(|stage| stage.finished.is_some())
            .map(|stage| stage.name)
            .collect();
        let manifest = Box::pin(pipeline::run(&session, &work, &finished))
            .await
            .map_err(|stop| stopped(run, stop))?;
        let outcome = self.end(manifest, &folder).await?;
        events.tell(Kind::RunFinished {
            status: outcome.manifest.status,
            images: pipeline::images(&outcome.manifest),
            error: outcome.manifest.error.clone(),
        });
        session.close().await?;
        Ok(outcome)
    }

    /// Writes the manifest, then the run's end, in this order: a run that has ended has
    /// its manifest.
    async fn end(&self, manifest: Manifest, folder: &RunFolder) -> Result<Outcome, EngineError> {
        let run = manifest.run.clone();
        let stages = self.journal.stages(&run).await?;
        let manifest = Manifest {
            finished: self.clock.now(),
            stages: stages.iter().map(stage_time).collect(),
            ..manifest
        };
        let file = folder.file(manifest::FILE);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| EngineError::Record {
            run: run.clone(),
            problem: error.to_string(),
        })?;
        folder
            .write(manifest::FILE, &text)
            .map_err(|source| EngineError::Folder {
                act: "write",
                path: file.clone(),
                source,
            })?;
        if !manifest.left.is_empty() {
            return Err(EngineError::Left {
                run,
                status: manifest.status,
                left: manifest.left,
            });
        }
        let result = json!({
            "status": manifest.status,
            "images": pipeline::images(&manifest),
        });
        self.journal.finish(&run, result).await?;
        Ok(Outcome { manifest, file })
    }

    async fn announce(
        &self,
        run: &RunId,
        header: &Header,
        events: &Events,
    ) -> Result<(), EngineError> {
        if self.journal.stages(run).await?.is_empty() {
            events.tell(Kind::RunStarted {
                template: header.template.clone(),
                cloud: header.cloud.clone(),
                region: header.region.clone(),
            });
        } else {
            events.tell(Kind::RunResumed {
                pid: std::process::id(),
            });
        }
        Ok(())
    }

    /// The secrets of a run: those that it was begun with, or asked for again.
    async fn vault(
        &self,
        run: &RunId,
        checked: &Checked,
        ask: &Ask,
    ) -> Result<Arc<Vault>, EngineError> {
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vault) = vaults.remove(run) {
            return Ok(vault);
        }
        drop(vaults);
        Ok(Arc::new(Vault::ask(&checked.secrets(), ask).await?))
    }

    /// The checked template of a run that has begun, from its own copies.
    fn recheck(
        &self,
        run: &RunId,
        header: &Header,
        folder: &RunFolder,
    ) -> Result<Checked, EngineError> {
        let path = folder.file("template.yaml");
        let text = std::fs::read_to_string(&path).map_err(|source| EngineError::Folder {
            act: "read",
            path,
            source,
        })?;
        let cloud: Where = header.cloud.parse().map_err(|_| EngineError::Record {
            run: run.clone(),
            problem: format!("{} can't be a cloud", header.cloud),
        })?;
        let with = CheckWith {
            file_name: &header.file,
            resolve: ResolveWith {
                cloud,
                parameters: &header.parameters,
                region: Some(&header.region),
            },
            shelf: Shelf::Kept {
                folder,
                digests: &header.components,
            },
        };
        Ok(self.check(&text, &with)?)
    }

    /// Asks a run to stop and clean up: the process that drives it, or else the next one.
    ///
    /// # Errors
    /// When the journal can't be written, or the run has ended.
    pub async fn cancel(&self, run: &RunId) -> Result<(), EngineError> {
        let view = self.view(run).await?;
        if let Some(status) = view.status {
            return Err(EngineError::Ended {
                run: run.clone(),
                status,
            });
        }
        Ok(self.journal.cancel(run).await?)
    }

    /// The run that a person means: its id, a unique beginning of it, or `last`.
    ///
    /// # Errors
    /// When there is none, or several.
    pub async fn find(&self, text: &str) -> Result<RunId, EngineError> {
        Ok(self.journal.find(text).await?)
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn runs(&self) -> Result<Vec<RunView>, EngineError> {
        let runs = self.journal.runs().await?;
        let mut views: Vec<_> = runs
            .into_iter()
            .map(|summary| self.view_of(summary))
            .collect::<Result<_, _>>()?;
        views.sort_by(|a, b| b.run.cmp(&a.run));
        Ok(views)
    }

    /// One run.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub async fn view(&self, run: &RunId) -> Result<RunView, EngineError> {
        self.view_of(self.journal.run(run).await?)
    }

    fn view_of(&self, summary: RunSummary) -> Result<RunView, EngineError> {
        let record = |error: serde_json::Error| EngineError::Record {
            run: summary.run.clone(),
            problem: error.to_string(),
        };
        let header = serde_json::from_value(summary.header.clone()).map_err(record)?;
        let result = summary.finished.as_ref().map(|finished| &finished.result);
        let part = |name: &str| result.and_then(|result| result.get(name)).cloned();
        Ok(RunView {
            pid: match result {
                Some(_) => None,
                None => self.journal.holder(&summary.run)?,
            },
            header,
            status: part("status")
                .map(serde_json::from_value)
                .transpose()
                .map_err(record)?,
            images: part("images")
                .map(serde_json::from_value)
                .transpose()
                .map_err(record)?
                .unwrap_or_default(),
            begun: summary.begun,
            run: summary.run,
        })
    }

    /// The run's folder.
    pub fn folder(&self, run: &RunId) -> RunFolder {
        RunFolder::at(self.state.join("runs").join(run.as_str()))
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }
}

fn stage_time(stage: &StageSummary) -> StageTime {
    let finished = stage.finished.unwrap_or(stage.opened);
    StageTime {
        stage: stage.name.clone(),
        seconds: finished.duration_since(stage.opened).as_secs_f64(),
    }
}

fn stopped(run: &RunId, stop: Stop<Trouble>) -> EngineError {
    match stop {
        Stop::Unavailable(trouble) => EngineError::Unavailable {
            run: run.clone(),
            trouble,
        },
        Stop::Store(error) => EngineError::Store(error),
        stop => EngineError::Stopped {
            run: run.clone(),
            stop: Box::new(stop),
        },
    }
}
