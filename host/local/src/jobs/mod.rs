//! The workers: one task for each job, which does what its row promises.
//!
//! ```text
//! request: check ─┬─ one transaction: resource rows, token, job row ── answer
//!                 └─ worker: driver call (repeatable) ── one transaction: rows, job row gone
//! ```
//! A worker holds nothing that its row doesn't say, so that the server can die
//! between any two lines: the successor's worker calls the driver again, which every
//! driver call allows, and goes on. A restart never makes a job fail; only the driver
//! does, after several attempts. Jobs that work on the same thing are done in order.
//!
//! - [`power`]: start, stop, reboot, delete, and instances that were never announced.
//! - [`image`]: snapshots, images, copies.
//! - [`command`]: commands that the driver has not got yet.

pub(crate) mod command;
mod image;
mod power;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Transaction;

use crate::clock::after;
use crate::cloud::Cloud;
use crate::driver::DriverError;
use crate::fault_plan::FaultKind;
use crate::state::jobs::{self, CopyPhase, Job, Task};
use crate::state::layers;
use crate::state::lookup;
use crate::state::rows;
use crate::state::store::StoreError;

pub(crate) use command::{deliver_all, refresh};
pub(crate) use image::bill_snapshot;

/// After how many failures of the driver a job that may fail does.
const ATTEMPTS: u32 = 5;
/// The pause after a failure; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a worker stops or tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The driver failed: try again.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The state can't be used: the next server will.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Gives a job that has been written down to a worker.
pub(crate) fn begin(cloud: &Arc<Cloud>, number: i64) {
    spawn(cloud, work(Arc::clone(cloud), number));
}

/// Runs a task that ends with the cloud.
fn spawn(cloud: &Arc<Cloud>, task: impl Future<Output = ()> + Send + 'static) {
    let end = cloud.end.clone();
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = task => {}
        }
    });
}

async fn work(cloud: Arc<Cloud>, number: i64) {
    let mut failures = 0_u32;
    loop {
        let changed = cloud.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let looked = cloud
            .store
            .read(move |tx| {
                let Some(job) = jobs::get(tx, number)? else {
                    return Ok::<_, StoreError>(None);
                };
                let blocked = jobs::blocked(tx, number, &job)?;
                Ok(Some((job, blocked)))
            })
            .await;
        let job = match looked {
            Ok(None) => return,
            Ok(Some((_, true))) => {
                changed.await;
                continue;
            }
            Ok(Some((job, false))) => job,
            Err(error) => return tracing::error!(%error, number, "a job can't be read"),
        };
        let name = job.task.name();
        match planned(&cloud, number, &job).await {
            Some(FaultKind::Fail) if give_up(&cloud, number, job.clone()).await => return,
            Some(FaultKind::Stuck) => {
                changed.await;
                continue;
            }
            _ => {}
        }
        let done = step(&cloud, number, job.clone()).await;
        match done {
            Ok(Step::Waits) => changed.await,
            Ok(Step::Moved) => cloud.changed.notify_waiters(),
            Err(Trouble::Store(error)) => {
                return tracing::error!(%error, number, name, "a job can't be written");
            }
            Err(Trouble::Driver(error)) => {
                failures += 1;
                let error = explain(&error);
                tracing::warn!(error, number, name, failures, "a job failed");
                cloud.changed.notify_waiters();
                if failures >= ATTEMPTS && give_up(&cloud, number, job).await {
                    return;
                }
                let pause = PAUSE
                    .saturating_mul(1_u32 << failures.min(10))
                    .min(LONGEST_PAUSE);
                cloud
                    .clock
                    .sleep_until(after(cloud.clock.now(), pause))
                    .await;
            }
        }
    }
}

/// What goes wrong with a job on purpose. A delay has passed when this returns.
async fn planned(cloud: &Arc<Cloud>, number: i64, job: &Job) -> Option<FaultKind> {
    let task = job.task.clone();
    if matches!(&task, Task::Copy { phase, .. } if *phase == CopyPhase::Waiting) {
        // It has its turn first.
        return None;
    }
    let region = move |tx: &Transaction<'_>| jobs::region(tx, &task);
    let name = job.task.name();
    match cloud
        .faults
        .of_job(&cloud.store, number, name, region)
        .await
    {
        Ok(Some(FaultKind::Delay(seconds))) => {
            let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            cloud.clock.sleep_until(after(job.created_at, span)).await;
            None
        }
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "the fault plan can't be read");
            None
        }
    }
}

/// An error with its causes.
fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What came of one step of a job.
enum Step {
    /// Its row is gone or says something else now.
    Moved,
    /// It can't go on before another job has.
    Waits,
}

