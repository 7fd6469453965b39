//! One process's hold on one run: its stages, its cancel, its unwinding.
//!
//! A stage goes from unknown to open to finished; only `restart` leads back. Nothing
//! here knows which stages there are.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::flight::Flights;
use crate::id::RunId;
use crate::lock::RunLock;
use crate::scope::Scope;
use crate::stop::Stop;
use crate::store::record::{self, Stage};
use crate::store::{Arrivals, Opened, Store, StoreError, Versions};
use crate::world::{Failure, World};

/// A run that this process has locked. The lock is released when the session, its
/// scopes and its operations in flight are gone.
pub struct Session<W: World>(pub(crate) Arc<Inner<W>>);

/// What scopes and operations in flight share.
pub(crate) struct Inner<W: World> {
    pub(crate) lock: RunLock,
    pub(crate) store: Store,
    pub(crate) world: Arc<W>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flights: Flights,
    pub(crate) arrivals: watch::Receiver<Arrivals>,
    pub(crate) epoch: Epoch,
    pipeline: String,
    /// The stages that are being run.
    running: Mutex<HashSet<String>>,
}

impl<W: World> Session<W> {
    pub(crate) async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        lock: RunLock,
        world: Arc<W>,
        pipeline: String,
    ) -> Result<Self, StoreError> {
        let epoch = Epoch::new(store.raise(lock.run()).await?);
        let arrivals = store.listen(lock.run()).await?;
        Ok(Self(Arc::new(Inner {
            lock,
            store,
            world,
            clock,
            flights: Flights::new(),
            arrivals,
            epoch,
            pipeline,
            running: Mutex::default(),
        })))
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        self.0.run()
    }

    /// This session's hold on the run, which is newer than all before it on this journal.
    pub fn epoch(&self) -> &Epoch {
        &self.0.epoch
    }

    /// The world, which the session's operations are carried out by.
    pub fn world(&self) -> &W {
        &self.0.world
    }

    /// Runs a stage, or returns what it returned when it was finished. An open stage is
    /// replayed: `body` is called, and what it asks again is answered from the journal.
    /// A stage whose body fails stays open.
    ///
    /// `version` is that of the result `T`: raise it when an older one can't be read.
    ///
    /// # Errors
    /// What `body` stops with; [`Stop::OtherVersion`] when the stage was left by another
    /// version; a body that catches [`Stop::Unavailable`] or the like can't finish.
    pub async fn stage<T, F, Fut>(
        &self,
        name: &str,
        version: u32,
        body: F,
    ) -> Result<T, Stop<W::Error>>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(Scope<W>) -> Fut,
        Fut: Future<Output = Result<T, Stop<W::Error>>>,
    {
        let inner = &self.0;
        let _running = Running::enter(&inner.running, name)?;
        // A stage that was dropped may have left an operation in flight, whose outcome is
        // to be found in the journal and not attempted again beside it.
        inner.flights.landed().await;
        let ours = Versions {
            pipeline: inner.pipeline.clone(),
            stage: version,
        };
        let opened = inner
            .store
            .open_stage(inner.run(), name, &ours, inner.clock.now())
            .await?;
        let scope = match opened {
            Opened::Open { epoch, history } => Scope::root(Arc::clone(inner), name, epoch, history),
            Opened::Finished(result) => {
                return serde_json::from_value(result).map_err(|error| {
                    let problem = error.to_string();
                    StoreError::Record {
                        subject: format!("stage {name}"),
                        problem,
                    }
                    .into()
                });
            }
            Opened::Other { was, finished } => {
                return Err(Stop::OtherVersion {
                    stage: name.into(),
                    was: was.describe(finished),
                    is: ours.describe(finished),
                });
            }
        };
        match inner.world.enter(name).await {
            Ok(()) => {}
            Err(Failure::Unavailable(error)) => return Err(Stop::Unavailable(error)),
            Err(Failure::Final(error)) => return Err(Stop::Failed(error)),
        }
        let result = body(scope.clone()).await;
        inner.flights.landed().await;
        let finished = result.and_then(|value| scope.stopped().map_or(Ok(value), Err));
        let result = match finished {
            Ok(result) => result,
            Err(stop) => {
                inner.store.flush().await?;
                return Err(stop);
            }
        };
        let record = Stage::new(inner.clock.now(), record::normal(&result, name)?);
        inner.store.finish_stage(inner.run(), name, &record).await?;
        darkroom_failpoint::reach("journal.stage").await;
        Ok(result)
    }

    /// Whether the run is to be cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.arrivals.borrow().cancelled
    }

    /// Completes when the run is cancelled.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// Waits for the operations in flight and writes everything.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn close(self) -> Result<(), StoreError> {
        self.0.flights.landed().await;
        self.0.store.flush().await
    }
}

impl<W: World> Inner<W> {
    pub(crate) fn run(&self) -> &RunId {
        self.lock.run()
    }

    /// Completes when the run is cancelled.
    pub(crate) async fn cancelled(&self) {
        let mut arrivals = self.arrivals.clone();
        if arrivals.wait_for(|known| known.cancelled).await.is_err() {
            // The journal's thread is gone and can't tell; the next commit will.
            std::future::pending::<()>().await;
        }
    }

    /// `Stop::Cancelled` if the run is cancelled.
    pub(crate) fn go_on(&self) -> Result<(), Stop<W::Error>> {
        if self.arrivals.borrow().cancelled {
            Err(Stop::Cancelled)
        } else {
            Ok(())
        }
    }

    /// `future`, dropped when the run is cancelled. Only for what has no effect.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        future: impl Future<Output = T>,
    ) -> Result<T, Stop<W::Error>> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(Stop::Cancelled),
            value = future => Ok(value),
        }
    }
}

impl Versions {
    /// The version that mattered.
    fn describe(&self, finished: bool) -> String {
        if finished {
            format!("version {} of the stage", self.stage)
        } else {
            format!(
                "pipeline {} (version {} of the stage)",
                self.pipeline, self.stage
            )
        }
    }
}

/// Keeps a stage from being run twice at once, which would give every key twice.
struct Running<'a> {
    all: &'a Mutex<HashSet<String>>,
    name: String,
}

impl<'a> Running<'a> {
    fn enter<E: std::error::Error>(
        all: &'a Mutex<HashSet<String>>,
        name: &str,
    ) -> Result<Self, Stop<E>> {
        let name = name.to_owned();
        if all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone())
        {
            Ok(Self { all, name })
        } else {
            Err(Stop::Misused {
                key: name,
                problem: "the stage is being run already",
            })
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.name);
    }
}

impl<W: World> std::fmt::Debug for Session<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Session")
            .field("run", self.run())
            .finish_non_exhaustive()
    }
}
