//! Jobs that turn instances on and off, and make them go.
//!
//! ```text
//! RunInstances: Pending ─ Starting ─ Running       StopInstance:   Stopping ─ Stopped
//! StartInstance:          Starting ─ Running       RebootInstance: Starting ─ Running
//! DeleteInstance: Stopping (or Stopped) ─ gone
//! ```

use std::sync::Arc;

use darkroom_ecs::action::InstanceStatus;
use darkroom_ecs::id::InstanceId;
use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Step, Trouble, command, sweep};
use crate::cloud::Cloud;
use crate::driver::{Agent, Observed};
use crate::state::jobs::{self, Job, Task, TokenKey};
use crate::state::rows::{self, DiskRow, InstanceRow};
use crate::state::store::StoreError;
use crate::state::{layers, ledger, tokens};

/// Writes an instance's status; nothing when it is gone.
pub(super) fn set_status(
    tx: &Transaction<'_>,
    instance: &InstanceId,
    status: &InstanceStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(mut row) = rows::get::<InstanceRow>(tx, instance.as_str())? {
        row.status = status.clone();
        if *status == InstanceStatus::Running {
            row.started_at = Some(now);
            wake_agent(tx, &row)?;
        }
        rows::put(tx, &row)?;
    }
    Ok(())
}

/// An agent that was installed lives when its instance has been started.
fn wake_agent(tx: &Transaction<'_>, row: &InstanceRow) -> Result<(), StoreError> {
    if let Some(mut disk) = rows::get::<DiskRow>(tx, row.disk.as_str())?
        && disk.system.agent == Agent::Coming
    {
        disk.system.agent = Agent::Present;
        rows::put(tx, &disk)?;
    }
    Ok(())
}

/// What an instance is whose start or reboot is given up: its supervisor may have been
/// too slow to say that it runs.
pub(super) async fn seen(cloud: &Arc<Cloud>, task: &Task) -> InstanceStatus {
    let (Task::Start { instance, .. } | Task::Reboot { instance, .. }) = task else {
        return InstanceStatus::Stopped;
    };
    match cloud.driver.observe(instance).await {
        Ok(Observed::Running { .. }) => InstanceStatus::Running,
        Ok(Observed::Stopped | Observed::Gone) | Err(_) => InstanceStatus::Stopped,
    }
}

async fn finish(
    cloud: &Arc<Cloud>,
    number: i64,
    instance: InstanceId,
    status: InstanceStatus,
) -> Result<Step, Trouble> {
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            if jobs::remove(tx, number)? {
                set_status(tx, &instance, &status, now)?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(Step::Moved)
}

pub(super) async fn start(
    cloud: &Arc<Cloud>,
    number: i64,
    instance: InstanceId,
    fresh: bool,
) -> Result<Step, Trouble> {
    if fresh {
        let (id, now) = (instance.clone(), cloud.clock.now());
        cloud
            .store
            .write(move |tx| set_status(tx, &id, &InstanceStatus::Starting, now))
            .await?;
    }
    cloud.driver.start(&instance).await?;
    finish(cloud, number, instance, InstanceStatus::Running).await
}

pub(super) async fn stop(
    cloud: &Arc<Cloud>,
    number: i64,
    instance: InstanceId,
    force: bool,
) -> Result<Step, Trouble> {
    cloud.driver.stop(&instance, force).await?;
    finish(cloud, number, instance, InstanceStatus::Stopped).await
}

/// A reboot that was done before a crash shows by its boot id, and is not done again.
pub(super) async fn reboot(
    cloud: &Arc<Cloud>,
    number: i64,
    instance: InstanceId,
    force: bool,
    before: Option<String>,
) -> Result<Step, Trouble> {
    match cloud.driver.observe(&instance).await? {
        Observed::Running { boot_id, .. } if before.is_none_or(|before| before == boot_id) => {
            cloud.driver.reboot(&instance, force).await?;
        }
        Observed::Running { .. } => {}
        Observed::Stopped | Observed::Gone => cloud.driver.start(&instance).await?,
    }
    finish(cloud, number, instance, InstanceStatus::Running).await
}

/// Promises that an instance will be deleted. It is still seen until it is. No number
/// when that was promised before.
pub(crate) fn promise_delete(
    tx: &Transaction<'_>,
    instance: &InstanceId,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let jobs = jobs::of(tx, instance.as_str())?;
    if jobs
        .iter()
        .any(|(_, job)| matches!(job.task, Task::Delete { .. }))
    {
        return Ok(None);
    }
    if let Some(mut row) = rows::get::<InstanceRow>(tx, instance.as_str())?
        && row.status == InstanceStatus::Running
    {
        row.status = InstanceStatus::Stopping;
        rows::put(tx, &row)?;
    }
    let task = Task::Delete {
        instance: instance.clone(),
    };
    let created_at = now;
    jobs::add(tx, &Job { task, created_at }).map(Some)
}

pub(super) async fn delete(
    cloud: &Arc<Cloud>,
    number: i64,
    instance: InstanceId,
) -> Result<Step, Trouble> {
    darkroom_failpoint::reach("server.cleanup").await;
    // What finished is kept before the place where it is written goes.
    command::settle(cloud, &instance).await?;
    cloud.driver.delete(&instance).await?;
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            command::release(tx, &instance, now)?;
            remove_rows(tx, &instance, now)?;
            jobs::remove(tx, number)?;
            Ok::<_, StoreError>(())
        })
        .await?;
    sweep(cloud);
    Ok(Step::Moved)
}

/// Removes an instance and its disks from the state and the bill.
pub(crate) fn remove_rows(
    tx: &Transaction<'_>,
    instance: &InstanceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(row) = rows::get::<InstanceRow>(tx, instance.as_str())? else {
        return Ok(());
    };
    layers::release(tx, row.disk.as_str())?;
    ledger::close(tx, row.id.as_str(), now)?;
    for disk in [&row.disk].into_iter().chain(&row.data_disks) {
        ledger::close(tx, disk.as_str(), now)?;
        rows::remove::<DiskRow>(tx, disk.as_str())?;
    }
    rows::remove::<InstanceRow>(tx, row.id.as_str())
}

/// Unmakes instances whose ids nobody was told: the request that wanted them died,
/// and when it is repeated, with the same token, it makes new ones.
pub(super) async fn unmake(
    cloud: &Arc<Cloud>,
    number: i64,
    instances: Vec<InstanceId>,
    token: Option<TokenKey>,
) -> Result<Step, Trouble> {
    for instance in &instances {
        cloud.driver.delete(instance).await?;
    }
    let now = cloud.clock.now();
    cloud
        .store
        .write(move |tx| {
            for instance in &instances {
                remove_rows(tx, instance, now)?;
            }
            if let Some(token) = token {
                tokens::forget(tx, &token)?;
            }
            jobs::remove(tx, number)?;
            Ok::<_, StoreError>(())
        })
        .await?;
    sweep(cloud);
    Ok(Step::Moved)
}
