//! Layers: what the first items of `build` have come to, kept as an image, so that a build
//! whose later items have changed begins there.
//!
//! A layer is an image of the instance, made at the end of an item while it runs, and bears
//! the key of everything before it (`Checked::layer_keys`). A build that finds one makes
//! its instance from it, as after a reboot, and goes on with the item after it. The local
//! cloud's sandbox keeps them unasked; elsewhere, where images are billed, `checkpoint: true`
//! asks for it.
//!
//! What must stay true: a secret is in no layer (no layer is kept from the first item on
//! that is given one), nor what an agent of ours has brought, nor data disks. A layer with
//! parts that depend on the outside is as old as its oldest part (`tags::SINCE`) and good
//! for `rebuild.max-age`. To keep a layer is never a reason to fail. A run's layers are its
//! own until they are marked as ready, and undone with it; from then on they stay, also when
//! the run fails: of a template in a region the newest sixteen, and none that is older than a
//! month once `darkroom gc` comes by (`gc/decide.rs`).

use darkroom_ecs::action::{CreateImage, DescribeImages, Image, ImageStatus, Tag, TagResources};
use darkroom_ecs::id::ImageId;
use darkroom_template::Cloud;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::image::{available, tag_snapshots};
use super::prepare::Prepared;
use super::retain::retire;
use super::unchanged::Terms;
use super::{Work, launch};
use crate::carry::{command, send, through_losses};
use crate::check::{BuildPart, Checked};
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::survey::Survey;
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// How many layers of a template stay in a region: enough for a long template and a few
/// variants of it.
const KEPT: usize = 16;

/// How much work of the template's own steps is worth a layer that nobody has asked for.
/// The cloud tells whole seconds.
const WORTH: SignedDuration = SignedDuration::from_secs(2);

/// The layer that a build begins from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The image.
    pub image: ImageId,
    /// How many items of `build` are in it.
    pub items: usize,
    /// The run that has made it.
    #[serde(default)]
    pub run: Option<String>,
    /// When its oldest part was built, in the cloud's words.
    pub since: String,
}

/// Whether this run keeps and uses layers.
fn wanted(work: &Work<'_>) -> bool {
    work.reuses && work.checked.resolved.checkpoint.unwrap_or(work.layers)
}

/// Whether a layer is kept after this item, when that much work is in no layer yet. Where the
/// template doesn't ask for it, a step of its own has one only if it is worth it: to keep a
/// layer of some megabytes takes about half a second.
pub(crate) fn is_due(work: &Work<'_>, part: &BuildPart, unkept: SignedDuration) -> bool {
    let asked = work.checked.resolved.checkpoint == Some(true);
    let is_component = matches!(part, BuildPart::Component(_));
    wanted(work) && (asked || is_component || unkept >= WORTH)
}

/// The layer to begin from, if there is one.
pub(crate) async fn find(
    scope: &Scope,
    work: &Work<'_>,
    survey: &Survey,
) -> Result<Option<Layer>, Stop> {
    let keys = work.checked.layer_keys(survey.image.id.as_str());
    if !wanted(work) || work.refresh || keys.iter().all(Option::is_none) {
        return Ok(None);
    }
    let scope = scope.scope("layer");
    let now = scope.run(Operation::Now).await?;
    let now = now.as_str().and_then(|text| text.parse().ok());
    let operation = Operation::ecs(&work.region, &search(work.checked, &work.region));
    let found = scope.run(operation.map_err(Stop::Failed)?).await?;
    let found = answer::<DescribeImages>(found)?.images.image;
    let now = now.unwrap_or(Timestamp::UNIX_EPOCH);
    let layer = choose(work.checked, &keys, &found, now);
    if let Some(layer) = &layer {
        tell(work, Level::Info, words(work.checked, layer));
    }
    Ok(layer)
}

/// Where a build begins that has found this layer.
pub(crate) fn words(checked: &Checked, layer: &Layer) -> String {
    let upto = upto(checked, layer.items);
    let from = match &layer.run {
        Some(run) => format!("layer {} of run {run}", layer.image),
        None => format!("layer {}", layer.image),
    };
    format!("{upto} unchanged: taken from {from}")
}

