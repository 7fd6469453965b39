//! What a build leaves: its manifest, its images with what is in them, the cloud's
//! recorder and ledger, and everything on this machine that has to do with them.
//!
//! What must hold after any build is asserted while it is read; the rest is compared
//! with a build in which nothing was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use darkroom_ecs::action::{CommaList, DescribeImages, ImageStatus};
use darkroom_tests::house::{House, PATIENCE};
use darkroom_tests::laboratory::region;
use serde_json::Value;

use crate::scene::{MARKERS, REGIONS};

/// What was found.
pub struct Books {
    manifest: Value,
    /// The error code of each `RunInstances`, in order; none where it made an instance.
    launches: Vec<Option<String>>,
    /// How many of what is billed, and how many ever were.
    billed: BTreeMap<String, usize>,
    ever_billed: BTreeMap<String, usize>,
    /// How many layers each region has.
    layers: BTreeMap<String, usize>,
    /// What lies in the local cloud's folder.
    files: BTreeSet<String>,
}

impl Books {
    /// Reads everything, once the cloud has come to rest.
    pub fn read(house: &House) -> Self {
        rest(house);
        let manifest = house.manifest();
        assert_eq!(manifest["status"], "SUCCESS", "{manifest:#}");
        assert_eq!(manifest["left"], Value::Array(Vec::new()));
        assert_eq!(names(&house.path("state/runs")).len(), 1);
        for place in REGIONS {
            one_image(house, place, &manifest);
            markers(&house.local().join("regions").join(place).join("layers"));
        }
        assert_eq!(
            names(&house.local().join("instances")),
            Vec::<String>::new()
        );
        let requests = house.admin("/-/requests?action=RunInstances");
        let all = house.admin("/-/ledger?all=true");
        nothing_runs(&all);
        Self {
            launches: requests["requests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["code"].as_str().map(ToOwned::to_owned))
                .collect(),
            billed: kinds(&house.admin("/-/ledger")),
            ever_billed: kinds(&all),
            layers: layers(house),
            files: names(&house.local()).into_iter().collect(),
            manifest,
        }
    }

    /// Each attempt of the first step, and whether it was interrupted.
    pub fn first_steps_attempts(&self) -> Vec<(&str, bool)> {
        let step = &self.manifest["roles"][0]["steps"][0];
        assert_eq!(step["name"], "first");
        let attempts = step["attempts"].as_array().unwrap().iter();
        attempts
            .map(|one| {
                (
                    one["attempt"].as_str().unwrap(),
                    one["interrupted"].as_bool().unwrap(),
                )
            })
            .collect()
    }

    /// Nothing was made, done or left that another build would not.
    pub fn compare(&self, other: &Self) {
        self.compare_bills(other);
        assert_eq!(self.steps(), other.steps());
    }

    /// Nothing was made or left that another build would not make or leave.
    pub fn compare_bills(&self, other: &Self) {
        assert_eq!(self.launches, other.launches);
        assert_eq!(self.billed, other.billed);
        assert_eq!(self.ever_billed, other.ever_billed);
        assert_eq!(self.layers, other.layers);
        assert_eq!(self.files, other.files);
    }

    /// Every step of the run that is in the manifest, but for its attempts.
    fn steps(&self) -> Vec<(&Value, &Value, &Value)> {
        let roles = self.manifest["roles"].as_array().unwrap().iter();
        roles
            .flat_map(|role| role["steps"].as_array().unwrap())
            .map(|step| (&step["path"], &step["name"], &step["succeeded"]))
            .collect()
    }
}

/// Waits until the cloud has nothing more to do: what a build doesn't wait for, such as
/// the removal of layers, goes on after its end.
fn rest(house: &House) {
    let begun = Instant::now();
    loop {
        let status = house.admin("/-/status");
        let busy = !status["jobs"].as_array().unwrap().is_empty();
        let drafts = layer_names(house).any(|name| name.starts_with('.'));
        if !busy && !drafts {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no rest: {status:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn layer_names(house: &House) -> impl Iterator<Item = String> {
    let regions = house.local().join("regions");
    let places = names(&regions);
    places
        .into_iter()
        .flat_map(move |place| names(&regions.join(place).join("layers")))
}

fn layers(house: &House) -> BTreeMap<String, usize> {
    let regions = house.local().join("regions");
    let places = names(&regions).into_iter();
    places
        .map(|place| {
            let count = names(&regions.join(&place).join("layers")).len();
            (place, count)
        })
        .collect()
}

/// The region has one image of ours: the one in the manifest, tagged with the run.
fn one_image(house: &House, place: &str, manifest: &Value) {
    let request = DescribeImages {
        region_id: region(place),
        image_owner_alias: Some("self".into()),
        status: Some(CommaList(vec![
            ImageStatus::Creating,
            ImageStatus::Waiting,
            ImageStatus::Available,
            ImageStatus::UnAvailable,
            ImageStatus::CreateFailed,
        ])),
        ..DescribeImages::default()
    };
    let client = house.client(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let found = runtime
        .block_on(client.call(&region(place), &request))
        .unwrap()
        .images
        .image;
    let seen: Vec<_> = found
        .iter()
        .map(|image| {
            (
                image.image_id.as_str(),
                image.status.as_str(),
                image.tags.get("darkroom:run"),
            )
        })
        .collect();
    let regions = manifest["regions"].as_array().unwrap();
    let told: Vec<_> = regions
        .iter()
        .filter(|one| one["region"] == place)
        .map(|one| {
            (
                one["image"].as_str().unwrap(),
                "Available",
                manifest["run"].as_str(),
            )
        })
        .collect();
    assert_eq!(seen, told, "{place}");
    assert_eq!(seen.len(), 1, "{place}");
}

/// In the layers of a region each marker file is there once, with one line.
fn markers(layers: &Path) {
    for number in 1..=MARKERS {
        let found: Vec<_> = names(layers)
            .iter()
            .filter_map(|layer| {
                let path = format!("{layer}/rootfs/var/lib/marker-{number}");
                fs::read_to_string(layers.join(path)).ok()
            })
            .collect();
        assert_eq!(found, ["x\n"], "marker-{number} in {}", layers.display());
    }
}

/// What a ledger holds, without ids and times.
fn kinds(ledger: &Value) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in ledger["entries"].as_array().unwrap() {
        let words = ["account", "region", "kind", "spec", "quantity"];
        let kind = words.map(|word| entry[word].to_string()).join(" ");
        *kinds.entry(kind).or_insert(0) += 1;
    }
    kinds
}

/// No process and no control group of any instance that ever was.
fn nothing_runs(ledger: &Value) {
    let entries = ledger["entries"].as_array().unwrap();
    let ids: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "instance")
        .map(|entry| entry["resource"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{entries:?}");
    for process in fs::read_dir("/proc").unwrap() {
        let line = fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!ids.iter().any(|id| line.contains(id)), "{line} runs");
    }
    let mut folders = vec![(Path::new("/sys/fs/cgroup").to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        // Others come and go meanwhile.
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(!ids.iter().any(|id| name.contains(id)), "{name} is left");
            if depth < 5 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
}
