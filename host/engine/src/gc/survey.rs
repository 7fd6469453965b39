//! Looks for what bears a run's tag, in every region. It only looks.

use std::collections::BTreeSet;

use darkroom_ecs::action::{
    Action, DescribeImages, DescribeInstances, DescribeRegions, DescribeSecurityGroups,
    DescribeSnapshots, DescribeVpcs, Image, Tag, Tags,
};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::{Failure, RunId};
use futures::future::join_all;
use jiff::Timestamp;

use super::What;
use crate::cloud::every_status;
use crate::tags;
use crate::trouble::{Trouble, of_call};

/// Regions that are looked at at once.
const AT_ONCE: usize = 8;

/// Pages of one list; more than this is not one account's leftovers.
const PAGES: u32 = 100;

/// Something that bears a run's tag.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub run: RunId,
    pub region: RegionId,
    pub what: What,
    pub id: String,
    /// Why it is nobody's leftover, if so.
    pub published: Option<String>,
    /// What it is the layer of and when it was made, if builds may begin from it.
    pub layer: Option<(String, Timestamp)>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub found: Vec<Found>,
    /// The ends of leases, also of what can't be removed by itself.
    pub leases: Vec<(RunId, Timestamp)>,
}

type Looked<T> = Result<T, Trouble>;

/// Looks everywhere.
pub(super) async fn look(client: &Client) -> Looked<Survey> {
    let home: RegionId = "cn-hangzhou".parse().unwrap_or_default();
    let regions = call(client, &home, &DescribeRegions::default()).await?;
    let regions: Vec<RegionId> = regions
        .regions
        .region
        .into_iter()
        .map(|one| one.region_id)
        .collect();
    let mut survey = Survey::default();
    for some in regions.chunks(AT_ONCE) {
        for looked in join_all(some.iter().map(|region| in_region(client, region))).await {
            let looked = looked?;
            survey.found.extend(looked.found);
            survey.leases.extend(looked.leases);
        }
    }
    Ok(survey)
}

async fn in_region(client: &Client, region: &RegionId) -> Looked<Survey> {
    let mut survey = Survey::default();
    instances(client, region, &mut survey).await?;
    let used = images(client, region, &mut survey).await?;
    snapshots(client, region, &used, &mut survey).await?;
    networks(client, region, &mut survey).await?;
    Ok(survey)
}

impl Survey {
    fn add(&mut self, region: &RegionId, what: What, id: &impl ToString, tags: &Tags) {
        let Some(run) = run_of(tags) else { return };
        let lease = tags::lease(tags);
        self.leases.extend(lease.map(|lease| (run.clone(), lease)));
        self.found.push(Found {
            run,
            region: region.clone(),
            what,
            id: id.to_string(),
            published: None,
            layer: None,
        });
    }

    fn add_image(&mut self, region: &RegionId, image: &Image) {
        let before = self.found.len();
        self.add(region, What::Image, &image.image_id, &image.tags);
        for found in self.found.iter_mut().skip(before) {
            found.published = published(image);
            found.layer = layer(image);
        }
    }
}

/// The run that a resource says it is of.
fn run_of(tags: &Tags) -> Option<RunId> {
    tags.get(tags::RUN)?.parse().ok()
}

async fn instances(client: &Client, region: &RegionId, survey: &mut Survey) -> Looked<()> {
    let mut next_token = None;
    for _ in 0..PAGES {
        let action = DescribeInstances {
            region_id: region.clone(),
            tag: any_run(),
            max_results: Some(100),
            next_token: next_token.take(),
            ..DescribeInstances::default()
        };
        let answer = call(client, region, &action).await?;
        for one in &answer.instances.instance {
            survey.add(region, What::Instance, &one.instance_id, &one.tags);
        }
        if answer.next_token.is_empty() {
            break;
        }
        next_token = Some(answer.next_token);
    }
    Ok(())
}

/// Looks at all images of the account; gives the snapshots that any of them stands on.
async fn images(
    client: &Client,
    region: &RegionId,
    survey: &mut Survey,
) -> Looked<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for page in 1..=PAGES {
        let action = DescribeImages {
            region_id: region.clone(),
            image_owner_alias: Some("self".into()),
            status: Some(every_status()),
            page_number: Some(page),
            page_size: Some(100),
            ..DescribeImages::default()
        };
        let found = call(client, region, &action).await?.images.image;
        for one in &found {
            let disks = one.disk_device_mappings.disk_device_mapping.iter();
            used.extend(disks.map(|disk| disk.snapshot_id.to_string()));
            survey.add_image(region, one);
        }
        if found.len() < 100 {
            break;
        }
    }
    Ok(used)
}

