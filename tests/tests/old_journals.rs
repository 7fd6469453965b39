//! Journals of earlier versions still read, show and clean up.
//!
//! `fixtures/journal-1` is a state folder as the first version with whole runs left it: one
//! that has ended, one whose process was killed while its image was copied, one whose
//! instance was kept. `fixtures/undo` has each kind of undo entry as it stands in a
//! journal. Neither may ever be made anew: a later form gets files of its own beside them.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use darkroom_ecs::action::{
    CreateImage, CreateSecurityGroup, CreateVSwitch, CreateVpc, DescribeImages, RunInstances, Tag,
};
use darkroom_ecs::client::Client;
use darkroom_engine::operation::Operation;
use darkroom_engine::{Drive, Engine, Event, Pace, Settings, Status, event};
use darkroom_journal::{Journal, RunId, SystemClock, UndoState};
use darkroom_runtime::{Config, Runtime};
use darkroom_tests::laboratory::{Laboratory, region};
use serde_json::{Value, json};

const FINISHED: &str = "261123-030806-q2k45p";
const INTERRUPTED: &str = "261123-030808-biiy6e";
const KEPT: &str = "261123-030810-vkwmcw";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// An engine on a copy of the old state folder.
async fn engine(lab: &Laboratory) -> Engine {
    let state = lab.path("old");
    copy(&fixtures().join("journal-1"), &state);
    let settings = Settings {
        state,
        runtime: Runtime::new(Config::default()).unwrap(),
        clock: Arc::new(SystemClock),
    };
    Engine::open(settings).await.unwrap()
}

fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

fn drive(client: Arc<Client>) -> Drive {
    Drive::new(client, Pace::LOCAL, Arc::new(|_: &Event| ()))
}

