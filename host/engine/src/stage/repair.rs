//! Repair: the repairer looks at the source image's instance and puts right what it finds.

use darkroom_contract::{ItemStatus, Risk, Role};
use serde::{Deserialize, Serialize};

use super::Work;
use super::prepare::Prepared;
use crate::event::{Kind, Level};
use crate::role::{RoleRecord, perform};
use crate::{Scope, Stop};

/// What the stage leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Repaired {
    pub role: Option<RoleRecord>,
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    prepared: &Prepared,
) -> Result<Repaired, Stop> {
    let Some(part) = &work.checked.repair else {
        return Ok(Repaired::default());
    };
    if prepared.layer.is_some() {
        // It is in the layer.
        return Ok(Repaired::default());
    }
    let hands = work.hands(&prepared.launched.instance);
    let path = "repair/linux";
    let scope = scope.scope("linux");
    let performed = perform(
        &scope,
        &hands,
        work.runtime,
        part,
        Role::Repairer,
        &prepared.machine,
        path,
    )
    .await;
    work.note(&performed.record);
    performed.result?;
    for item in &performed.record.items {
        let (level, word) = match item.status {
            ItemStatus::Intact => continue,
            ItemStatus::Repaired => (Level::Info, "repaired"),
            ItemStatus::Unrepaired(Risk::High) => (Level::Warning, "not repaired, high risk"),
            ItemStatus::Unrepaired(Risk::Medium) => (Level::Warning, "not repaired, medium risk"),
            ItemStatus::Unrepaired(Risk::Low) => (Level::Warning, "not repaired, low risk"),
        };
        work.events.tell(Kind::Message {
            path: path.into(),
            level,
            text: format!("{} {word}: {}", item.name, item.message),
        });
    }
    Ok(Repaired {
        role: Some(performed.record),
    })
}
