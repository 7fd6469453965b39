//! Unchanged: whether an image that is there already is what would be built.
//!
//! Only where the template has `rebuild`. An image bears the key of its build from the
//! moment at which it is published; one with the same key, young enough and in every
//! region, is taken for the one that would be built.

use darkroom_ecs::action::{DescribeImages, Image, ImageStatus, TagResources};
use darkroom_ecs::id::RegionId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Work;
use super::distribute::{Distributed, Placed};
use super::prepare::query;
use crate::carry::wrap::hex;
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::survey::Survey;
use crate::tags;
use crate::trouble::Trouble;
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
    let query = query(work.checked, name).map_err(Stop::Failed)?;
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
    let most = SignedDuration::try_from(rebuild.max_age).unwrap_or(SignedDuration::MAX);
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
    let request = DescribeImages {
        region_id: region.clone(),
        tag: vec![tags::tag(tags::BUILD_KEY, key)],
        image_owner_alias: Some("self".into()),
        page_size: Some(100),
        ..DescribeImages::default()
    };
    let operation = Operation::ecs(region, &request).map_err(Stop::Failed)?;
    let found = answer::<DescribeImages>(scope.run(operation).await?)?;
    let good = found.images.image.into_iter().filter(|image| {
        image.status == ImageStatus::Available
            && !image.tags.tag.iter().any(|tag| tag.tag_key == tags::FAILED)
    });
    let aged = good.filter_map(|image| {
        let made: Timestamp = image.creation_time.parse().ok()?;
        Some((image, now.duration_since(made)))
    });
    Ok(aged.min_by_key(|(_, age)| *age))
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
