//! Commands on their way to the driver and back.
//!
//! A command's row is written before the driver gets it. One that a killed server
//! didn't hand over is handed over by the next. Its end is read from the driver when
//! somebody asks, and kept; what runs in an instance that is deleted ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::action::{CommandType, ContentEncoding};
use darkroom_ecs::id::{InstanceId, InvokeId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Transaction;

use super::{Trouble, explain, spawn};
use crate::clock::after;
use crate::cloud::Cloud;
use crate::driver::{
    CommandFault, CommandKind, CommandSpec, CommandState, CommandStatus, DriverError, Finished,
    Termination,
};
use crate::state::rows::{self, InvocationRow};
use crate::state::store::StoreError;

/// A command that could not be delivered within a minute has failed, as on ECS.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// The pause before it is handed over again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a command is now, by instance.
pub(crate) type States = BTreeMap<InstanceId, CommandState>;

/// Hands over what a killed server did not.
pub(crate) fn deliver_all(cloud: &Arc<Cloud>) {
    let this = Arc::clone(cloud);
    spawn(cloud, async move {
        let waiting = this.store.read(|tx| rows::running(tx, None)).await;
        let result = match waiting {
            Ok(waiting) => deliver_each(&this, waiting).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = result {
            tracing::error!(error = explain(&error), "commands stay undelivered");
        }
    });
}

async fn deliver_each(cloud: &Arc<Cloud>, waiting: Vec<InvocationRow>) -> Result<(), Trouble> {
    for row in waiting {
        deliver(cloud, &row).await?;
    }
    Ok(())
}

/// Hands a command over to the instances that don't have it yet. Where a supervisor
/// doesn't answer, it is handed over again until it does or a minute has passed: the
/// first time may have been heard, and the same command again is the same.
pub(crate) async fn deliver(cloud: &Arc<Cloud>, row: &InvocationRow) -> Result<(), Trouble> {
    if hand_over(cloud, row).await? {
        return Ok(());
    }
    let (this, id) = (Arc::clone(cloud), row.id.clone());
    spawn(cloud, async move {
        if let Err(error) = insist(&this, &id).await {
            tracing::error!(error = explain(&error), %id, "a command stays undelivered");
        }
    });
    Ok(())
}

async fn insist(cloud: &Arc<Cloud>, id: &InvokeId) -> Result<(), Trouble> {
    loop {
        let next = after(cloud.clock.now(), PAUSE);
        cloud.clock.sleep_until(next).await;
        let wanted = id.clone();
        let row = cloud
            .store
            .read(move |tx| rows::get::<InvocationRow>(tx, wanted.as_str()))
            .await?;
        let Some(row) = row else { return Ok(()) };
        if hand_over(cloud, &row).await? {
            return Ok(());
        }
    }
}

/// One attempt; false where an instance has not answered and may be asked again.
async fn hand_over(cloud: &Arc<Cloud>, row: &InvocationRow) -> Result<bool, Trouble> {
    let spec = spec(row);
    let mut settled = true;
    let missing = row
        .executions
        .iter()
        .filter(|execution| !execution.delivered && execution.finished.is_none());
    for execution in missing {
        let instance = execution.instance.clone();
        let handed = if cloud.has_agent(&instance).await? {
            cloud.driver.run_command(&instance, &spec).await
        } else {
            Err(DriverError::NoAgent {
                id: instance.clone(),
            })
        };
        let now = cloud.clock.now();
        let late = now.duration_since(row.created_at) > DELIVERED_WITHIN;
        let finished = match handed {
            Ok(()) => None,
            Err(DriverError::Io { .. } | DriverError::Other { .. }) if !late => {
                settled = false;
                continue;
            }
            Err(error) => Some(undelivered(&error, now)),
        };
        let id = row.id.clone();
        cloud
            .store
            .write(move |tx| match finished {
                Some(finished) => finish(tx, id.as_str(), &instance, &finished),
                None => change(tx, id.as_str(), &instance, |execution| {
                    execution.delivered = true;
                }),
            })
            .await?;
    }
    Ok(settled)
}

fn undelivered(error: &DriverError, now: Timestamp) -> Finished {
    let error_code = match error {
        DriverError::NoAgent { .. } => CommandFault::ClientNotRunning,
        DriverError::NoInstance { .. } => CommandFault::InstanceReleased,
        DriverError::WrongState { .. } => CommandFault::InstanceNotRunning,
        _ => CommandFault::DeliveryTimeout,
    };
    Finished {
        status: CommandStatus::Failed,
        exit_code: None,
        output: Vec::new(),
        dropped: 0,
        error_code: Some(error_code),
        error_info: Some(explain(error)),
        started_at: None,
        finished_at: now,
    }
}

fn spec(row: &InvocationRow) -> CommandSpec {
    CommandSpec {
        invoke: row.id.clone(),
        kind: match row.kind {
            CommandType::Batch => CommandKind::Bat,
            CommandType::PowerShell => CommandKind::PowerShell,
            CommandType::Shell | CommandType::Other(_) => CommandKind::Shell,
        },
        content: decode(&row.content, &row.encoding),
        working_dir: row.working_dir.clone(),
        username: row.username.clone(),
        timeout_seconds: row.timeout,
        termination: if row.termination == "Process" {
            Termination::Process
        } else {
            Termination::ProcessTree
        },
    }
}

/// A command's bytes. What claims to be base64 and isn't is taken as plain text, as
/// Cloud Assistant does.
pub(crate) fn decode(content: &str, encoding: &ContentEncoding) -> Vec<u8> {
    use base64::Engine as _;
    let base64 = encoding.as_str().eq_ignore_ascii_case("base64");
    let decoded = base64
        .then(|| {
            base64::engine::general_purpose::STANDARD
                .decode(content)
                .ok()
        })
        .flatten();
    decoded.unwrap_or_else(|| content.as_bytes().to_vec())
}

fn change(
    tx: &Transaction<'_>,
    id: &str,
    instance: &InstanceId,
    work: impl Fn(&mut rows::Execution),
) -> Result<(), StoreError> {
    let Some(mut row) = rows::get::<InvocationRow>(tx, id)? else {
        return Ok(());
    };
    let mine = row
        .executions
        .iter_mut()
        .filter(|execution| execution.instance == *instance);
    mine.for_each(work);
    rows::put(tx, &row)
}

/// Keeps the end of a command in an instance; the first one that is seen stays.
fn finish(
    tx: &Transaction<'_>,
    id: &str,
    instance: &InstanceId,
    finished: &Finished,
) -> Result<(), StoreError> {
    change(tx, id, instance, |execution| {
        if execution.finished.is_none() {
            execution.finished = Some(finished.clone());
        }
    })?;
    let invoke = id.parse().unwrap_or_default();
    rows::mark_ended(tx, &invoke, instance)
}

/// Asks the driver about what is unfinished in a row, and keeps what has ended.
pub(crate) async fn refresh(
    cloud: &Arc<Cloud>,
    row: &mut InvocationRow,
) -> Result<States, Trouble> {
    let mut states = States::new();
    for execution in &mut row.executions {
        let instance = execution.instance.clone();
        if let Some(finished) = execution.finished.clone() {
            states.insert(instance, CommandState::Finished(finished));
            continue;
        }
        if !execution.delivered {
            states.insert(instance, CommandState::Pending);
            continue;
        }
        let state = match cloud.driver.command(&instance, &row.id).await {
            Err(error @ (DriverError::NoInstance { .. } | DriverError::NoCommand { .. })) => {
                CommandState::Finished(undelivered(&error, cloud.clock.now()))
            }
            other => other?,
        };
        if let CommandState::Finished(finished) = &state {
            execution.finished = Some(finished.clone());
            let (id, subject, finished) = (row.id.clone(), instance.clone(), finished.clone());
            cloud
                .store
                .write(move |tx| finish(tx, id.as_str(), &subject, &finished))
                .await?;
        }
        states.insert(instance, state);
    }
    Ok(states)
}

/// Keeps what has ended in an instance that is about to go.
pub(super) async fn settle(cloud: &Arc<Cloud>, instance: &InstanceId) -> Result<(), Trouble> {
    let subject = instance.clone();
    let unfinished = cloud
        .store
        .read(move |tx| rows::running(tx, Some(&subject)))
        .await?;
    for mut row in unfinished {
        refresh(cloud, &mut row).await?;
    }
    Ok(())
}

/// Ends what still ran in an instance that has gone.
pub(super) fn release(
    tx: &Transaction<'_>,
    instance: &InstanceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let error = DriverError::NoInstance {
        id: instance.clone(),
    };
    let finished = undelivered(&error, now);
    for row in rows::running(tx, Some(instance))? {
        finish(tx, row.id.as_str(), instance, &finished)?;
    }
    Ok(())
}
