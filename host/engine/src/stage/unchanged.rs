//! Unchanged: whether an image that is there already is what would be built.
//!
//! An image bears the key of its build from the moment at which it is kept; one with the
//! same key in every region is taken for the one that would be built. How old it may be
//! depends on what it was built from: a component that says that its result depends on the
//! outside, and a `run`, which can't say that it doesn't, are good for `rebuild.max-age`;
//! without either an image is as good on the last day as on the first. What an instance or
//! a snapshot holds may have changed at any time, so that such a build is never skipped.

use darkroom_ecs::action::{Action as _, DescribeImages, Image, ImageStatus, Tag, TagResources};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::Failure;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::distribute::{Distributed, Placed};
use super::{Work, layers};
use crate::check::Checked;
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::survey::{self, Query, Survey};
use crate::tags;
use crate::trouble::{Trouble, of_call};
use crate::{Scope, Stop, answer};

/// How old an image may be whose build depends on the outside, where the template doesn't
/// say it.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// How many of the things that depend on the outside are named.
const NAMED: usize = 3;

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// What the image would bear; none where the source is no image.
    pub key: Option<String>,
    /// The images that are there, in each region; none where there must be a build.
    pub found: Option<Distributed>,
    /// What there is in the cloud; none where it has not been looked at.
    #[serde(default)]
    pub survey: Option<Survey>,
}

/// Runs the stage.
pub(crate) async fn run(scope: Scope, work: &Work<'_>, refresh: bool) -> Result<Looked, Stop> {
    // Under a name that is free: the template's own may be that of the image to be found.
    let name = format!("{}-{}", work.checked.name(), work.run);
    let query = Query::of(&work.checked.resolved, name).map_err(Stop::Failed)?;
    let nothing = Looked {
        key: None,
        found: None,
        survey: None,
    };
    if query.source.is_no_image() {
        return Ok(nothing);
    }
    let regions = query.regions.clone();
    let found = match scope.run(Operation::Survey { query }).await {
        // The next stage tells it, with what is wrong with the name.
        Err(Stop::Failed(Trouble::Inputs { .. })) if has_name(work.checked) => return Ok(nothing),
        other => other?,
    };
    let survey: Survey = serde_json::from_value(found)
        .map_err(|error| Stop::Failed(Trouble::internal("Survey", &error)))?;
    let key = work.checked.build_key(survey.image.id.as_str());
    let built = Looked {
        key: Some(key.clone()),
        found: None,
        survey: Some(survey),
    };
    if refresh {
        return Ok(built);
    }
    let now = scope.run(Operation::Now).await?;
    let now: Timestamp = now
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let terms = Terms::of(work.checked);
    let mut placed = Vec::new();
    for region in regions {
        let look = scope.scope(region.as_str());
        let Some((image, age)) = newest(&look, &region, &key, now).await? else {
            return Ok(built);
        };
        let reuse = terms.judge(&region, &image, age);
        if !reuse.skipped {
            tell(work, format!("{}: it is built again", reuse.why));
            return Ok(built);
        }
        let why = reuse.why;
        tell(
            work,
            format!("nothing is built: {why}; `--refresh` builds it all the same"),
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
        found: Some(Distributed { regions: placed }),
        ..built
    })
}

/// Whether the image has a name of its own, which may be taken.
pub(crate) fn has_name(checked: &Checked) -> bool {
    checked.resolved.image.name.is_some()
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
        let age = layers::age(&image, now)?;
        Some((image, age))
    });
    aged.min_by_key(|(_, age)| *age)
}

/// What decides whether an unchanged image is taken.
pub(super) struct Terms {
    /// What depends on the outside, as people know it.
    volatile: Vec<String>,
    /// How old an image with such parts may be.
    most: SignedDuration,
}

impl Terms {
    pub(super) fn of(checked: &Checked) -> Self {
        let most = checked.resolved.rebuild.map(|rebuild| {
            SignedDuration::try_from(rebuild.max_age).unwrap_or(SignedDuration::MAX)
        });
        Self {
            volatile: checked.volatile(),
            most: most.unwrap_or(MAX_AGE),
        }
    }

    /// Whether what depends on the outside may be this old.
    pub(super) fn allow(&self, age: SignedDuration) -> bool {
        age <= self.most
    }

    /// What an unchanged image of this age comes to.
    fn judge(&self, region: &RegionId, image: &Image, age: SignedDuration) -> Reuse {
        let (id, old) = (&image.image_id, in_words(age));
        let since = match image.tags.get(tags::RUN) {
            Some(run) => format!(" since run {run}"),
            None => String::new(),
        };
        let unchanged = format!("image {id} in {region} is unchanged{since}");
        if self.volatile.is_empty() {
            let why = format!(
                "{unchanged}, {old} ago, and nothing in it depends on more than what it is built from"
            );
            return Reuse { skipped: true, why };
        }
        let skipped = self.allow(age);
        let (but, than) = if skipped {
            (" and", "not longer than")
        } else {
            (", but", "longer than")
        };
        let (depend, was) = match self.volatile.len() {
            1 => ("depends", "was"),
            _ => ("depend", "were"),
        };
        let why = format!(
            "{unchanged}{but} {} {depend} on the outside and {was} last built {old} ago, {than} the {} of `rebuild.max-age`",
            self.named(),
            in_words(self.most)
        );
        Reuse { skipped, why }
    }

