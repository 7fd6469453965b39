//! The journal of all runs: begin one, lock it, open a session, look at any, signal any.
//!
//! Several processes may have one journal open: one runs a run, others list runs and
//! send signals.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Clock;
use crate::id::RunId;
use crate::lock::{LockError, RunLock};
use crate::session::Session;
use crate::store::{
    EntrySummary, RunSummary, Settings, StageSummary, Store, StoreError, UndoEntry,
};
use crate::world::World;

/// The signal that cancels a run. It stays: a cancelled run is cancelled for ever.
pub const CANCEL: &str = "cancel";

/// How a journal behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long an outcome may stay unwritten when no commit takes it along. Default:
    /// 200 ms.
    pub flush_after: Duration,
    /// How often signals from other processes are looked for. Default: 50 ms.
    pub look_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush_after: Duration::from_millis(200),
            look_every: Duration::from_millis(50),
        }
    }
}

/// One journal file. Clones share it; with the last of them (and of its sessions)
/// everything is written.
#[derive(Clone)]
pub struct Journal {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// No run, or more than one, is meant by a text.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error("no run begins with {text:?}")]
    None {
        /// What was asked for.
        text: String,
    },
    /// There are several.
    #[error("{text:?} could be any of {candidates}", candidates = list(candidates))]
    Several {
        /// What was asked for.
        text: String,
        /// What it could mean.
        candidates: Vec<RunId>,
    },
    /// The journal can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Journal {
    /// Opens the journal at `path`, and makes it if there is none. The clock is that of
    /// all its runs.
    ///
    /// # Errors
    /// When the file can't be opened, isn't a journal, or is of a newer schema.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(path, clock, Options::default()).await
    }

    /// As [`Journal::open`], with other options.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub async fn open_with(
        path: impl AsRef<Path>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let settings = Settings {
            flush_after: options.flush_after,
            look_every: options.look_every,
        };
        Ok(Self {
            store: Store::open(path.as_ref(), settings).await?,
            clock,
        })
    }

    /// Adds a run. The header is the caller's: what it needs to go on with the run.
    ///
    /// # Errors
    /// When the run is there already, or the journal can't be written.
    pub async fn begin(&self, run: &RunId, header: Value) -> Result<(), StoreError> {
        self.store.begin(run, &header, self.clock.now()).await
    }

    /// All runs, in the order in which they were begun.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.store.runs().await
    }

    /// One run.
    ///
    /// # Errors
    /// When there is no such run, or the journal can't be read.
    pub async fn run(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        self.store.run(run).await
    }

    /// What a run was begun with.
    ///
    /// # Errors
    /// As [`Journal::run`].
    pub async fn header(&self, run: &RunId) -> Result<Value, StoreError> {
        Ok(self.run(run).await?.header)
    }

    /// The run that a person means: its name, a prefix of it that is no other's, or
    /// `last`.
    ///
    /// # Errors
    /// When there is none or there are several.
    pub async fn find(&self, text: &str) -> Result<RunId, FindError> {
        let mut runs: Vec<RunId> = self.runs().await?.into_iter().map(|run| run.run).collect();
        let text = text.to_owned();
        if text == "last" {
            return runs.pop().ok_or(FindError::None { text });
        }
        runs.retain(|run| run.matches(&text));
        match (runs.pop(), runs.is_empty()) {
            (Some(run), true) => Ok(run),
            (None, _) => Err(FindError::None { text }),
            (Some(run), false) => {
                runs.push(run);
                Err(FindError::Several {
                    text,
                    candidates: runs,
                })
            }
        }
    }

    /// Records how a run ended. It may be recorded again, by a resumed run.
    ///
    /// # Errors
    /// When there is no such run, or the journal can't be written.
    pub async fn finish(&self, run: &RunId, result: Value) -> Result<(), StoreError> {
        self.store.finish(run, &result, self.clock.now()).await
    }

    /// Sends a signal to a run, whichever process runs it, or will. A signal stays until
    /// the run takes it.
    ///
    /// # Errors
    /// When there is no such run, or the journal can't be written.
    pub async fn signal(&self, run: &RunId, name: &str, payload: Value) -> Result<(), StoreError> {
        self.store
            .send_signal(run, name, &payload, self.clock.now())
            .await
    }

    /// Cancels a run: sends it [`CANCEL`].
    ///
    /// # Errors
    /// As [`Journal::signal`].
    pub async fn cancel(&self, run: &RunId) -> Result<(), StoreError> {
        self.signal(run, CANCEL, Value::Null).await
    }

    /// A run's stages, in the order in which they were begun.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn stages(&self, run: &RunId) -> Result<Vec<StageSummary>, StoreError> {
        self.store.stages(run).await
    }

    /// A run's entries, in the order in which they were asked.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn entries(&self, run: &RunId) -> Result<Vec<EntrySummary>, StoreError> {
        self.store.entries(run).await
    }

    /// A run's undo entries, in the order of their registration.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn undo_entries(&self, run: &RunId) -> Result<Vec<UndoEntry>, StoreError> {
        self.store.undo_entries(run).await
    }

    /// Takes the right to run a run, which only one process at a time can have.
    ///
    /// # Errors
    /// [`LockError::Held`] names the process that has it.
    pub fn lock(&self, run: &RunId) -> Result<RunLock, LockError> {
        RunLock::take(&self.locks(), run)
    }

    /// The process that runs a run at present, if any does.
    ///
    /// # Errors
    /// When the lock's file can't be read.
    pub fn holder(&self, run: &RunId) -> Result<Option<u32>, LockError> {
        RunLock::holder(&self.locks(), run)
    }

    /// Opens the run that is locked, to run it or to unwind it. `pipeline` is the version
    /// of the pipeline: an open stage is only replayed by the one that began it.
    ///
    /// # Errors
    /// When there is no such run, or the journal can't be read.
    pub async fn session<W: World>(
        &self,
        lock: RunLock,
        world: Arc<W>,
        pipeline: impl Into<String>,
    ) -> Result<Session<W>, StoreError> {
        Session::open(
            self.store.clone(),
            Arc::clone(&self.clock),
            lock,
            world,
            pipeline.into(),
        )
        .await
    }

    /// Returns when everything is synced.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.store.flush().await
    }

    /// The folder of the locks.
    fn locks(&self) -> PathBuf {
        self.store.path().with_extension("locks")
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal")
            .field("path", &self.store.path())
            .finish_non_exhaustive()
    }
}

fn list(candidates: &[RunId]) -> String {
    candidates
        .iter()
        .map(RunId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
