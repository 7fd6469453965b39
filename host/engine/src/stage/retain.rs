//! Retention: of a template's images in a region the newest stay, the others go with
//! their snapshots.
//!
//! It comes after the new image was published there, which counts as the newest. An image
//! that has failed its tests doesn't count, and goes when it is older than all that stay;
//! one that another run has made since, or hasn't released yet, is left to that run. One
//! that is used by an instance
//! or shared stays, as the cloud has it, with a warning.

use darkroom_ecs::action::{
    CommaList, DeleteImage, DeleteSnapshot, DescribeImages, Image, ImageStatus, Tag, TagResources,
};
use darkroom_ecs::id::{ImageId, RegionId};

use super::Work;
use super::distribute::Distributed;
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::tags;
use crate::{Scope, Stop, answer};

/// How many pages of a hundred images are looked through.
const PAGES: u32 = 10;

/// Deletes what is not retained, and gives the ids of the images that went.
pub(crate) async fn run(
    scope: &Scope,
    work: &Work<'_>,
    distributed: &Distributed,
    keep: u32,
) -> Result<Vec<String>, Stop> {
    let mut gone = Vec::new();
    let published = distributed.regions.iter().filter(|one| one.error.is_none());
    for place in published {
        let Some(image) = &place.image else { continue };
        let scope = scope.scope(&format!("retain in {}", place.region));
        let found = match listed(&scope, work, &place.region).await {
            Err(Stop::Failed(trouble)) => {
                warn(work, &place.region, &trouble.to_string());
                continue;
            }
            other => other?,
        };
        for old in surplus(found, image, keep) {
            if retire(&scope, work, &place.region, &old).await? {
                gone.push(old.image_id.to_string());
            }
        }
    }
    Ok(gone)
}

/// Marks all new images as released, and as what `marks` say of them.
pub(crate) async fn release(
    scope: &Scope,
    work: &Work<'_>,
    distributed: &Distributed,
    marks: &[Tag],
) -> Result<(), Stop> {
    let published = distributed.regions.iter().filter(|one| one.error.is_none());
    for place in published {
        if let Some(image) = &place.image {
            released(scope, work, (&place.region, image), marks).await?;
        }
    }
    Ok(())
}

/// Marks the new image as one that other runs may count, and in time delete, and that
/// nobody takes for the leftover of a run.
async fn released(
    scope: &Scope,
    work: &Work<'_>,
    (region, image): (&RegionId, &ImageId),
    marks: &[Tag],
) -> Result<(), Stop> {
    match mark_released(scope, region, image, marks).await {
        Err(Stop::Failed(trouble)) => {
            let text = format!("image {image} can't be marked as released: {trouble}");
            warn(work, region, &text);
            Ok(())
        }
        other => other,
    }
}

/// Marks an image as released, and as what `marks` say of it.
pub(crate) async fn mark_released(
    scope: &Scope,
    region: &RegionId,
    image: &ImageId,
    marks: &[Tag],
) -> Result<(), Stop> {
    let released = tags::tag(tags::STATE, tags::RELEASED);
    let request = TagResources {
        region_id: region.clone(),
        resource_type: "image".into(),
        resource_id: vec![image.to_string()],
        tag: [released]
            .into_iter()
            .chain(marks.iter().cloned())
            .collect(),
    };
    let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
    let scope = scope.scope(&format!("released in {region}"));
    scope.run(operation).await.map(drop)
}

/// The account's images of this template in a region.
async fn listed(scope: &Scope, work: &Work<'_>, region: &RegionId) -> Result<Vec<Image>, Stop> {
    let mut found = Vec::new();
    for page in 1..=PAGES {
        let request = DescribeImages {
            region_id: region.clone(),
            image_owner_alias: Some("self".into()),
            tag: vec![tags::tag(tags::TEMPLATE, work.checked.name())],
            status: Some(CommaList(vec![
                ImageStatus::Available,
                ImageStatus::Deprecated,
            ])),
            page_number: Some(page),
            page_size: Some(100),
            ..DescribeImages::default()
        };
        let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
        let answer = answer::<DescribeImages>(scope.run(operation).await?)?;
        let last = answer.images.image.len() < 100;
        found.extend(answer.images.image);
        if last {
            break;
        }
    }
    Ok(found)
}