    fn named(&self) -> String {
        let named = self.volatile.len().min(NAMED);
        let others = self.volatile.len() - named;
        let mut names = self.volatile[..named].to_vec();
        if others > 0 {
            names.push(format!("{others} more"));
        }
        match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, before)) => format!("{} and {last}", before.join(", ")),
            None => String::new(),
        }
    }
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
    pub(crate) fn built(why: impl Into<String>) -> Self {
        Self {
            skipped: false,
            why: why.into(),
        }
    }
}

/// What [`run`] would find at this time. The cloud is only asked what is there.
///
/// # Errors
/// What is wrong with the inputs, or why the cloud can't be asked.
pub(crate) async fn outlook(
    client: &Client,
    checked: &Checked,
    now: Timestamp,
) -> Result<Reuse, Trouble> {
    // As in `run`, under a name that is free.
    let name = format!("{}-{}", checked.name(), crate::plan::RUN);
    let query = Query::of(&checked.resolved, name)?;
    if query.source.is_no_image() {
        let why = "what an instance or a snapshot holds may have changed";
        return Ok(Reuse::built(why));
    }
    let failed = |failure| match failure {
        Failure::Final(trouble) | Failure::Unavailable(trouble) => trouble,
    };
    let survey = match survey::look(client, &query).await.map_err(failed) {
        Err(Trouble::Inputs { .. }) if has_name(checked) => {
            return Ok(Reuse::built("its inputs are not right"));
        }
        other => other?,
    };
    let key = checked.build_key(survey.image.id.as_str());
    let terms = Terms::of(checked);
    let mut whys = Vec::new();
    for region in &query.regions {
        let found = client.call(region, &search(region, &key)).await;
        let found = found
            .map_err(|error| failed(of_call(DescribeImages::NAME, region.as_str(), &error)))?;
        let Some((image, age)) = youngest(found.images.image, now) else {
            return Ok(Reuse::built(format!(
                "no image in {region} is of this very build"
            )));
        };
        let reuse = terms.judge(region, &image, age);
        if !reuse.skipped {
            return Ok(reuse);
        }
        whys.push(reuse.why);
    }
    Ok(Reuse {
        skipped: true,
        why: whys.join("; "),
    })
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

/// What an image bears that is the outcome of a build with this key.
///
/// `since` says when its oldest part was built, where that was before this run.
pub(crate) fn marks(key: &str, since: Option<&str>) -> Vec<Tag> {
    let key = tags::tag(tags::BUILD_KEY, key);
    let since = since.map(|since| tags::tag(tags::SINCE, since));
    [key].into_iter().chain(since).collect()
}

/// Marks an image by itself, as runs of earlier versions do before it is kept.
pub(crate) async fn mark(scope: &Scope, placed: &Placed, key: &str) -> Result<(), Stop> {
    let Some(image) = &placed.image else {
        return Ok(());
    };
    let request = TagResources {
        region_id: placed.region.clone(),
        resource_type: "image".into(),
        resource_id: vec![image.to_string()],
        tag: marks(key, None),
    };
    let operation = Operation::ecs(&placed.region, &request).map_err(Stop::Failed)?;
    scope
        .scope(&format!("key in {}", placed.region))
        .run(operation)
        .await
        .map(drop)
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

    fn terms(volatile: &[&str], hours: i64) -> Terms {
        Terms {
            volatile: volatile.iter().map(ToString::to_string).collect(),
            most: SignedDuration::from_hours(hours),
        }
    }

    #[test]
    fn only_what_depends_on_the_outside_grows_old() {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let region = "cn-hangzhou".parse().unwrap();
        let good = || image("m-1", "2026-01-01T00:00:00Z", &[(tags::RUN, "r1")]);
        let failed = image("m-2", "2026-01-01T23:00:00Z", &[(tags::FAILED, "true")]);
        assert!(youngest(vec![failed.clone()], now).is_none());
        let (image, age) = youngest(vec![failed, good()], now).unwrap();
        let judge = |terms: Terms| terms.judge(&region, &image, age);
        let quiet = judge(terms(&[], 1));
        assert!(quiet.skipped);
        assert_eq!(
            quiet.why,
            "image m-1 in cn-hangzhou is unchanged since run r1, 24 hours ago, and nothing in it depends on more than what it is built from"
        );
        let young = judge(terms(&["darkroom:packages"], 24));
        assert!(young.skipped);
        assert_eq!(
            young.why,
            "image m-1 in cn-hangzhou is unchanged since run r1 and darkroom:packages depends on the outside and was last built 24 hours ago, not longer than the 24 hours of `rebuild.max-age`"
        );
        let old = judge(terms(&["a", "b", "c", "d", "e"], 23));
        assert!(!old.skipped);
        assert_eq!(
            old.why,
            "image m-1 in cn-hangzhou is unchanged since run r1, but a, b, c and 2 more depend on the outside and were last built 24 hours ago, longer than the 23 hours of `rebuild.max-age`"
        );
    }
}
