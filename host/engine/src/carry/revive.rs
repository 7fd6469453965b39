//! An instance that went away: how that is seen, and how it is brought back.
//!
//! The power may be cut at any moment: while an instance comes up, while it is given a
//! file, between any two of its commands. Whatever needs the instance goes through
//! [`through_losses`], which brings it back and does the same again; so what is given to
//! it must be repeatable. A script is: its wrapper leaves a receipt.

use std::time::Duration;

use darkroom_ecs::action::{
    Action, DescribeInstances, InstanceStatus, JsonList, RebootInstance, RunCommand, SendFile,
    StartInstance,
};
use darkroom_journal::Waited;

use super::request::Target;
use crate::operation::{Condition, Operation};
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// How often the same is done while its instance goes away each time.
const TRIES: u32 = 5;

/// How often an instance is started that does not stay up.
const STARTS: u32 = 5;

/// The pause before the next start; also the time that a cloud has to show a start that
/// it has accepted.
const BETWEEN_STARTS: Duration = Duration::from_secs(2);

/// How long an instance may take to run, and its agent to answer.
const START: Duration = Duration::from_mins(10);

/// Whether a code of the agent, or of the cloud for it, says that the instance or its
/// agent went away: nothing is known of what it was asked.
pub(crate) fn is_loss(code: &str) -> bool {
    matches!(
        code,
        "ExecutionInterrupted"
            | "ClientNotRunning"
            | "ClientNotResponse"
            | "DeliveryTimeout"
            | "InstanceNotRunning"
    )
}

/// Whether something failed because the instance isn't there for it now.
fn is_away(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused { action, code, .. } => {
            [RunCommand::NAME, SendFile::NAME, RebootInstance::NAME].contains(&action.as_str())
                && (code.starts_with("IncorrectInstanceStatus")
                    || code == "InvalidInstance.NotMatch")
        }
        Trouble::Agent { code, .. } => is_loss(code),
        _ => false,
    }
}

/// Does something that needs the instance until it has an outcome. `work` answers none
/// where it found that the instance or its agent had gone; then they are brought back
/// and it is done again, in a scope of its own named `what`.
pub(crate) async fn through_losses<T, F>(
    scope: &Scope,
    target: &Target,
    what: &str,
    work: impl Fn(Scope) -> F,
) -> Result<T, Stop>
where
    F: Future<Output = Result<Option<T>, Stop>>,
{
    for _ in 0..TRIES {
        let scope = scope.scope(what);
        match work(scope.clone()).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {}
            Err(Stop::Failed(trouble)) if is_away(&trouble) => {}
            Err(stop) => return Err(stop),
        }
        revive(&scope, target).await?;
    }
    Err(Stop::Failed(Trouble::State {
        subject: format!("instance {}", target.instance),
        problem: format!("it went away {TRIES} times when it was needed"),
        hint: None,
    }))
}

/// Brings an instance back whose agent was lost: started where it stopped, then awaited.
pub(crate) async fn revive(scope: &Scope, target: &Target) -> Result<(), Stop> {
    if meet(scope, target, START).await? {
        return Ok(());
    }
    Err(Stop::Failed(Trouble::State {
        subject: format!("instance {}", target.instance),
        problem: format!(
            "no Cloud Assistant agent has answered within {} s",
            START.as_secs()
        ),
        hint: Some("the source image must have the agent, as public images have".into()),
    }))
}

/// Whether the agent of an instance answers within `limit` of its last start. One may
/// lose its power while it comes up, so it is started more than once.
pub(crate) async fn meet(scope: &Scope, target: &Target, limit: Duration) -> Result<bool, Stop> {
    let scope = scope.scope("revive");
    let mut starts = 0;
    loop {
        match agent(&scope, target, limit).await? {
            Some(true) => return Ok(true),
            Some(false) => {}
            None => return Ok(false),
        }
        if starts == STARTS {
            return Err(Stop::Failed(Trouble::State {
                subject: format!("instance {}", target.instance),
                problem: format!("it was started {STARTS} times and does not stay up"),
                hint: None,
            }));
        }
        starts += 1;
        let start = StartInstance {
            instance_id: target.instance.clone(),
            ..StartInstance::default()
        };
        let operation = Operation::ecs(&target.region, &start).map_err(Stop::Failed)?;
        scope.run(operation).await?;
        if !up(&scope, target).await? {
            scope.sleep(BETWEEN_STARTS).await?;
        }
    }
}

/// Waits until an instance that is on its way runs; false when it has stopped instead.
pub(crate) async fn up(scope: &Scope, target: &Target) -> Result<bool, Stop> {
    let condition = Condition::Up {
        region: target.region.clone(),
        instance: target.instance.clone(),
    };
    match scope.wait(condition, START).await? {
        Waited::Ready(value) => Ok(value.as_bool().unwrap_or(false)),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the start of instance {}", target.instance),
            seconds: START.as_secs(),
        })),
    }
}

/// Whether the instance has stopped.
pub(super) async fn has_stopped(scope: &Scope, target: &Target) -> Result<bool, Stop> {
    let request = DescribeInstances {
        region_id: target.region.clone(),
        instance_ids: Some(JsonList(vec![target.instance.clone()])),
        ..DescribeInstances::default()
    };
    let operation = Operation::ecs(&target.region, &request).map_err(Stop::Failed)?;
    let found = crate::answer::<DescribeInstances>(scope.run(operation).await?)?;
    let mut found = found.instances.instance.iter();
    Ok(found.any(|one| one.status == InstanceStatus::Stopped))
}

/// Waits for the agent; false when the instance has stopped, none when it was not heard
/// of in time.
async fn agent(scope: &Scope, target: &Target, limit: Duration) -> Result<Option<bool>, Stop> {
    let condition = Condition::Agent {
        region: target.region.clone(),
        instance: target.instance.clone(),
    };
    Ok(match scope.wait(condition, limit).await? {
        Waited::Ready(value) => Some(value.as_bool().unwrap_or(false)),
        Waited::TimedOut => None,
    })
}
