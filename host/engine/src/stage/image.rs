//! Image: the instance is made general, stopped and imaged.
//!
//! CreateImage never carries the family: `DescribeImageFromFamily` must not hand out an
//! untested image.

use std::time::Duration;

use darkroom_contract::Role;
use darkroom_ecs::action::{
    CommaList, CreateImage, DescribeImages, InstanceStatus, StopInstance, Tag, TagResources,
};
use darkroom_ecs::id::{ImageId, RegionId};
use darkroom_journal::{UndoKey, Waited};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Work;
use super::launch::STOP;
use super::prepare::Prepared;
use crate::carry::wrap::RECEIPTS;
use crate::carry::{Target, command, quote, send, through_losses};
use crate::event::Kind;
use crate::operation::{Condition, Operation};
use crate::role::{Part, RoleRecord, perform};
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
    let generalize = generalize(work, prepared)?;
    let performed = perform(
        &scope.scope("generalize"),
        &hands,
        work.runtime,
        &generalize,
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

/// The parameter of `generalize` that has the agent removed.
const REMOVE_AGENT: &str = "remove-agent";

/// The component that makes the instance general. An agent that the run has brought goes:
/// the image is to be as its source was.
fn generalize(work: &Work<'_>, prepared: &Prepared) -> Result<Part, Stop> {
    let part = work.checked.generalize.clone();
    let description = part.component.description();
    if !prepared.launched.agent_brought || !description.properties().contains_key(REMOVE_AGENT) {
        return Ok(part);
    }
    let with = [(REMOVE_AGENT.to_owned(), Value::Bool(true))];
    let inputs = description.inputs(&with.into_iter().collect());
    let inputs = inputs.map_err(|mistakes| {
        Stop::Failed(Trouble::Component {
            component: part.label.clone(),
            problem: mistakes
                .first()
                .map_or_else(String::new, |mistake| mistake.message.clone()),
        })
    })?;
    Ok(Part { inputs, ..part })
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
    let of_template = vec![tags::tag(tags::TEMPLATE, work.checked.name())];
    tag_snapshots(scope, work, (&work.region, &image), "image", of_template).await?;
    Ok((image, name, undo))
}

/// Gives the snapshots of an image its run's tags and others: on their own nobody knows what
/// they are for.
pub(crate) async fn tag_snapshots(
    scope: &Scope,
    work: &Work<'_>,
    (region, image): (&RegionId, &ImageId),
    purpose: &str,
    others: Vec<Tag>,
) -> Result<(), Stop> {
    let scope = scope.scope("snapshots");
    let request = DescribeImages {
        region_id: region.clone(),
        image_id: Some(CommaList(vec![image.clone()])),
        ..DescribeImages::default()
    };
    let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
    let found = answer::<DescribeImages>(scope.run(operation).await?)?;
    let disks = found.images.image.iter();
    let disks = disks.flat_map(|image| &image.disk_device_mappings.disk_device_mapping);
    let snapshots: Vec<String> = disks
        .filter(|disk| !disk.snapshot_id.is_empty())
        .map(|disk| disk.snapshot_id.to_string())
        .collect();
    if snapshots.is_empty() {
        return Ok(());
    }
    let mut tag = tags::of(&work.run, purpose);
    tag.extend(others);
    let request = TagResources {
        region_id: region.clone(),
        resource_type: "snapshot".into(),
        resource_id: snapshots,
        tag,
    };
    let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    Ok(())
}

/// The tags of an image: the run's and the template's own.
pub(crate) fn image_tags(work: &Work<'_>, purpose: &str) -> Vec<Tag> {
    let resolved = &work.checked.resolved;
    let mut tags = tags::of(&work.run, purpose);
    tags.push(tags::tag(tags::TEMPLATE, resolved.name.value.clone()));
    if resolved.retain.is_some() {
        tags.push(tags::tag(tags::STATE, tags::TESTING));
    }
    let own = resolved.image.tags.iter();
    tags.extend(own.map(|(key, value)| tags::tag(key, value.value.clone())));
    tags
}

/// Waits until an image can be used.
pub(crate) async fn available(
    scope: &Scope,
    _work: &Work<'_>,
    region: &RegionId,
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
