//! Unchanged: whether an image that is there already is what would be built.
//!
//! Only where the template has `rebuild`. An image bears the key of its build from the
//! moment at which it is published; one with the same key, young enough and in every
//! region, is taken for the one that would be built.

use darkroom_ecs::action::{Action as _, DescribeImages, Image, ImageStatus, TagResources};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::Failure;
use darkroom_template::Rebuild;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Work;
use super::distribute::{Distributed, Placed};
use crate::carry::wrap::hex;
use crate::check::Checked;
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::survey::{self, Query, Survey};
use crate::tags;
use crate::trouble::{Trouble, of_call};
use crate::{Scope, Stop, answer};

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// What the image would bear; none where the source is no image.
    pub key: Option<String>,
    /// The images that are there, in each region; none where there must be a build.
    pub found: Option<Distributed>,
}

/// Runs the stage.
pub(crate) async fn run(scope: Scope, work: &Work<'_>, refresh: bool) -> Result<Looked, Stop> {
    // Under a name that is free: the template's own may be that of the image to be found.
    let name = format!("{}-{}", work.checked.name(), work.run);
    let query = Query::of(&work.checked.resolved, name).map_err(Stop::Failed)?;
    let nothing = Looked {
        key: None,
        found: None,
    };
    let Some(rebuild) = work.checked.resolved.rebuild else {
        return Ok(nothing);
    };
    if query.source.is_no_image() {
        return Ok(nothing);
    }
    let regions = query.regions.clone();
    let survey: Survey = serde_json::from_value(scope.run(Operation::Survey { query }).await?)
        .map_err(|error| Stop::Failed(Trouble::internal("Survey", &error)))?;
    let key = work.checked.build_key(survey.image.id.as_str());
    let built = Looked {
        key: Some(key.clone()),
        found: None,
    };
    if refresh {
        return Ok(built);
    }
    let now = scope.run(Operation::Now).await?;
    let now: Timestamp = now
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let most = most(rebuild);
    let mut placed = Vec::new();
    for region in regions {
        let look = scope.scope(region.as_str());
        let Some((image, age)) = newest(&look, &region, &key, now).await? else {
            return Ok(built);
        };
        if age > most {
            tell(
                work,
                format!(
                    "image {} is unchanged, but {} old: it is built again",
                    image.image_id,
                    in_words(age)
                ),
            );
            return Ok(built);
        }
        tell(
            work,
            format!(
                "image {} in {region} is unchanged and only {} old, so that nothing is built; `--refresh` builds it all the same",
                image.image_id,
                in_words(age)
            ),
        );
        placed.push(Placed {
            region,
            image: Some(image.image_id),
            shared_with: Vec::new(),
            family: Some(image.image_family).filter(|family| !family.is_empty()),
            error: None,
            undo: None,
        });
    }
    Ok(Looked {
        key: Some(key),
        found: Some(Distributed { regions: placed }),
    })
}

/// The newest good image with this key, and its age.
async fn newest(
    scope: &Scope,
    region: &RegionId,
    key: &str,
    now: Timestamp,
) -> Result<Option<(Image, SignedDuration)>, Stop> {
    let operation = Operation::ecs(region, &search(region, key)).map_err(Stop::Failed)?;
    let found = answer::<DescribeImages>(scope.run(operation).await?)?;
    Ok(youngest(found.images.image, now))
}

/// Asks for the images with this key.
fn search(region: &RegionId, key: &str) -> DescribeImages {
    DescribeImages {
        region_id: region.clone(),
        tag: vec![tags::tag(tags::BUILD_KEY, key)],
        image_owner_alias: Some("self".into()),
        page_size: Some(100),
        ..DescribeImages::default()
    }
}

/// The youngest of the images that can be taken, and its age.
fn youngest(found: Vec<Image>, now: Timestamp) -> Option<(Image, SignedDuration)> {
    let good = found.into_iter().filter(|image| {
        image.status == ImageStatus::Available && image.tags.get(tags::FAILED).is_none()
    });
    let aged = good.filter_map(|image| {
        let made: Timestamp = image.creation_time.parse().ok()?;
        Some((image, now.duration_since(made)))
    });
    aged.min_by_key(|(_, age)| *age)
}

/// How old an image may be.
fn most(rebuild: Rebuild) -> SignedDuration {
    SignedDuration::try_from(rebuild.max_age).unwrap_or(SignedDuration::MAX)
}

/// Whether a build would be skipped, for a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reuse {
    /// Whether nothing would be built.
    pub skipped: bool,
    /// Why, in words.
    pub why: String,
}

impl Reuse {
    fn built(why: impl Into<String>) -> Self {
        Self {
            skipped: false,
            why: why.into(),
        }
    }
}

