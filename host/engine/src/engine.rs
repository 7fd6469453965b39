//! Begin, drive, resume, cancel and list runs.
//!
//! A run is begun once (its folder and its row in the journal) and then driven, by the
//! process that began it or by any later one: driving a new run and resuming a killed one
//! are the same call. Which client the cloud is called with is the caller's to say; the
//! run's [`Header`] says which cloud, region and account that must be. How one is driven is
//! `drive`'s.

mod drive;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::{Clock, FindError, Journal, LockError, RunId, RunSummary, Stop, StoreError};
use darkroom_runtime::Runtime;
use darkroom_template::{Cloud as Where, Mistakes, ResolveWith};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::{CheckWith, Checked, check};
use crate::cloud::Pace;
use crate::components::{KeptCopy, Packages, Shelf};
use crate::event::{ImageOf, Status, Watcher};
use crate::folder::{RunFolder, private};
use crate::forecast::Grounds;
use crate::manifest::Manifest;
use crate::plan::{Plan, plan_with};
use crate::secret::{Ask, SecretError, Vault};
use crate::stage::unchanged;
use crate::trouble::Trouble;
use crate::verb::{self, ImageVerb, LookInto};
use crate::waiter::Waiter;

/// The version of the pipeline: of the order and the names of what stages ask of the
/// journal. Raise it when an open stage of an older one can't be replayed any more.
const PIPELINE: &str = "2";

/// What is known of how long things take, beside the journal.
const WAITS: &str = "waits.json";

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
    /// What the template copies, by its place in `build`.
    #[serde(default)]
    pub copies: BTreeMap<usize, KeptCopy>,
    /// The template's folder, absolute: where the files of secrets are asked for again.
    #[serde(default)]
    pub folder: PathBuf,
    /// Whether the image is built even if an unchanged one could be taken.
    #[serde(default)]
    pub refresh: bool,
    /// Whether an unchanged image is looked for whatever the template says. Runs of earlier
    /// versions do it only where there is a `rebuild`.
    #[serde(default)]
    pub reuses: bool,
    /// Whether layers are kept and used where the template doesn't say it.
    #[serde(default)]
    pub layers: bool,
    /// What is done to an image; none where one is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<ImageVerb>,
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
    /// Builds even if an unchanged image could be taken.
    pub refresh: bool,
    /// Keeps a layer at the end of each item of `build`, and begins from one, where the
    /// template doesn't say it (`checkpoint`): where images cost next to nothing.
    pub layers: bool,
    /// Asks for the values of the template's secrets, before there is a run.
    pub secrets: Ask,
}