async fn step(cloud: &Arc<Cloud>, number: i64, job: Job) -> Result<Step, Trouble> {
    match job.task.clone() {
        Task::Reserve { instances, token } => power::unmake(cloud, number, instances, token).await,
        Task::Start { instance, fresh } => power::start(cloud, number, instance, fresh).await,
        Task::Stop { instance, force } => power::stop(cloud, number, instance, force).await,
        Task::Reboot {
            instance,
            force,
            before,
        } => power::reboot(cloud, number, instance, force, before).await,
        Task::Delete { instance } => power::delete(cloud, number, instance).await,
        Task::Snapshot { .. } => image::snapshot(cloud, number, job).await,
        Task::Image { image } => image::publish(cloud, number, image).await,
        Task::Copy { .. } => image::copy(cloud, number, job).await,
    }
}

/// Ends a job that may fail, as failed. Stops and deletions are tried for ever.
async fn give_up(cloud: &Arc<Cloud>, number: i64, job: Job) -> bool {
    let now = cloud.clock.now();
    let status = power::seen(cloud, &job.task).await;
    let ended = cloud
        .store
        .write(move |tx| {
            match &job.task {
                Task::Start { instance, .. } | Task::Reboot { instance, .. } => {
                    power::set_status(tx, instance, &status, now)?;
                }
                Task::Snapshot { .. } | Task::Image { .. } | Task::Copy { .. } => {
                    image::fail(tx, &job.task)?;
                }
                Task::Reserve { .. } | Task::Stop { .. } | Task::Delete { .. } => return Ok(false),
            }
            jobs::remove(tx, number)
        })
        .await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%error, number, "a failed job can't be ended");
            true
        }
    };
    cloud.changed.notify_waiters();
    ended
}

/// Removes the layers that nobody needs, some time soon.
pub(crate) fn sweep(cloud: &Arc<Cloud>) {
    // One that waits for its turn will find what is loose by now.
    if cloud.sweep_waits.swap(true, Ordering::AcqRel) {
        return;
    }
    let this = Arc::clone(cloud);
    spawn(cloud, async move {
        if let Err(error) = remove_loose(&this).await {
            tracing::warn!(error = explain(&error), "loose layers stay for now");
        }
        // What became loose meanwhile waits in another sweep for its turn.
        this.changed.notify_waiters();
    });
}

/// Waits until nobody makes layers. Not by queueing: those who come to make some
/// would have to wait for those who are at it.
async fn alone(cloud: &Arc<Cloud>) -> tokio::sync::RwLockWriteGuard<'_, ()> {
    loop {
        let changed = cloud.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if let Ok(guard) = cloud.layers.try_write() {
            return guard;
        }
        changed.await;
    }
}

async fn remove_loose(cloud: &Arc<Cloud>) -> Result<(), Trouble> {
    let _alone = alone(cloud).await;
    cloud.sweep_waits.store(false, Ordering::Release);
    let loose = cloud.store.read(layers::loose).await?;
    for place in loose {
        cloud
            .driver
            .delete_layers(&place.0, std::slice::from_ref(&place.1))
            .await?;
        cloud
            .store
            .write(move |tx| layers::removed(tx, &place))
            .await?;
    }
    Ok(())
}

/// Deletes instances whose release time has come.
pub(crate) fn watch_releases(cloud: &Arc<Cloud>) {
    let this = Arc::clone(cloud);
    spawn(cloud, async move {
        loop {
            let set = this.release_set.notified();
            tokio::pin!(set);
            set.as_mut().enable();
            let next = match release_due(&this).await {
                Ok(next) => next,
                Err(error) => return tracing::error!(%error, "release times can't be read"),
            };
            match next {
                None => set.await,
                Some(moment) => tokio::select! {
                    () = set => {}
                    () = this.clock.sleep_until(moment) => {}
                },
            }
        }
    });
}

/// Promises the deletion of what is due, and answers when the next one is.
async fn release_due(cloud: &Arc<Cloud>) -> Result<Option<Timestamp>, StoreError> {
    let now = cloud.clock.now();
    let (numbers, next) = cloud
        .store
        .write(move |tx| {
            let mut numbers = Vec::new();
            let mut next = None;
            while let Some(mut row) = lookup::next_release(tx)? {
                next = row.auto_release_at.filter(|moment| *moment > now);
                if next.is_some() {
                    break;
                }
                row.auto_release_at = None;
                rows::put(tx, &row)?;
                numbers.extend(promise_delete(tx, &row.id, now)?);
            }
            Ok::<_, StoreError>((numbers, next))
        })
        .await?;
    for number in numbers {
        begin(cloud, number);
    }
    Ok(next)
}

pub(crate) use power::promise_delete;