/// Those of the images that go: all but `new` and the newest others.
fn surplus(mut found: Vec<Image>, new: &ImageId, keep: u32) -> Vec<Image> {
    // Images of one second are told apart by their runs, whose ids begin with the time.
    let age = |image: &Image| {
        let run = image.tags.get(tags::RUN).unwrap_or_default().to_owned();
        (image.creation_time.clone(), run)
    };
    // What another run has made since may still be under test: it is that run's to count.
    let ours = found.iter().find(|image| image.image_id == *new).map(age);
    let failed = |image: &Image| image.tags.get(tags::FAILED).is_some();
    let open = |image: &Image| image.tags.get(tags::STATE) == Some(tags::TESTING) && !failed(image);
    found.retain(|image| {
        image.image_id != *new
            && !open(image)
            && ours.as_ref().is_none_or(|ours| age(image) <= *ours)
    });
    found.sort_by_key(|image| std::cmp::Reverse(age(image)));
    let others = usize::try_from(keep.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut kept = 0;
    found.retain(|image| {
        if kept >= others {
            return true;
        }
        if !failed(image) {
            kept += 1;
        }
        false
    });
    found
}

/// Deletes an image, then its snapshots; false where the cloud refuses that.
pub(super) async fn retire(
    scope: &Scope,
    work: &Work<'_>,
    region: &RegionId,
    old: &Image,
) -> Result<bool, Stop> {
    let request = DeleteImage {
        region_id: region.clone(),
        image_id: old.image_id.clone(),
        ..DeleteImage::default()
    };
    let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
    if let Err(stop) = scope.run(operation).await {
        return stays(work, region, &format!("image {}", old.image_id), stop).map(|()| false);
    }
    darkroom_failpoint::reach("engine.retired").await;
    let disks = old.disk_device_mappings.disk_device_mapping.iter();
    for disk in disks.filter(|disk| !disk.snapshot_id.is_empty()) {
        let request = DeleteSnapshot {
            snapshot_id: disk.snapshot_id.clone(),
            ..DeleteSnapshot::default()
        };
        let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
        if let Err(stop) = scope.run(operation).await {
            stays(
                work,
                region,
                &format!("snapshot {}", disk.snapshot_id),
                stop,
            )?;
        }
    }
    work.events.tell(Kind::Progress {
        path: "release".into(),
        text: format!(
            "older image {} ({}) is deleted in {region}",
            old.image_name, old.image_id
        ),
    });
    Ok(true)
}

/// What the cloud refuses to delete stays, with a warning.
fn stays(work: &Work<'_>, region: &RegionId, what: &str, stop: Stop) -> Result<(), Stop> {
    match stop {
        Stop::Failed(trouble) => {
            warn(work, region, &format!("{what} stays: {trouble}"));
            Ok(())
        }
        stop => Err(stop),
    }
}

fn warn(work: &Work<'_>, region: &RegionId, text: &str) {
    work.events.tell(Kind::Message {
        path: "release".into(),
        level: Level::Warning,
        text: format!("retention in {region}: {text}"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, time: &str, failed: bool) -> Image {
        let mut pairs = vec![(tags::RUN.to_owned(), format!("run-{id}"))];
        pairs.extend(failed.then(|| (tags::FAILED.to_owned(), "true".to_owned())));
        Image {
            image_id: id.parse().unwrap(),
            creation_time: time.into(),
            tags: pairs.into_iter().collect(),
            ..Image::default()
        }
    }

    fn ids(images: &[Image]) -> Vec<&str> {
        images.iter().map(|one| one.image_id.as_str()).collect()
    }

    #[test]
    fn the_new_one_counts_and_failed_ones_do_not() {
        let new = "m-new".parse().unwrap();
        let found = || {
            vec![
                image("m-1", "2026-01-01", false),
                image("m-3", "2026-01-03", false),
                image("m-2x", "2026-01-02", true),
                image("m-4x", "2026-01-04", true),
                image("m-new", "2026-01-05", false),
                image("m-0x", "2026-01-00", true),
            ]
        };
        assert_eq!(ids(&surplus(found(), &new, 2)), ["m-2x", "m-1", "m-0x"]);
        assert_eq!(ids(&surplus(found(), &new, 3)), ["m-0x"]);
        assert_eq!(surplus(found(), &new, 1).len(), 5);
        assert!(surplus(found(), &new, 9).is_empty());
    }

    #[test]
    fn what_another_run_has_made_since_is_left_to_it() {
        let new = "m-new".parse().unwrap();
        let found = vec![
            image("m-later", "2026-01-09", false),
            image("m-new", "2026-01-05", false),
            image("m-1", "2026-01-01", false),
        ];
        assert!(surplus(found.clone(), &new, 2).is_empty());
        assert_eq!(ids(&surplus(found, &new, 1)), ["m-1"]);
    }

    #[test]
    fn an_older_image_that_is_still_tested_is_left_to_its_run() {
        let stated = |id: &str, time: &str, failed, state: &str| {
            let mut image = image(id, time, failed);
            let mut pairs: Vec<_> = [(tags::STATE.to_owned(), state.to_owned())].into();
            let tags = &image.tags.tag;
            pairs.extend(
                tags.iter()
                    .map(|tag| (tag.tag_key.clone(), tag.tag_value.clone())),
            );
            image.tags = pairs.into_iter().collect();
            image
        };
        let new = "m-new".parse().unwrap();
        let found = || {
            vec![
                stated("m-new", "2026-01-09", false, tags::RELEASED),
                stated("m-slow", "2026-01-05", false, tags::TESTING),
                stated("m-bad", "2026-01-04", true, tags::TESTING),
                stated("m-2", "2026-01-03", false, tags::RELEASED),
                image("m-1", "2026-01-01", false),
            ]
        };
        // Neither does it take the place of a good one, nor is it deleted itself.
        assert_eq!(ids(&surplus(found(), &new, 2)), ["m-1"]);
        assert_eq!(ids(&surplus(found(), &new, 1)), ["m-bad", "m-2", "m-1"]);
    }

    #[test]
    fn a_second_with_two_images_is_in_the_order_of_their_runs() {
        let new = "m-new".parse().unwrap();
        let found = vec![
            image("m-b", "2026-01-01", false),
            image("m-a", "2026-01-01", false),
        ];
        assert_eq!(ids(&surplus(found, &new, 2)), ["m-a"]);
    }
}
