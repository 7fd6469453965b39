//! Build: each item of the template in turn changes the instance. Those that a layer
//! holds are in it already.

use darkroom_contract::Role;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::prepare::Prepared;
use super::{Work, layers};
use crate::carry::{Hands, carry};
use crate::check::{BuildPart, Own, segment};
use crate::event::Kind;
use crate::role::{Performed, RoleRecord, failed, perform};
use crate::{Scope, Stop};

/// What the stage leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Built {
    pub roles: Vec<RoleRecord>,
}

/// Runs the stage.
pub(crate) async fn run(scope: Scope, work: &Work<'_>, prepared: &Prepared) -> Result<Built, Stop> {
    let hands = work.hands(&prepared.launched.instance);
    let mut built = Built::default();
    let mut unkept = SignedDuration::ZERO;
    let done = prepared.layer.as_ref().map_or(0, |layer| layer.items);
    for (index, part) in work.checked.build.iter().enumerate().skip(done) {
        let performed = match part {
            BuildPart::Component(part) => {
                let segment = segment(index, &part.label);
                let path = format!("build/{segment}");
                perform(
                    &scope.scope(&segment),
                    &hands,
                    work.runtime,
                    part,
                    Role::Builder,
                    &prepared.machine,
                    &path,
                )
                .await
            }
            BuildPart::Own(part) => {
                let segment = segment(index, part.name);
                let path = format!("build/{segment}");
                own(&scope.scope(&segment), &hands, part, path).await
            }
        };
        work.note(&performed.record);
        performed.result?;
        unkept += performed.record.worked();
        built.roles.push(performed.record);
        if layers::is_due(work, part, unkept) {
            let layer = scope.scope(&format!("layer {}", index + 1));
            layers::keep(&layer, work, prepared, index + 1).await?;
            unkept = SignedDuration::ZERO;
        }
    }
    Ok(built)
}

/// A step that the template itself asks for.
pub(crate) async fn own(scope: &Scope, hands: &Hands, own: &Own, path: String) -> Performed {
    let name = own.name;
    hands.events.tell(Kind::ComponentStarted {
        path: path.clone(),
        name: name.into(),
    });
    let started = hands.events.now();
    let mut record = RoleRecord {
        path: path.clone(),
        component: name.into(),
        ..RoleRecord::default()
    };
    let result = match carry(
        scope,
        hands,
        own.material(),
        &own.step,
        &format!("{path}/0"),
    )
    .await
    {
        Ok(done) => {
            let result = if done.succeeded {
                Ok(())
            } else {
                Err(Stop::Failed(failed(name, &done, hands)))
            };
            record.steps.push(done);
            result
        }
        Err(stop) => Err(stop),
    };
    hands.events.tell(Kind::ComponentFinished {
        path,
        ok: result.is_ok(),
        seconds: hands.events.seconds_since(started),
    });
    Performed { record, result }
}