/// The kinds of what is on the bill.
async fn ledger(lab: &Laboratory) -> Vec<String> {
    let ledger = lab.admin("GET", "/-/ledger", Value::Null).await;
    let open = ledger["entries"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = open
        .map(|one| one["kind"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    kinds
}

fn tags(run: &str, purpose: &str) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag {
        key: key.into(),
        value: value.into(),
    };
    vec![tag("darkroom:run", run), tag("darkroom:purpose", purpose)]
}

/// What the old version had made for a run and left: a network, an instance and, if
/// `image`, an image of it, tagged as it tagged them.
async fn leave(lab: &Laboratory, run: &str, image: bool) {
    let (client, place) = (lab.client(0), region("cn-hangzhou"));
    let vpc = CreateVpc {
        region_id: place.clone(),
        cidr_block: Some("192.168.0.0/16".into()),
        tag: tags(run, "network"),
        ..CreateVpc::default()
    };
    let vpc = client.call(&place, &vpc).await.unwrap().vpc_id;
    let group = CreateSecurityGroup {
        region_id: place.clone(),
        vpc_id: Some(vpc.clone()),
        tag: tags(run, "network"),
        ..CreateSecurityGroup::default()
    };
    let group = client.call(&place, &group).await.unwrap();
    let vswitch = CreateVSwitch {
        region_id: Some(place.clone()),
        zone_id: "cn-hangzhou-a".parse().unwrap(),
        cidr_block: "192.168.0.0/24".into(),
        vpc_id: vpc,
        tag: tags(run, "network"),
        ..CreateVSwitch::default()
    };
    let vswitch = client.call(&place, &vswitch).await.unwrap().vswitch_id;
    let source = DescribeImages {
        region_id: place.clone(),
        ..DescribeImages::default()
    };
    let source = client.call(&place, &source).await.unwrap().images.image;
    let instance = RunInstances {
        region_id: place.clone(),
        image_id: Some(source[0].image_id.clone()),
        instance_type: Some("ecs.g7.large".into()),
        vswitch_id: Some(vswitch),
        security_group_id: Some(group.security_group_id),
        tag: tags(run, "build"),
        ..RunInstances::default()
    };
    let made = client.call(&place, &instance).await.unwrap();
    if image {
        let image = CreateImage {
            region_id: place.clone(),
            instance_id: Some(made.instance_id_sets.instance_id_set[0].clone()),
            image_name: Some(format!("interrupted-{run}")),
            tag: tags(run, "image"),
            ..CreateImage::default()
        };
        // An instance that has just been made has no disk to be imaged for a moment.
        while client.call(&place, &image).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_runs_are_read_and_shown() {
    let lab = Laboratory::new().await;
    let engine = engine(&lab).await;
    let views = engine.runs().await.unwrap();
    let mut seen: Vec<_> = views
        .iter()
        .map(|view| {
            (
                view.run.to_string(),
                view.header.template.clone(),
                view.status,
            )
        })
        .collect();
    seen.sort_by_key(|(run, ..)| run.clone());
    let row = |run: &str, template: &str, status| (run.into(), template.into(), status);
    assert_eq!(
        seen,
        [
            row(FINISHED, "finished", Some(Status::Success)),
            row(INTERRUPTED, "interrupted", None),
            row(KEPT, "kept", Some(Status::Failed)),
        ]
    );
    let finished = engine.view(&run(FINISHED)).await.unwrap();
    assert_eq!(finished.images.len(), 2);
    assert!(!engine.has_leftovers(&run(FINISHED)).await.unwrap());
    assert!(engine.has_leftovers(&run(KEPT)).await.unwrap());
    for (name, least) in [(FINISHED, 40), (INTERRUPTED, 30), (KEPT, 20)] {
        let folder = engine.folder(&run(name));
        let events = event::read(&folder.file("events.ndjson")).unwrap();
        assert!(events.len() >= least, "{name}: {}", events.len());
    }
    let manifest = engine.folder(&run(FINISHED)).read("manifest.json").unwrap();
    let manifest: darkroom_engine::manifest::Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest.regions.len(), 2);
    assert_eq!(manifest.stages.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_old_runs_left_goes() {
    let lab = Laboratory::new().await;
    let engine = engine(&lab).await;
    leave(&lab, INTERRUPTED, true).await;
    leave(&lab, KEPT, false).await;
    assert!(ledger(&lab).await.len() >= 9, "{:?}", ledger(&lab).await);
    engine
        .cleanup(&run(KEPT), drive(lab.client(0)))
        .await
        .unwrap();
    assert!(!engine.has_leftovers(&run(KEPT)).await.unwrap());
    engine.cancel(&run(INTERRUPTED)).await.unwrap();
    let ended = engine.drive(&run(INTERRUPTED), drive(lab.client(0))).await;
    assert_eq!(ended.unwrap().manifest.status, Status::Cancelled);
    assert_eq!(ledger(&lab).await, Vec::<String>::new());
}

/// Each kind of undo entry, by its file. A new kind gets a file.
fn name_of(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::ReleaseInstances { .. } => Some("release-instances.json"),
        Operation::RemoveNetwork { .. } => Some("remove-network.json"),
        Operation::DiscardImages { .. } => Some("discard-images.json"),
        Operation::DiscardImagesOnly { .. } => Some("discard-images-only.json"),
        _ => None,
    }
}

#[test]
fn each_kind_of_undo_entry_is_read_and_written_as_it_was() {
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures().join("undo")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let operation: Operation = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(json!(operation), value, "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name_of(&operation), Some(name));
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_undo_entries_of_an_old_journal_are_there() {
    let lab = Laboratory::new().await;
    drop(engine(&lab).await);
    let file = lab.path("old/journal.sqlite");
    let journal = Journal::open(file, Arc::new(SystemClock)).await.unwrap();
    let states = async |name: &str| {
        let entries = journal.undo_entries(&run(name)).await.unwrap();
        let mut states = Vec::new();
        for entry in entries {
            let operation: Operation = serde_json::from_value(entry.operation).unwrap();
            assert!(name_of(&operation).is_some());
            states.push(entry.state);
        }
        states
    };
    assert_eq!(
        states(FINISHED).await,
        [
            UndoState::Done,
            UndoState::Done,
            UndoState::Kept,
            UndoState::Done,
            UndoState::Kept,
        ]
    );
    assert_eq!(states(INTERRUPTED).await, [UndoState::Pending; 5]);
    assert_eq!(states(KEPT).await, [UndoState::Pending; 2]);
}
