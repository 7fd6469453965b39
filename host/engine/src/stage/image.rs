//! Image: the instance is made general, stopped and imaged.
//!
//! CreateImage never carries the family: `DescribeImageFromFamily` must not hand out an
//! untested image.

use std::time::Duration;

use darkroom_contract::Role;
use darkroom_ecs::action::{CreateImage, InstanceStatus, StopInstance};
use darkroom_ecs::id::ImageId;
use darkroom_journal::{UndoKey, Waited};
use serde::{Deserialize, Serialize};

use super::Work;
use super::launch::STOP;
use super::prepare::Prepared;
use crate::carry::wrap::RECEIPTS;
use crate::carry::{Target, command, quote, send, through_losses};
use crate::event::Kind;
use crate::operation::{Condition, Operation};
use crate::role::{RoleRecord, perform};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// How long imaging may take. Large disks take their time.
pub(crate) const IMAGING: Duration = Duration::from_hours(4);

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Imaged {
    pub generalize: RoleRecord,
    pub image: ImageId,
    pub name: String,
    pub undo: UndoKey,
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    prepared: &Prepared,
) -> Result<Imaged, Stop> {
    let hands = work.hands(&prepared.launched.instance);
    let performed = perform(
        &scope.scope("generalize"),
        &hands,
        work.runtime,
        &work.checked.generalize,
        Role::Builder,
        &prepared.machine,
        "image/generalize",
    )
    .await;
    work.note(&performed.record);
    performed.result?;
    clean(&scope.scope("clean"), work, &hands.target).await?;
    stop(&scope.scope("stop"), &hands.target).await?;
    let (image, name, undo) = create(&scope.scope("create"), work, &hands.target).await?;
    Ok(Imaged {
        generalize: performed.record,
        image,
        name,
        undo,
    })
}

/// The last command before the stop: the receipts go. It has none of its own, and may be
/// run any number of times.
pub(crate) fn cleaning() -> String {
    format!(
        "rm -rf {}; rm -rf /usr/local/share/assist-daemon/*/log /usr/local/share/aliyun-assist/*/log 2>/dev/null; sync\n",
        quote(RECEIPTS)
    )
}

async fn clean(scope: &Scope, work: &Work<'_>, target: &Target) -> Result<(), Stop> {
    const SECONDS: u32 = 120;
    let request = &command(target, "remove receipts", &cleaning(), SECONDS);
    let ended = through_losses(scope, target, "send", |scope| async move {
        let ended = send(&scope, target, request, "", SECONDS).await?;
        Ok((!ended.is_lost()).then_some(ended))
    })
    .await?;
    if !ended.succeeded() {
        return Err(Stop::Failed(Trouble::State {
            subject: format!("instance {}", target.instance),
            problem: format!("the receipts can't be removed: {}", ended.words()),
            hint: None,
        }));
    }
    work.events.tell(Kind::Progress {
        path: "image".into(),
        text: "receipts removed".into(),
    });
    Ok(())
}

async fn stop(scope: &Scope, target: &Target) -> Result<(), Stop> {
    let request = StopInstance {
        instance_id: target.instance.clone(),
        ..StopInstance::default()
    };
    let operation = Operation::ecs(&target.region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    let condition = Condition::Instance {
        region: target.region.clone(),
        instance: target.instance.clone(),
        status: InstanceStatus::Stopped,
    };
    match scope.wait(condition, STOP).await? {
        Waited::Ready(_) => Ok(()),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the stop of instance {}", target.instance),
            seconds: STOP.as_secs(),
        })),
    }
}

async fn create(
    scope: &Scope,
    work: &Work<'_>,
    target: &Target,
) -> Result<(ImageId, String, UndoKey), Stop> {
    let name = work.image_name();
    let settings = &work.checked.resolved.image;
    let request = CreateImage {
        region_id: work.region.clone(),
        instance_id: Some(target.instance.clone()),
        image_name: Some(name.clone()),
        description: settings.description.as_ref().map(|text| text.value.clone()),
        tag: image_tags(work, "image"),
        ..CreateImage::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let undo = Operation::DiscardImages {
        region: work.region.clone(),
        run: work.run.clone(),
        purpose: "image".into(),
    };
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    let image = answer::<CreateImage>(value)?.image_id;
    darkroom_failpoint::reach("engine.imaging").await;
    work.events.tell(Kind::Progress {
        path: "image".into(),
        text: format!("image {image} is being made"),
    });
    available(scope, work, &work.region, &image).await?;
    Ok((image, name, undo))
}

/// The tags of an image: the run's and the template's own.
pub(crate) fn image_tags(work: &Work<'_>, purpose: &str) -> Vec<darkroom_ecs::action::Tag> {
    let resolved = &work.checked.resolved;
    let mut tags = tags::of(&work.run, purpose);
    tags.push(tags::tag(tags::TEMPLATE, resolved.name.value.clone()));
    let own = resolved.image.tags.iter();
    tags.extend(own.map(|(key, value)| tags::tag(key, value.value.clone())));
    tags
}

/// Waits until an image can be used.
pub(crate) async fn available(
    scope: &Scope,
    _work: &Work<'_>,
    region: &darkroom_ecs::id::RegionId,
    image: &ImageId,
) -> Result<(), Stop> {
    let condition = Condition::Image {
        region: region.clone(),
        image: image.clone(),
    };
    match scope.wait(condition, IMAGING).await? {
        Waited::Ready(_) => Ok(()),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("image {image} in {region}"),
            seconds: IMAGING.as_secs(),
        })),
    }
}
