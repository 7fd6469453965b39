//! Release: the run's instances go.

use std::time::Duration;

use darkroom_journal::{UndoKey, Waited};
use serde::{Deserialize, Serialize};

use super::Work;
use super::prepare::Prepared;
use super::test::Tested;
use crate::event::Kind;
use crate::operation::Condition;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// How long a deletion may take.
const GONE: Duration = Duration::from_mins(10);

/// What the stage leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Released {
    /// What was released, by purpose.
    pub instances: Vec<String>,
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    tested: &Tested,
) -> Result<Released, Stop> {
    let mut released = Released::default();
    if let Some(launched) = &tested.launched {
        release(&scope, work, "test", &launched.undo).await?;
        released.instances.push(launched.instance.to_string());
    }
    release(&scope, work, "build", &prepared.launched.undo).await?;
    released
        .instances
        .push(prepared.launched.instance.to_string());
    Ok(released)
}

async fn release(
    scope: &Scope,
    work: &Work<'_>,
    purpose: &str,
    undo: &UndoKey,
) -> Result<(), Stop> {
    let scope = scope.scope(purpose);
    darkroom_failpoint::reach("engine.cleanup").await;
    scope.undo(undo).await?;
    let condition = Condition::InstancesGone {
        region: work.region.clone(),
        run: work.run.clone(),
        purpose: purpose.into(),
    };
    if scope.wait(condition, GONE).await? == Waited::TimedOut {
        return Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the release of the {purpose} instance"),
            seconds: GONE.as_secs(),
        }));
    }
    work.events.tell(Kind::Progress {
        path: "release".into(),
        text: format!("the {purpose} instance is gone"),
    });
    Ok(())
}
