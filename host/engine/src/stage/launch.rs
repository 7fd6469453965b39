//! Making an instance that runs and whose agent answers.

use std::time::Duration;

use darkroom_ecs::action::{RunInstances, SystemDisk};
use darkroom_ecs::id::{ImageId, InstanceId};
use darkroom_journal::UndoKey;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Work;
use crate::carry::{Target, revive, up};
use crate::operation::Operation;
use crate::survey::{Candidate, Survey};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// How long a run may take. Two hours after that the cloud releases its instances by
/// itself, whatever became of the run.
const DEADLINE: SignedDuration = SignedDuration::from_hours(8);
const GRACE: SignedDuration = SignedDuration::from_hours(2);

/// An instance that a run has made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launched {
    pub instance: InstanceId,
    pub candidate: Candidate,
    /// What undoes it.
    pub undo: UndoKey,
}

/// The request for an instance; `dry` only asks whether it would be granted.
pub(crate) fn request(
    work: &Work<'_>,
    survey: &Survey,
    candidate: &Candidate,
    image: &ImageId,
    purpose: &str,
    release_at: Option<&str>,
) -> RunInstances {
    let instance = &work.checked.resolved.instance;
    let name = format!("darkroom-{}-{purpose}", work.run);
    RunInstances {
        region_id: work.region.clone(),
        image_id: Some(image.clone()),
        instance_type: Some(candidate.instance_type.clone()),
        zone_id: Some(candidate.zone.clone()),
        vswitch_id: Some(candidate.vswitch.clone()),
        security_group_id: Some(survey.security_group.clone()),
        instance_name: Some(name),
        internet_max_bandwidth_out: instance.internet.as_ref().map(|internet| internet.value),
        instance_charge_type: Some("PostPaid".into()),
        spot_strategy: instance.spot.then(|| "SpotAsPriceGo".into()),
        system_disk: instance.disk.as_ref().map(|disk| SystemDisk {
            size: Some(disk.value.max(survey.image.size)),
            ..SystemDisk::default()
        }),
        auto_release_time: release_at.map(ToOwned::to_owned),
        tag: tags::of(&work.run, purpose),
        amount: Some(1),
        dry_run: release_at.is_none().then_some(true),
        ..RunInstances::default()
    }
}

/// Makes an instance for `purpose` from `image`, trying one candidate after the other
/// where there is no stock, and waits until it runs.
pub(crate) async fn launch(
    scope: &Scope,
    work: &Work<'_>,
    survey: &Survey,
    image: &ImageId,
    purpose: &str,
) -> Result<Launched, Stop> {
    let release_at = release_at(&scope.run(Operation::Now).await?);
    let mut last = None;
    for (index, candidate) in survey.candidates.iter().enumerate() {
        let request = request(work, survey, candidate, image, purpose, Some(&release_at));
        let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
        let undo = Operation::ReleaseInstances {
            region: work.region.clone(),
            run: work.run.clone(),
            purpose: purpose.into(),
        };
        let scope = scope.scope(&format!("alternative {}", index + 1));
        match scope.run_undoable(operation, undo).await {
            Ok((value, undo)) => {
                let answer = answer::<RunInstances>(value)?;
                let instance = first_of(answer.instance_id_sets.instance_id_set)?;
                darkroom_failpoint::reach("engine.launched").await;
                let target = Target {
                    region: work.region.clone(),
                    instance: instance.clone(),
                    run: work.run.clone(),
                };
                // One that has stopped on the way is started again like any other.
                up(&scope, &target).await?;
                revive(&scope, &target).await?;
                return Ok(Launched {
                    instance,
                    candidate: candidate.clone(),
                    undo,
                });
            }
            Err(Stop::Failed(trouble)) if is_out_of_stock(&trouble) => last = Some(trouble),
            Err(stop) => return Err(stop),
        }
    }
    Err(Stop::Failed(last.unwrap_or_else(|| Trouble::State {
        subject: "instance".into(),
        problem: "there is no place for it".into(),
        hint: None,
    })))
}

fn first_of(instances: Vec<InstanceId>) -> Result<InstanceId, Stop> {
    instances.into_iter().next().ok_or_else(|| {
        Stop::Failed(Trouble::State {
            subject: "RunInstances".into(),
            problem: "it answered no instance".into(),
            hint: None,
        })
    })
}

pub(super) fn is_out_of_stock(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused { code, .. } if matches!(
        code.as_str(),
        "OperationDenied.NoStock"
            | "Zone.NotOnSale"
            | "InvalidInstanceType.NotSupported"
            | "InvalidInstanceType.ZoneNotSupported"
            | "InvalidResourceType.NotSupported"
    ))
}

/// The cloud's form of a time, to the second.
fn release_at(now: &serde_json::Value) -> String {
    let now: Timestamp = now
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let at = now.checked_add(DEADLINE + GRACE).unwrap_or(now);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How long a stop may take.
pub(crate) const STOP: Duration = Duration::from_mins(10);