/// What [`run`] would find at this time; none where the template has no `rebuild`. The
/// cloud is only asked what is there.
///
/// # Errors
/// What is wrong with the inputs, or why the cloud can't be asked.
pub(crate) async fn outlook(
    client: &Client,
    checked: &Checked,
    now: Timestamp,
) -> Result<Option<Reuse>, Trouble> {
    let Some(rebuild) = checked.resolved.rebuild else {
        return Ok(None);
    };
    // As in `run`, under a name that is free.
    let name = format!("{}-{}", checked.name(), crate::plan::RUN);
    let query = Query::of(&checked.resolved, name)?;
    if query.source.is_no_image() {
        let why = "what an instance or a snapshot holds may have changed";
        return Ok(Some(Reuse::built(why)));
    }
    let failed = |failure| match failure {
        Failure::Final(trouble) | Failure::Unavailable(trouble) => trouble,
    };
    let survey = survey::look(client, &query).await.map_err(failed)?;
    let key = checked.build_key(survey.image.id.as_str());
    let mut whys = Vec::new();
    for region in &query.regions {
        let found = client.call(region, &search(region, &key)).await;
        let found = found
            .map_err(|error| failed(of_call(DescribeImages::NAME, region.as_str(), &error)))?;
        let reuse = judged(region, youngest(found.images.image, now), most(rebuild));
        if !reuse.skipped {
            return Ok(Some(reuse));
        }
        whys.push(reuse.why);
    }
    Ok(Some(Reuse {
        skipped: true,
        why: whys.join("; "),
    }))
}

/// What the youngest image of a region comes to.
fn judged(
    region: &RegionId,
    found: Option<(Image, SignedDuration)>,
    most: SignedDuration,
) -> Reuse {
    let Some((image, age)) = found else {
        return Reuse::built(format!("no image in {region} is of this very build"));
    };
    let (id, old) = (&image.image_id, in_words(age));
    if age > most {
        return Reuse::built(format!(
            "image {id} in {region} is unchanged, but {old} old"
        ));
    }
    let since = match image.tags.get(tags::RUN) {
        Some(run) => format!("unchanged since run {run}"),
        None => "unchanged".into(),
    };
    Reuse {
        skipped: true,
        why: format!("{since}: image {id} in {region} is {old} old"),
    }
}

fn tell(work: &Work<'_>, text: String) {
    work.events.tell(Kind::Message {
        path: "prepare".into(),
        level: Level::Info,
        text,
    });
}

fn in_words(age: SignedDuration) -> String {
    match (age.as_hours(), age.as_mins()) {
        (hours @ 48.., _) => format!("{} days", hours / 24),
        (hours @ 2.., _) => format!("{hours} hours"),
        (_, minutes @ 2..) => format!("{minutes} minutes"),
        _ if age.as_secs() == 1 => "1 second".into(),
        _ => format!("{} seconds", age.as_secs()),
    }
}

/// Marks an image as the outcome of a build with this key.
pub(crate) async fn mark(scope: &Scope, placed: &Placed, key: &str) -> Result<(), Stop> {
    let Some(image) = &placed.image else {
        return Ok(());
    };
    let request = TagResources {
        region_id: placed.region.clone(),
        resource_type: "image".into(),
        resource_id: vec![image.to_string()],
        tag: vec![tags::tag(tags::BUILD_KEY, key)],
    };
    let operation = Operation::ecs(&placed.region, &request).map_err(Stop::Failed)?;
    scope
        .scope(&format!("key in {}", placed.region))
        .run(operation)
        .await
        .map(drop)
}

/// What a build depends on, as far as it is known, as one digest. Secrets stand in it as
/// their markers: another value is the same build.
pub(crate) fn key_of(parts: &serde_json::Value) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(
        json!({ "key": 1, "of": parts }).to_string().as_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, made: &str, tags: &[(&str, &str)]) -> Image {
        let tags = tags.iter();
        Image {
            image_id: id.parse().unwrap(),
            creation_time: made.into(),
            status: ImageStatus::Available,
            tags: tags
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Image::default()
        }
    }

    #[test]
    fn a_plan_says_whether_a_build_would_be_skipped_and_why() {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let region = "cn-hangzhou".parse().unwrap();
        let judged = |images, hours| {
            judged(
                &region,
                youngest(images, now),
                SignedDuration::from_hours(hours),
            )
        };
        let good = || image("m-1", "2026-01-01T00:00:00Z", &[(tags::RUN, "r1")]);
        let failed = image("m-2", "2026-01-01T23:00:00Z", &[(tags::FAILED, "true")]);
        let skipped = judged(vec![failed.clone(), good()], 24);
        assert!(skipped.skipped);
        assert_eq!(
            skipped.why,
            "unchanged since run r1: image m-1 in cn-hangzhou is 24 hours old"
        );
        let old = judged(vec![good()], 23);
        assert_eq!(
            old,
            Reuse::built("image m-1 in cn-hangzhou is unchanged, but 24 hours old")
        );
        assert_eq!(
            judged(vec![failed], 24),
            Reuse::built("no image in cn-hangzhou is of this very build")
        );
    }
}