/// The first items of `build`, as events name them.
fn upto(checked: &Checked, items: usize) -> String {
    let paths = checked.item_paths();
    let last = items.saturating_sub(1);
    let last = paths.get(last).map_or("", String::as_str);
    match (paths.first(), items) {
        (Some(first), 2..) => format!("{first} to {last}"),
        _ => last.to_owned(),
    }
}

/// Asks for the layers of a template; the newest come first.
pub(crate) fn search(checked: &Checked, region: &darkroom_ecs::id::RegionId) -> DescribeImages {
    DescribeImages {
        region_id: region.clone(),
        tag: vec![tags::tag(tags::LAYER_OF, checked.name())],
        image_owner_alias: Some("self".into()),
        page_size: Some(100),
        ..DescribeImages::default()
    }
}

/// The layer with the most items that can be taken, the youngest of equal ones.
pub(crate) fn choose(
    checked: &Checked,
    keys: &[Option<String>],
    found: &[Image],
    now: Timestamp,
) -> Option<Layer> {
    let terms = Terms::of(checked);
    let fits = |index: usize, key: &str| {
        let same = found.iter().filter(|image| {
            image.status == ImageStatus::Available
                && image.tags.get(tags::STATE) == Some(tags::READY)
                && image.tags.get(tags::LAYER) == Some(key)
        });
        let young = same.filter_map(|image| {
            let since = since(image);
            let age = now.duration_since(since.parse().ok()?);
            let grows_old = checked.is_volatile_until(index);
            (!grows_old || terms.allow(age)).then_some((age, since, image))
        });
        let (_, since, image) = young.min_by_key(|(age, ..)| *age)?;
        Some(Layer {
            image: image.image_id.clone(),
            items: index + 1,
            run: image.tags.get(tags::RUN).map(ToOwned::to_owned),
            since: since.to_owned(),
        })
    };
    let mut keys = keys.iter().enumerate().rev();
    keys.find_map(|(index, key)| fits(index, key.as_deref()?))
}

/// When the oldest part of an image was built.
pub(crate) fn since(image: &Image) -> &str {
    image.tags.get(tags::SINCE).unwrap_or(&image.creation_time)
}

/// Keeps what the first `items` of `build` have come to, if that can be.
pub(crate) async fn keep(
    scope: &Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    items: usize,
) -> Result<(), Stop> {
    if prepared.launched.agent_brought || prepared.source.is_some() {
        return Ok(());
    }
    let keys = work.checked.layer_keys(prepared.survey.image.id.as_str());
    let Some(Some(key)) = items.checked_sub(1).and_then(|index| keys.get(index)) else {
        return Ok(());
    };
    match Box::pin(made(scope, work, prepared, items, key)).await {
        Err(Stop::Failed(trouble)) => {
            let text = format!("no layer is kept after item {items}: {trouble}");
            tell(work, Level::Warning, text);
            Ok(())
        }
        other => other,
    }
}

