//! Unwinding: performing what is pending of a run's undo entries, newest first.
//!
//! Entries are data, so that this works for a run that any version began, finished or
//! not, cancelled or not. It must go on past an entry that fails: one thing that can't
//! be deleted must not keep the others.

use serde::Serialize;

use crate::id::RunId;
use crate::key::{self, UndoKey};
use crate::session::{Inner, Session};
use crate::store::{StoreError, UndoEntry, UndoState};
use crate::world::{Attempt, Failure, Undoes, World};

/// An undo entry that couldn't be performed. It is pending still.
#[derive(Clone, Debug)]
pub struct UndoFailure<E: std::error::Error + 'static> {
    /// The entry.
    pub entry: UndoEntry,
    /// Why.
    pub problem: UndoProblem<E>,
}

/// Why an undo entry couldn't be performed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UndoProblem<E: std::error::Error + 'static> {
    /// It failed.
    #[error(transparent)]
    Failed(E),
    /// It can't be performed for now.
    #[error(transparent)]
    Unavailable(E),
    /// This version can't read the operation.
    #[error(transparent)]
    Unreadable(StoreError),
}

impl<W: World> Session<W> {
    /// Performs all pending undo entries of the run, newest first, and returns those that
    /// failed. Works when the run is cancelled, and may be called again.
    ///
    /// # Errors
    /// When the journal can't be read or written; what was performed is recorded.
    pub async fn unwind(&self) -> Result<Vec<UndoFailure<W::Error>>, StoreError> {
        self.0.unwind(|_| true).await
    }

    /// All undo entries of the run, in the order of their registration.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn undo_entries(&self) -> Result<Vec<UndoEntry>, StoreError> {
        self.0.store.undo_entries(self.run()).await
    }

    /// The undo entries of the run that are to be performed yet.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn pending(&self) -> Result<Vec<UndoEntry>, StoreError> {
        let mut entries = self.undo_entries().await?;
        entries.retain(|entry| entry.state == UndoState::Pending);
        Ok(entries)
    }

    /// Makes a stage begin anew, for a version that can't go on from where it is: performs
    /// its pending undo entries and, if none failed, forgets what it recorded. It gets
    /// keys, and so tokens, of its own.
    ///
    /// # Errors
    /// When the journal can't be read or written.
    pub async fn restart(&self, stage: &str) -> Result<Vec<UndoFailure<W::Error>>, StoreError> {
        let failures = self.0.unwind(|entry| entry.stage == stage).await?;
        if failures.is_empty() {
            self.0.store.restart_stage(self.run(), stage).await?;
        }
        Ok(failures)
    }
}

impl<W: World> Inner<W> {
    async fn unwind(
        &self,
        of: impl Fn(&UndoEntry) -> bool,
    ) -> Result<Vec<UndoFailure<W::Error>>, StoreError> {
        // Nothing can be undone that is being done.
        self.flights.landed().await;
        let mut failures = Vec::new();
        for entry in self.store.undo_entries(self.run()).await?.into_iter().rev() {
            if entry.state == UndoState::Pending && of(&entry) {
                self.pass("journal.asked", &entry).await;
                let problem = self.undo(&entry).await?;
                let text = problem.as_ref().map(ToString::to_string);
                self.store.settle_undo(self.run(), &entry.key, text).await?;
                self.pass("journal.outcome", &entry).await;
                failures.extend(problem.map(|problem| UndoFailure { entry, problem }));
            }
        }
        Ok(failures)
    }

    /// A point at which a test may end this process.
    async fn pass(&self, point: &str, entry: &UndoEntry) {
        let key = key::unwinding(entry.key.as_str());
        darkroom_failpoint::reach_at(point, self.run().as_str(), &key).await;
    }

    /// One attempt at an entry; what went wrong is returned as a value.
    async fn undo(&self, entry: &UndoEntry) -> Result<Option<UndoProblem<W::Error>>, StoreError> {
        let operation = match entry.operation() {
            Ok(operation) => operation,
            Err(error) => return Ok(Some(UndoProblem::Unreadable(error))),
        };
        self.store
            .attempt_undo(self.run(), &entry.key, self.clock.now())
            .await?;
        self.pass("journal.intent", entry).await;
        self.pass("journal.attempt", entry).await;
        let key = key::unwinding(entry.key.as_str());
        let attempt = Attempt {
            token: key::token(self.run(), &key),
            at: self.clock.now(),
            epoch: None,
            key,
            repeat: entry.attempted,
            witness: None,
            undoes: Some(entry.undoes(self.run())),
        };
        let result = self.world.perform(&operation, &attempt).await;
        self.pass("journal.effect", entry).await;
        Ok(match result {
            Ok(_) => None,
            Err(Failure::Final(error)) => Some(UndoProblem::Failed(error)),
            Err(Failure::Unavailable(error)) => Some(UndoProblem::Unavailable(error)),
        })
    }
}

impl UndoEntry {
    /// The operation, as this version understands it.
    pub(crate) fn operation<O: serde::de::DeserializeOwned + Serialize>(
        &self,
    ) -> Result<O, StoreError> {
        serde_json::from_value(self.operation.clone()).map_err(|error| StoreError::Record {
            subject: format!("the undo of {}", self.key),
            problem: error.to_string(),
        })
    }

    /// What the world is told of the operation to be undone.
    pub(crate) fn undoes(&self, run: &RunId) -> Undoes {
        let UndoKey(key) = self.key.clone();
        Undoes {
            token: key::token(run, &key),
            key,
            outcome: self.outcome.clone(),
        }
    }
}