/// Why an image is nobody's leftover, if so. One that says nothing is left alone.
fn published(image: &Image) -> Option<String> {
    let tags = &image.tags;
    if tags.get(tags::FAILED).is_some() {
        return Some("it has failed its tests and is kept, as its template says".into());
    }
    if !image.image_family.is_empty() {
        return Some(format!("it is in the family {}", image.image_family));
    }
    if let Some(template) = tags.get(tags::LAYER_OF) {
        let ready = tags.get(tags::STATE) == Some(tags::READY);
        return ready.then(|| format!("builds of {template} begin from it"));
    }
    match (tags.get(tags::PURPOSE), tags.get(tags::STATE)) {
        // Only images and copies are made to be published, and say how far they are.
        (Some(tags::SOURCE), _) | (Some("image" | "copy"), Some(tags::TESTING)) => None,
        (_, Some(tags::RELEASED)) => Some("it is released".into()),
        _ => Some("it doesn't say that it was still being made".into()),
    }
}

/// What a layer that builds may begin from is of, and when it was made.
fn layer(image: &Image) -> Option<(String, Timestamp)> {
    let tags = &image.tags;
    let template = tags
        .get(tags::LAYER_OF)
        .filter(|_| tags.get(tags::STATE) == Some(tags::READY))?;
    Some((template.to_owned(), tags::moment(&image.creation_time)?))
}

async fn snapshots(
    client: &Client,
    region: &RegionId,
    used: &BTreeSet<String>,
    survey: &mut Survey,
) -> Looked<()> {
    let mut next_token = None;
    for _ in 0..PAGES {
        let action = DescribeSnapshots {
            region_id: region.clone(),
            tag: any_run(),
            max_results: Some(100),
            next_token: next_token.take(),
            ..DescribeSnapshots::default()
        };
        let answer = call(client, region, &action).await?;
        for one in &answer.snapshots.snapshot {
            // It goes with its image, or stays with it.
            if !used.contains(one.snapshot_id.as_str()) {
                survey.add(region, What::Snapshot, &one.snapshot_id, &one.tags);
            }
        }
        if answer.next_token.is_empty() {
            break;
        }
        next_token = Some(answer.next_token);
    }
    Ok(())
}

async fn networks(client: &Client, region: &RegionId, survey: &mut Survey) -> Looked<()> {
    for page in 1..=PAGES {
        let action = DescribeVpcs {
            region_id: region.clone(),
            tag: any_run(),
            page_number: Some(page),
            page_size: Some(50),
            ..DescribeVpcs::default()
        };
        let found = call(client, region, &action).await?.vpcs.vpc;
        for one in &found {
            let tags = one.tags.tag.iter();
            let tags: Tags = tags
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect();
            survey.add(region, What::Network, &one.vpc_id, &tags);
        }
        if found.len() < 50 {
            break;
        }
    }
    // A group bears the lease while there is no instance. It goes with its VPC.
    let mut next_token = None;
    for _ in 0..PAGES {
        let action = DescribeSecurityGroups {
            region_id: region.clone(),
            tag: any_run(),
            max_results: Some(100),
            next_token: next_token.take(),
            ..DescribeSecurityGroups::default()
        };
        let answer = call(client, region, &action).await?;
        for one in &answer.security_groups.security_group {
            let lease = run_of(&one.tags).zip(tags::lease(&one.tags));
            survey.leases.extend(lease);
        }
        if answer.next_token.is_empty() {
            break;
        }
        next_token = Some(answer.next_token);
    }
    Ok(())
}

/// What bears a run's tag, whichever the run is.
fn any_run() -> Vec<Tag> {
    vec![tags::tag(tags::RUN, "")]
}

async fn call<A: Action>(client: &Client, region: &RegionId, action: &A) -> Looked<A::Response> {
    let answer = client.call(region, action).await;
    answer.map_err(|error| match of_call(A::NAME, region.as_str(), &error) {
        Failure::Final(trouble) | Failure::Unavailable(trouble) => trouble,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(family: &str, pairs: &[(&str, &str)]) -> Image {
        let pairs = pairs.iter();
        Image {
            image_family: family.into(),
            tags: pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Image::default()
        }
    }

    #[test]
    fn only_an_image_that_says_so_is_a_leftover() {
        let made = (tags::PURPOSE, "image");
        let testing = (tags::STATE, tags::TESTING);
        let left = |image: Image| published(&image).is_none();
        assert!(left(image("", &[made, testing])));
        assert!(left(image("", &[(tags::PURPOSE, tags::SOURCE)])));
        assert!(!left(image("web", &[made, testing])));
        assert!(!left(image("", &[made])));
        assert!(!left(image("", &[made, (tags::STATE, tags::RELEASED)])));
        assert!(!left(image("", &[made, testing, (tags::FAILED, "true")])));
        assert!(!left(image("", &[(tags::PURPOSE, "other"), testing])));
    }

    #[test]
    fn a_layer_is_a_leftover_until_it_is_ready() {
        let of = (tags::LAYER_OF, "web");
        let made = |state| Image {
            creation_time: "2026-03-01T00:00:00Z".into(),
            ..image("", &[of, (tags::PURPOSE, "layer-1"), (tags::STATE, state)])
        };
        assert_eq!(published(&made(tags::TESTING)), None);
        assert_eq!(layer(&made(tags::TESTING)), None);
        let ready = made(tags::READY);
        assert_eq!(published(&ready).unwrap(), "builds of web begin from it");
        assert_eq!(layer(&ready).unwrap().0, "web");
    }
}