/// What a run that does something to an image is begun with.
pub struct BeginVerb<'a> {
    /// What is done.
    pub verb: ImageVerb,
    /// The cloud.
    pub cloud: Where,
    /// The region of the image.
    pub region: RegionId,
    /// The account, by the name that the caller knows it by.
    pub account: Option<&'a str>,
    /// Four random bytes for the run's id.
    pub random: [u8; 4],
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
    /// Looks into the instance of an image that is tried without a command.
    pub look: Option<LookInto>,
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
            look: None,
        }
    }

    /// Looks into an instance in this way.
    #[must_use]
    pub fn look(mut self, look: LookInto) -> Self {
        self.look = Some(look);
        self
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
    /// Another process has resumed the run on a copy of this state folder.
    #[error("run {run} was resumed elsewhere and stops here")]
    Superseded {
        /// The run.
        run: RunId,
        /// What says so.
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
            Self::Superseded { trouble, .. } => trouble.hint(),
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
    runtime: Arc<Runtime>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    waiter: Arc<Waiter>,
    /// The secrets of runs that were begun and are not driven yet.
    vaults: Mutex<BTreeMap<RunId, Arc<Vault>>>,
}

impl Engine {
    /// Opens the state folder, made if it isn't there.
    ///
    /// # Errors
    /// When the folder or the journal can't be used.
    pub async fn open(settings: Settings) -> Result<Self, EngineError> {
        let runtime = Arc::new(settings.runtime);
        Self::open_sharing(settings.state, runtime, settings.clock).await
    }

    /// The same with a runtime that others use too.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_sharing(
        state: PathBuf,
        runtime: Arc<Runtime>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, EngineError> {
        private(&state).map_err(|source| EngineError::Folder {
            act: "make",
            path: state.clone(),
            source,
        })?;
        let file = state.join("journal.sqlite");
        let journal = Journal::open(file, Arc::clone(&clock)).await?;
        let waits = state.join(WAITS);
        Ok(Self {
            state,
            runtime,
            journal,
            waiter: Arc::new(Waiter::new(Arc::clone(&clock), waits)),
            clock,
            vaults: Mutex::default(),
        })
    }

    /// Returns when all that the journal was told is synced.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn settled(&self) -> Result<(), EngineError> {
        Ok(self.journal.flush().await?)
    }

    /// How many calls this process has made to look whether something is so that its runs
    /// wait for.
    pub fn polls(&self) -> u64 {
        self.waiter.polls()
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

    /// Plans a checked template, and says whether a build now would be skipped, where it
    /// would begin, how long it would take and what it would cost. `layers` as for
    /// [`Begin::layers`].
    ///
    /// # Errors
    /// What is wrong with the inputs, why the cloud can't be asked, or why a component
    /// can't be called.
    pub async fn plan(
        &self,
        client: &Client,
        checked: &Checked,
        layers: bool,
    ) -> Result<Plan, Trouble> {
        let now = self.clock.now();
        let reuse = unchanged::outlook(client, checked, now).await?;
        let earlier = self.earlier(checked).await;
        let grounds = Grounds {
            client,
            checked,
            layers,
            earlier: &earlier,
            now,
        };
        plan_with(&self.runtime, client, checked, Some((reuse, grounds))).await
    }

    /// The manifests of the template's runs on its cloud, newest first; those that can't be
    /// read say nothing.
    async fn earlier(&self, checked: &Checked) -> Vec<Manifest> {
        const READ: usize = 20;
        let runs = self.runs().await.unwrap_or_default();
        let of_template = runs.into_iter().filter(|view| {
            let header = &view.header;
            view.status.is_some()
                && header.verb.is_none()
                && header.template == checked.name()
                && header.cloud == checked.resolved.cloud.word()
        });
        let read = |view: RunView| {
            let text = self.folder(&view.run).read(crate::manifest::FILE).ok()?;
            serde_json::from_slice(&text).ok()
        };
        of_template.take(READ).filter_map(read).collect()
    }

    /// Begins a run: from here on it is in the journal and can be resumed.
    ///
    /// # Errors
    /// When a secret can't be had, or folder or journal can't be written.
    pub async fn begin(&self, checked: &Checked, begin: &Begin<'_>) -> Result<RunId, EngineError> {
        self.begin_as(checked, begin, None).await
    }

    /// Begins a run that does this to an image. `system` is the folder of the system
    /// components.
    ///
    /// # Errors
    /// When the region or the image can't be, or folder or journal can't be written.
    pub async fn begin_verb(
        &self,
        begin: &BeginVerb<'_>,
        system: &Path,
    ) -> Result<RunId, EngineError> {
        if let ImageVerb::Try(image) = &begin.verb {
            let text = verb::try_out::template(image);
            let checked = self.check(
                &text,
                &CheckWith {
                    file_name: "image try",
                    resolve: ResolveWith {
                        cloud: begin.cloud,
                        parameters: &[],
                        region: Some(begin.region.as_str()),
                    },
                    shelf: Shelf::Live {
                        system,
                        template: system,
                        packages: &Packages::new(),
                    },
                },
            )?;
            let as_template = Begin {
                file: "image try",
                folder: system,
                account: begin.account,
                parameters: &[],
                random: begin.random,
                refresh: true,
                layers: false,
                secrets: crate::secret::none(),
            };
            let verb = Some(begin.verb.clone());
            return self.begin_as(&checked, &as_template, verb).await;
        }
        let run = RunId::new(self.clock.now(), begin.random);
        let folder = self.folder(&run);
        RunFolder::create(folder.path().to_owned()).map_err(|source| EngineError::Folder {
            act: "make",
            path: folder.path().to_owned(),
            source,
        })?;
        let header = Header {
            header: HEADER,
            template: begin.verb.words(),
            file: String::new(),
            cloud: begin.cloud.word().into(),
            region: begin.region.to_string(),
            account: begin.account.map(ToOwned::to_owned),
            parameters: Vec::new(),
            darkroom: env!("CARGO_PKG_VERSION").into(),
            components: BTreeMap::new(),
            copies: BTreeMap::new(),
            folder: PathBuf::new(),
            refresh: true,
            reuses: false,
            layers: false,
            verb: Some(begin.verb.clone()),
        };
        self.journal.begin(&run, json!(header)).await?;
        darkroom_failpoint::reach("engine.begun").await;
        Ok(run)
    }

    async fn begin_as(
        &self,
        checked: &Checked,
        begin: &Begin<'_>,
        verb: Option<ImageVerb>,
    ) -> Result<RunId, EngineError> {
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
            .write(drive::TEMPLATE, checked.text.as_bytes())
            .map_err(failed)?;
        let digests = checked.digests();
        for (reference, bytes) in &checked.bytes {
            if let Some(digest) = digests.get(reference) {
                folder
                    .write(&format!("components/{digest}"), bytes)
                    .map_err(failed)?;
            }
        }
        let mut copies = BTreeMap::new();
        for (index, copied) in checked.copied() {
            let kept = KeptCopy {
                sha256: folder.keep(&copied.bytes).map_err(failed)?,
                folder: copied.is_folder,
                mode: copied.mode,
            };
            copies.insert(index, kept);
        }
        let header = Header {
            header: HEADER,
            template: match &verb {
                Some(verb) => verb.words(),
                None => checked.name().into(),
            },
            file: begin.file.into(),
            cloud: checked.resolved.cloud.word().into(),
            region: checked.resolved.region.clone(),
            account: begin.account.map(ToOwned::to_owned),
            parameters: begin.parameters.to_vec(),
            darkroom: env!("CARGO_PKG_VERSION").into(),
            components: digests,
            copies,
            folder: begin.folder.to_owned(),
            refresh: begin.refresh,
            reuses: true,
            layers: begin.layers,
            verb,
        };
        self.journal.begin(&run, json!(header)).await?;
        self.vaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run.clone(), Arc::new(vault));
        darkroom_failpoint::reach("engine.begun").await;
        Ok(run)
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
        // The journal has them in the order in which they began, which their names are not
        // within a second.
        let newest = runs.into_iter().rev();
        newest.map(|summary| self.view_of(summary)).collect()
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

    /// What time it is, for all that the engine does.
    pub(crate) fn waiter(&self) -> Arc<Waiter> {
        Arc::clone(&self.waiter)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }
}
