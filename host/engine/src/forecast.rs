//! What a build would reuse, take and cost, as far as it is known before it is begun.
//!
//! For `plan` alone. Time is what earlier runs of the template took on this machine's
//! journal, by their manifests; prices are the cloud's, asked with `DescribePrice`. What
//! can't be known is left out: a forecast is no reason to end a plan with an error.

use std::collections::{BTreeMap, BTreeSet};

use darkroom_ecs::action::{DescribeImages, DescribePrice, SystemDiskPrice};
use darkroom_ecs::client::Client;
use jiff::Timestamp;
use serde::Serialize;

use crate::check::Checked;
use crate::event::Status;
use crate::manifest::{Layer, Manifest};
use crate::role::RoleRecord;
use crate::stage::layers;
use crate::survey::{Query, SPOT, Survey};

/// How many earlier runs the time is taken from.
const RUNS: usize = 5;

/// How many changes are named.
const NAMED: usize = 5;

/// What a build would reuse, take and cost.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// The layer that it would begin from.
    pub layer: Option<Layer>,
    /// The same in words.
    pub begins: Option<String>,
    /// What has changed since the newest image of this template, in words.
    pub changes: Vec<String>,
    /// How many instances would be made.
    pub instances: u32,
    /// About how long it would take; none where no run of the template has ended well.
    pub seconds: Option<f64>,
    /// What the instances cost; none where the cloud doesn't say.
    pub price: Option<Price>,
}

/// What instances cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Price {
    /// Such as `CNY`.
    pub currency: String,
    /// Of one instance with its system disk, an hour.
    pub an_hour: f64,
    /// Of all instances for the time of the build, where that is known.
    pub in_all: Option<f64>,
}

/// What a forecast is made from.
pub(crate) struct Grounds<'a> {
    pub client: &'a Client,
    pub checked: &'a Checked,
    /// Whether layers are used where the template doesn't say it.
    pub layers: bool,
    /// The manifests of the template's earlier runs on this cloud, newest first.
    pub earlier: &'a [Manifest],
    pub now: Timestamp,
}

impl Grounds<'_> {
    /// What is known of a build of what the survey has found; `skipped` if it would be.
    pub(crate) async fn forecast(&self, query: &Query, survey: &Survey, skipped: bool) -> Forecast {
        let changes = match self.built().next() {
            Some(last) if !skipped => changes(self.checked, survey.image.id.as_str(), last),
            _ => Vec::new(),
        };
        if skipped {
            return Forecast {
                layer: None,
                begins: None,
                changes,
                instances: 0,
                seconds: None,
                price: None,
            };
        }
        let layer = self.layer(query, survey).await;
        let seconds = self.seconds(layer.as_ref());
        // One to build on, one to test the image with.
        let instances = 2;
        let price = self.price(query, survey).await.map(|price| Price {
            in_all: seconds.map(|seconds| price.an_hour * f64::from(instances) * seconds / 3600.0),
            ..price
        });
        Forecast {
            begins: layer.as_ref().map(|one| layers::words(self.checked, one)),
            layer,
            changes,
            instances,
            seconds,
            price,
        }
    }

    async fn layer(&self, query: &Query, survey: &Survey) -> Option<Layer> {
        let wanted = self.checked.resolved.checkpoint.unwrap_or(self.layers);
        if !wanted || query.source.is_no_image() {
            return None;
        }
        let keys = self.checked.layer_keys(survey.image.id.as_str());
        let search: DescribeImages = layers::search(self.checked, &query.region);
        let found = self.client.call(&query.region, &search).await.ok()?;
        layers::choose(self.checked, &keys, &found.images.image, self.now)
    }

    /// The runs that have built, newest first.
    fn built(&self) -> impl Iterator<Item = &Manifest> {
        let good = |one: &&Manifest| one.status == Status::Success && !one.unchanged;
        self.earlier.iter().filter(good)
    }

    /// The median of what the newest runs took that began where this one would; else of
    /// those that began at the source, without what the layer holds.
    fn seconds(&self, layer: Option<&Layer>) -> Option<f64> {
        let items = |layer: Option<&Layer>| layer.map_or(0, |layer| layer.items);
        let wanted = items(layer);
        let alike = self
            .built()
            .filter(|one| items(one.layer.as_ref()) == wanted);
        let alike: Vec<f64> = alike.take(RUNS).map(took).collect();
        if !alike.is_empty() {
            return median(alike);
        }
        let paths: BTreeSet<String> = self.checked.item_paths().into_iter().take(wanted).collect();
        let is_held = |role: &&RoleRecord| {
            wanted > 0 && (paths.contains(&role.path) || role.path.starts_with("repair/"))
        };
        let whole = self.built().filter(|one| one.layer.is_none()).take(RUNS);
        let rest = whole.map(|one| {
            let held: f64 = one
                .roles
                .iter()
                .filter(is_held)
                .map(|role| role.worked().as_secs_f64())
                .sum();
            (took(one) - held).max(0.0)
        });
        median(rest.collect())
    }

    async fn price(&self, query: &Query, survey: &Survey) -> Option<Price> {
        let candidate = survey.candidates.first()?;
        let instance = &self.checked.resolved.instance;
        let disk = instance.disk.as_ref().map_or(0, |disk| disk.value);
        let bandwidth = instance.internet.as_ref().map(|internet| internet.value);
        let bandwidth = bandwidth.filter(|bandwidth| *bandwidth > 0);
        let request = DescribePrice {
            region_id: query.region.clone(),
            resource_type: Some("instance".into()),
            instance_type: Some(candidate.instance_type.clone()),
            zone_id: Some(candidate.zone.clone()),
            system_disk: Some(SystemDiskPrice {
                size: Some(disk.max(survey.image.size)),
                ..SystemDiskPrice::default()
            }),
            internet_charge_type: bandwidth.map(|_| "PayByTraffic".into()),
            internet_max_bandwidth_out: bandwidth,
            spot_strategy: query.spot.then(|| SPOT.into()),
            price_unit: Some("Hour".into()),
            ..DescribePrice::default()
        };
        let answer = self.client.call(&query.region, &request).await.ok()?;
        let price = answer.price_info.price;
        (!price.currency.is_empty()).then_some(Price {
            currency: price.currency,
            an_hour: price.trade_price,
            in_all: None,
        })
    }
}