async fn made(
    scope: &Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    items: usize,
    key: &str,
) -> Result<(), Stop> {
    // The local cloud copies what programs read, which may be in memory yet.
    if work.checked.resolved.cloud == Cloud::Aliyun {
        synced(&scope.scope("sync"), work, prepared).await?;
    }
    let purpose = format!("layer-{items}");
    let mut tag = tags::of(&work.run, &purpose);
    tag.extend(marks(work, key));
    if let Some(begun) = &prepared.layer {
        tag.push(tags::tag(tags::SINCE, begun.since.clone()));
    }
    let request = CreateImage {
        region_id: work.region.clone(),
        instance_id: Some(prepared.launched.instance.clone()),
        image_name: Some(format!("darkroom-{}-{purpose}", work.run)),
        description: Some("layer of an image build".into()),
        tag,
        ..CreateImage::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let undo = Operation::DiscardImages {
        region: work.region.clone(),
        run: work.run.clone(),
        purpose: purpose.clone(),
    };
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    let image = answer::<CreateImage>(value)?.image_id;
    darkroom_failpoint::reach("engine.layer").await;
    available(scope, work, &work.region, &image).await?;
    let place = (&work.region, &image);
    tag_snapshots(scope, work, place, &purpose, marks(work, key)).await?;
    ready(scope, work, &image).await?;
    scope.keep(&undo).await?;
    darkroom_failpoint::reach("engine.kept-layer").await;
    work.events.tell(Kind::Progress {
        path: "build".into(),
        text: format!("layer {image} holds {}", upto(work.checked, items)),
    });
    thin_out(&scope.scope("older layers"), work).await
}

/// Marks a layer as one that builds may begin from. Until then it is taken for a leftover
/// once its run is over.
async fn ready(scope: &Scope, work: &Work<'_>, image: &ImageId) -> Result<(), Stop> {
    let request = TagResources {
        region_id: work.region.clone(),
        resource_type: "image".into(),
        resource_id: vec![image.to_string()],
        tag: vec![tags::tag(tags::STATE, tags::READY)],
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    scope.scope("ready").run(operation).await.map(drop)
}

/// What a layer and its snapshots bear.
fn marks(work: &Work<'_>, key: &str) -> Vec<Tag> {
    vec![
        tags::tag(tags::LAYER_OF, work.checked.name()),
        tags::tag(tags::LAYER, key),
    ]
}

/// What programs have written is on the disk: a snapshot of a running instance holds
/// nothing of its memory. It may be done any number of times.
async fn synced(scope: &Scope, work: &Work<'_>, prepared: &Prepared) -> Result<(), Stop> {
    const SECONDS: u32 = 120;
    let target = launch::target(work, &prepared.launched.instance);
    let request = &command(&target, "sync", "sync\n", SECONDS);
    let ended = through_losses(scope, &target, "send", |scope| {
        let target = &target;
        async move {
            let ended = send(&scope, target, request, "", SECONDS).await?;
            Ok((!ended.is_lost()).then_some(ended))
        }
    })
    .await?;
    if ended.succeeded() {
        return Ok(());
    }
    Err(Stop::Failed(Trouble::State {
        subject: format!("instance {}", target.instance),
        problem: format!("its disk can't be synced: {}", ended.words()),
        hint: None,
    }))
}

/// Deletes the oldest layers of the template beyond those that stay.
async fn thin_out(scope: &Scope, work: &Work<'_>) -> Result<(), Stop> {
    let operation = Operation::ecs(&work.region, &search(work.checked, &work.region));
    let found = scope.run(operation.map_err(Stop::Failed)?).await?;
    for old in surplus(answer::<DescribeImages>(found)?.images.image) {
        retire(scope, work, &work.region, &old).await?;
    }
    Ok(())
}

/// All but the newest.
fn surplus(mut found: Vec<Image>) -> Vec<Image> {
    let age = |image: &Image| {
        let run = image.tags.get(tags::RUN).unwrap_or_default().to_owned();
        (image.creation_time.clone(), run)
    };
    found.sort_by_key(|image| std::cmp::Reverse(age(image)));
    found.split_off(found.len().min(KEPT))
}

/// An age that counts from the oldest part.
pub(crate) fn age(image: &Image, now: Timestamp) -> Option<SignedDuration> {
    Some(now.duration_since(since(image).parse().ok()?))
}

fn tell(work: &Work<'_>, level: Level, text: String) {
    work.events.tell(Kind::Message {
        path: "build".into(),
        level,
        text,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_layers_stay() {
        let image = |number: usize| Image {
            image_id: format!("m-{number}").parse().unwrap(),
            creation_time: format!("2026-01-01T00:00:{number:02}Z"),
            ..Image::default()
        };
        assert!(surplus((0..KEPT).map(image).collect()).is_empty());
        let gone: Vec<_> = surplus((0..KEPT + 2).map(image).collect())
            .into_iter()
            .map(|image| image.image_id.to_string())
            .collect();
        assert_eq!(gone, ["m-1", "m-0"]);
    }

    #[test]
    fn an_image_is_as_old_as_its_oldest_part() {
        let mut image = Image {
            creation_time: "2026-01-01T00:00:00Z".into(),
            ..Image::default()
        };
        assert_eq!(since(&image), "2026-01-01T00:00:00Z");
        let tag = (tags::SINCE.to_owned(), "2025-12-31T00:00:00Z".to_owned());
        image.tags = [tag].into_iter().collect();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(age(&image, now), Some(SignedDuration::from_hours(24)));
    }
}
