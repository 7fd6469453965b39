//! Release: what was published stays, older images go by the template's retention, and
//! then everything that the run has made for itself.
//!
//! The image is good by now, so nothing here makes the run a failure: what can't be
//! deleted, or takes too long, is told as a warning, and an undo entry that was not
//! performed is tried again at the run's end.

use std::time::Duration;

use darkroom_journal::{UndoKey, Waited};
use serde::{Deserialize, Serialize};

use super::distribute::Distributed;
use super::prepare::Prepared;
use super::test::Tested;
use super::{Work, retain, unchanged};
use crate::event::{Kind, Level};
use crate::operation::Condition;
use crate::{Scope, Stop};

/// How long a deletion may take.
const GONE: Duration = Duration::from_mins(10);

/// What the stage leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Released {
    /// What was released, by purpose.
    pub instances: Vec<String>,
    /// The older images that were deleted.
    #[serde(default)]
    pub retired: Vec<String>,
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    tested: &Tested,
    distributed: Option<&Distributed>,
    build_key: Option<&str>,
) -> Result<Released, Stop> {
    let mut released = Released::default();
    if let Some(distributed) = distributed {
        scope.keep_all(&distributed.undo()).await?;
        darkroom_failpoint::reach("engine.kept").await;
        // Before they are kept another run could take one that is discarded yet.
        let since = prepared.layer.as_ref().map(|layer| layer.since.as_str());
        let marks = build_key.map_or_else(Vec::new, |key| unchanged::marks(key, since));
        retain::release(&scope, work, distributed, &marks).await?;
        if let Some(retain) = &work.checked.resolved.retain {
            released.retired = retain::run(&scope, work, distributed, retain.keep).await?;
        }
    }
    if let Some(launched) = &tested.launched {
        instance(&scope, work, "test", &launched.undo).await?;
        released.instances.push(launched.instance.to_string());
    }
    instance(&scope, work, "build", &prepared.launched.undo).await?;
    released
        .instances
        .push(prepared.launched.instance.to_string());
    if let Some(undo) = &prepared.source {
        let scope = scope.scope("source");
        undone(&scope, work, "the temporary source image", undo).await?;
    }
    if let Some(network) = &prepared.network {
        let scope = scope.scope("network");
        undone(&scope, work, "the temporary network", &network.undo).await?;
    }
    Ok(released)
}

/// Deletes an instance and waits until it is gone.
async fn instance(
    scope: &Scope,
    work: &Work<'_>,
    purpose: &str,
    undo: &UndoKey,
) -> Result<(), Stop> {
    let scope = scope.scope(purpose);
    darkroom_failpoint::reach("engine.cleanup").await;
    let what = format!("the {purpose} instance");
    if !performed(&scope, work, &what, undo).await? {
        return Ok(());
    }
    let condition = Condition::InstancesGone {
        region: work.region.clone(),
        run: work.run.clone(),
        purpose: purpose.into(),
    };
    match scope.wait(condition, GONE).await? {
        Waited::Ready(_) => told(work, &what),
        Waited::TimedOut => warn(
            work,
            &format!(
                "the cloud has taken longer than {} s to delete {what}; it has promised to",
                GONE.as_secs()
            ),
        ),
    }
    Ok(())
}

/// Performs an undo entry whose end needs no waiting.
async fn undone(scope: &Scope, work: &Work<'_>, what: &str, undo: &UndoKey) -> Result<(), Stop> {
    if performed(scope, work, what, undo).await? {
        told(work, what);
    }
    Ok(())
}

/// Performs an undo entry; false where it failed and is left to the run's end.
async fn performed(
    scope: &Scope,
    work: &Work<'_>,
    what: &str,
    undo: &UndoKey,
) -> Result<bool, Stop> {
    match scope.undo(undo).await {
        Ok(()) => Ok(true),
        Err(Stop::Failed(trouble)) => {
            warn(work, &format!("{what} can't be deleted yet: {trouble}"));
            Ok(false)
        }
        Err(stop) => Err(stop),
    }
}

fn told(work: &Work<'_>, what: &str) {
    work.events.tell(Kind::Progress {
        path: "release".into(),
        text: format!("{what} is gone"),
    });
}

fn warn(work: &Work<'_>, text: &str) {
    work.events.tell(Kind::Message {
        path: "release".into(),
        level: Level::Warning,
        text: text.into(),
    });
}