fn took(manifest: &Manifest) -> f64 {
    let whole = manifest.finished.duration_since(manifest.started);
    whole.as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> Option<f64> {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

/// What a build has that the run of a manifest hadn't, in words; nothing where the run was
/// one of a version that didn't write it down.
fn changes(checked: &Checked, source: &str, last: &Manifest) -> Vec<String> {
    if last.inputs.is_empty() {
        return Vec::new();
    }
    let mut said = differences(&last.inputs, &checked.inputs());
    let before = last.source.as_ref().map(|image| image.id.as_str());
    if let Some(before) = before.filter(|before| *before != source) {
        said.insert(0, format!("the source image is {source}, it was {before}"));
    }
    if said.len() > NAMED {
        let others = said.len() - NAMED;
        said.truncate(NAMED);
        said.push(format!("{others} more changes"));
    }
    if !said.is_empty() {
        let since = format!("since run {}", last.run);
        let first = said.remove(0);
        said.insert(0, format!("{since}: {first}"));
    }
    said
}

/// The template's text counts only where nothing else says what has changed.
fn differences(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let parts: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let parts = parts.into_iter().filter(|part| *part != TEXT);
    let said = parts.filter_map(|part| match (was.get(part), is.get(part)) {
        (Some(was), Some(is)) if was == is => None,
        (Some(_), Some(_)) => Some(format!("{part} has changed")),
        (None, _) => Some(format!("{part} is new")),
        (_, None) => Some(format!("{part} is gone")),
    });
    let said: Vec<_> = said.collect();
    if said.is_empty() && was.get(TEXT) != is.get(TEXT) {
        return vec!["the template's text has changed".into()];
    }
    said
}

/// What the template's text is called among the inputs.
pub(crate) const TEXT: &str = "template";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_named() {
        let inputs = |parts: &[(&str, &str)]| -> BTreeMap<String, String> {
            let own = |(name, digest): &(&str, &str)| ((*name).into(), (*digest).into());
            parts.iter().map(own).collect()
        };
        let was = inputs(&[("build/1-copy", "a"), ("build/2-run", "b"), (TEXT, "c")]);
        assert!(differences(&was, &was).is_empty());
        let is = inputs(&[("build/1-copy", "x"), ("test/1-run", "b"), (TEXT, "d")]);
        assert_eq!(
            differences(&was, &is),
            [
                "build/1-copy has changed",
                "build/2-run is gone",
                "test/1-run is new"
            ]
        );
        let text = inputs(&[("build/1-copy", "a"), ("build/2-run", "b"), (TEXT, "d")]);
        assert_eq!(
            differences(&was, &text),
            ["the template's text has changed"]
        );
    }

    #[test]
    fn the_middle_one_counts() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    }
}
