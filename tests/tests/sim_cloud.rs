//! What the pipeline asks of the cloud: networks, agents, sources, types, disks,
//! retention, in the local cloud's simulation and in simulated time.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::collections::BTreeMap;

use darkroom_ecs::action::{
    Action, CommaList, CreateImage, CreateSnapshot, DescribeDisks, DescribeImages,
    DescribeInstances, DescribeSnapshots, Image, ImageStatus, InstanceStatus,
    ModifyImageSharePermission, RunInstances, Snapshot,
};
use darkroom_ecs::id::{InstanceId, SnapshotId};
use darkroom_engine::{Event, Outcome, Status};
use darkroom_tests::laboratory::{Laboratory, region};
use darkroom_tests::simulated_clock::SimulatedClock;
use jiff::Timestamp;
use serde_json::{Value, json};

const HANGZHOU: &str = "cn-hangzhou";
const BEIJING: &str = "cn-beijing";

/// A template named `web` with these lines at its end.
fn template(source: &str, more: &str) -> String {
    format!("name: web\nsource: {{ {source} }}\nbuild:\n  - run: make install\n{more}")
}

const DEBIAN: &str = "family: debian-12";

/// A laboratory in simulated time.
fn laboratory(work: impl AsyncFnOnce(Laboratory)) {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    SimulatedClock::run(begin, async |clock| {
        work(Laboratory::in_time_of(&clock).await).await;
    });
}

async fn ask<A: Action>(lab: &Laboratory, place: &str, request: &A) -> A::Response {
    lab.client(0).call(&region(place), request).await.unwrap()
}

/// How many things are on the bill, by kind.
async fn billed(lab: &Laboratory) -> BTreeMap<String, usize> {
    let ledger = lab.admin("GET", "/-/ledger", Value::Null).await;
    let mut kinds = BTreeMap::new();
    for entry in ledger["entries"].as_array().unwrap() {
        let kind = entry["kind"].as_str().unwrap().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// The bill of so many images with so many snapshots, and of nothing else.
fn images_only(images: usize, snapshots: usize) -> BTreeMap<String, usize> {
    [("image", images), ("snapshot", snapshots)]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (kind.to_owned(), count))
        .collect()
}

/// The parameters of the requests for an action that were granted.
async fn asked(lab: &Laboratory, action: &str) -> Vec<Value> {
    let path = format!("/-/requests?action={action}&limit=1000");
    let found = lab.admin("GET", &path, Value::Null).await;
    let found = found["requests"].as_array().unwrap();
    let granted = found.iter().filter(|one| one["code"].is_null());
    granted.map(|one| one["params"].clone()).collect()
}

async fn images(lab: &Laboratory, place: &str) -> Vec<Image> {
    let request = DescribeImages {
        region_id: region(place),
        image_owner_alias: Some("self".into()),
        ..DescribeImages::default()
    };
    ask(lab, place, &request).await.images.image
}

async fn snapshots(lab: &Laboratory, place: &str) -> Vec<Snapshot> {
    let request = DescribeSnapshots {
        region_id: region(place),
        ..DescribeSnapshots::default()
    };
    ask(lab, place, &request).await.snapshots.snapshot
}

async fn succeeds(lab: &Laboratory, text: &str) -> (Outcome, Vec<Event>) {
    let (outcome, events) = lab.build(text).await;
    let manifest = &outcome.manifest;
    assert_eq!(
        (manifest.status, manifest.error.as_deref()),
        (Status::Success, None)
    );
    (outcome, events)
}

async fn fails(lab: &Laboratory, text: &str) -> String {
    let (outcome, _) = lab.build(text).await;
    let manifest = outcome.manifest;
    assert_eq!(manifest.status, Status::Failed, "{:?}", manifest.error);
    let hint = manifest.hint.unwrap_or_default();
    format!("{} ({hint})", manifest.error.unwrap())
}

fn warnings(events: &[Event]) -> Vec<String> {
    let warning = |event: &Event| {
        let told = serde_json::to_value(event).unwrap();
        (told["level"] == "warning").then(|| told["text"].as_str().unwrap().to_owned())
    };
    events.iter().filter_map(warning).collect()
}

/// An instance that somebody else has made, which runs.
async fn foreign_instance(lab: &Laboratory) -> InstanceId {
    let (vswitch, group) = lab.network(HANGZHOU).await;
    let request = RunInstances {
        region_id: region(HANGZHOU),
        image_family: Some("debian-12".into()),
        instance_type: Some("ecs.g7.large".into()),
        vswitch_id: Some(vswitch.parse().unwrap()),
        security_group_id: Some(group.parse().unwrap()),
        ..RunInstances::default()
    };
    let made = ask(lab, HANGZHOU, &request).await;
    let id = made.instance_id_sets.instance_id_set[0].clone();
    let request = DescribeInstances {
        region_id: region(HANGZHOU),
        instance_ids: Some([id.clone()].into_iter().collect()),
        ..DescribeInstances::default()
    };
    let status = async || {
        let found = ask(lab, HANGZHOU, &request).await.instances.instance;
        found[0].status.clone()
    };
    while status().await != InstanceStatus::Running {
        tokio::task::yield_now().await;
    }
    id
}

#[test]
fn a_network_of_its_own_is_made_where_none_is_named() {
    laboratory(async |lab| {
        succeeds(&lab, &template(DEBIAN, "")).await;
        let vpcs = asked(&lab, "CreateVpc").await;
        assert_eq!(vpcs.len(), 1);
        assert_eq!(vpcs[0]["Tag.1.Key"], "darkroom:run");
        let policy = asked(&lab, "ModifySecurityGroupPolicy").await;
        assert_eq!(policy[0]["InnerAccessPolicy"], "Drop");
        assert!(asked(&lab, "AuthorizeSecurityGroup").await.is_empty());
        // Both instances were in its one vSwitch; nothing of it is left.
        assert_eq!(asked(&lab, "CreateVSwitch").await.len(), 1);
        let instances = asked(&lab, "RunInstances").await;
        assert_eq!(instances.len(), 2);
        assert_eq!(instances[0]["VSwitchId"], instances[1]["VSwitchId"]);
        assert_eq!(billed(&lab).await, images_only(1, 1));

        let (vswitch, group) = lab.network(HANGZHOU).await;
        for named in [
            format!("vswitch: {vswitch}"),
            format!("security-group: {group}"),
        ] {
            succeeds(
                &lab,
                &template(DEBIAN, &format!("instance: {{ {named} }}\n")),
            )
            .await;
        }
        assert_eq!(asked(&lab, "CreateVpc").await.len(), 1);
        let deleted = asked(&lab, "DeleteVSwitch").await;
        assert_eq!(deleted.len(), 1);
        let last = asked(&lab, "RunInstances").await;
        assert_eq!(last[5]["VSwitchId"], vswitch.as_str());
        assert_eq!(last[5]["SecurityGroupId"], group.as_str());

        let error = fails(&lab, &template(DEBIAN, "instance: { vswitch: vsw-none }\n")).await;
        assert!(
            error.contains("vSwitch vsw-none: there is none in cn-hangzhou"),
            "{error}"
        );
        assert!(
            error.contains("leave it out to have a temporary network"),
            "{error}"
        );
    });
}

#[test]
fn another_zone_is_tried_with_a_vswitch_of_its_own() {
    laboratory(async |lab| {
        // Sold out between the look and the request, as it happens.
        lab.admin(
            "PUT",
            "/-/faults",
            json!({ "rules": [{
                "action": "RunInstances", "params": { "ZoneId": "cn-hangzhou-a" },
                "fault": { "refuse": { "code": "OperationDenied.NoStock", "message": "sold out", "status": 403 } },
            }] }),
        )
        .await;
        let (outcome, events) = succeeds(&lab, &template(DEBIAN, "")).await;
        assert_eq!(
            outcome.manifest.instance_type.as_deref(),
            Some("ecs.e-c1m1.large")
        );
        let zones: Vec<_> = asked(&lab, "CreateVSwitch").await;
        assert_eq!(zones[0]["ZoneId"], "cn-hangzhou-a");
        assert_eq!(zones[1]["ZoneId"], "cn-hangzhou-b");
        assert_ne!(zones[0]["CidrBlock"], zones[1]["CidrBlock"]);
        assert!(
            warnings(&events)
                .iter()
                .any(|text| text.contains("out of stock in cn-hangzhou-a"))
        );
        assert_eq!(billed(&lab).await, images_only(1, 1));
    });
}

#[test]
fn the_smallest_and_cheapest_type_in_stock_is_taken_or_the_first_named() {
    laboratory(async |lab| {
        let kind = async |more: &str| {
            let (outcome, _) = succeeds(&lab, &template(DEBIAN, more)).await;
            outcome.manifest.instance_type.unwrap()
        };
        assert_eq!(kind("").await, "ecs.e-c1m1.large");
        let sold_out = |names: &[&str]| {
            let line = |name: &&str| json!({ "instance_type": name, "available": false });
            json!({ "stock": names.iter().map(line).collect::<Vec<_>>() })
        };
        let gone = sold_out(&["ecs.e-c1m1.large"]);
        lab.admin("PUT", "/-/sim", gone).await;
        // Of those with 2 vCPUs and 4 GiB the cheapest.
        assert_eq!(kind("").await, "ecs.e-c1m2.large");
        let gone = sold_out(&["ecs.g7.large"]);
        lab.admin("PUT", "/-/sim", gone).await;
        let named = "instance: { type: [ecs.g7.large, ecs.r7.large, ecs.c7.large] }\n";
        assert_eq!(kind(named).await, "ecs.r7.large");
        let none = "instance: { type: ecs.g7.large }\n";
        let error = fails(&lab, &template(DEBIAN, none)).await;
        assert!(
            error.contains("instance type ecs.g7.large: none is in stock"),
            "{error}"
        );
        let spot = "instance: { spot: true, internet: 10 }\n";
        kind(spot).await;
        let asked = asked(&lab, "RunInstances").await;
        let last = asked.last().unwrap();
        assert_eq!(last["SpotStrategy"], "SpotAsPriceGo");
        assert_eq!(last["InternetMaxBandwidthOut"], "10");
        assert_eq!(last["InternetChargeType"], "PayByTraffic");
        assert!(asked[0]["InternetMaxBandwidthOut"].is_null());
    });
}

/// Images without agent: one that `InstallCloudAssistant` brings, one that only user data
/// can bring, one for which nobody knows a way.
async fn bare(lab: &Laboratory) {
    let base = |name: &str, platform: &str, architecture: &str| {
        json!({ "name": name, "os_name": format!("{platform} 9"), "platform": platform,
            "architecture": architecture, "agent": "none" })
    };
    let bases = json!({ "bases": [
        base("bare", "Debian", "x86_64"),
        base("bare-rhel", "RedHat", "x86_64"),
        base("bare-arm", "RedHat", "arm64"),
    ] });
    lab.admin("PUT", "/-/sim", bases).await;
}

#[test]
fn an_agent_is_brought_where_the_image_has_none() {
    laboratory(async |lab| {
        bare(&lab).await;
        succeeds(&lab, &template("family: bare", "")).await;
        assert_eq!(asked(&lab, "InstallCloudAssistant").await.len(), 1);
        assert_eq!(asked(&lab, "RunInstances").await.len(), 2);

        succeeds(&lab, &template("family: bare-rhel", "")).await;
        let made = asked(&lab, "RunInstances").await;
        // Without and with user data to build on, and one to test.
        assert_eq!(made.len(), 5);
        assert!(made[2]["UserData"].is_null());
        assert!(!made[3]["UserData"].is_null());

        let error = fails(&lab, &template("family: bare-arm", "")).await;
        assert!(error.contains("has no Cloud Assistant agent"), "{error}");
        assert!(
            error.contains("install the agent into the image"),
            "{error}"
        );
        assert_eq!(billed(&lab).await, images_only(2, 2));
    });
}

#[test]
fn an_instance_is_built_from_as_it_is() {
    laboratory(async |lab| {
        let id = foreign_instance(&lab).await;
        let before = billed(&lab).await;
        let (outcome, _) = succeeds(&lab, &template(&format!("instance: {id}"), "")).await;
        let source = outcome.manifest.source.unwrap();
        assert_eq!(source.platform, "Debian");
        // It was neither stopped nor started, and the image of it is gone.
        for action in ["StopInstance", "RebootInstance", "StartInstance"] {
            let touched = asked(&lab, action).await;
            let mine = touched
                .iter()
                .filter(|one| one["InstanceId"] == id.as_str());
            assert_eq!(mine.count(), 0, "{action}");
        }
        let mut after = before.clone();
        after.extend(images_only(1, 1));
        assert_eq!(billed(&lab).await, after);

        let error = fails(&lab, &template("instance: i-none", "")).await;
        assert!(
            error.contains("source instance i-none: there is none"),
            "{error}"
        );
    });
}

#[test]
fn a_snapshot_is_built_from() {
    laboratory(async |lab| {
        let id = foreign_instance(&lab).await;
        let request = DescribeDisks {
            region_id: region(HANGZHOU),
            instance_id: Some(id),
            ..DescribeDisks::default()
        };
        let disk = ask(&lab, HANGZHOU, &request).await.disks.disk.remove(0);
        let request = CreateSnapshot {
            disk_id: disk.disk_id,
            client_token: Some("mine".into()),
            ..CreateSnapshot::default()
        };
        let mine: SnapshotId = ask(&lab, HANGZHOU, &request).await.snapshot_id;
        let (outcome, _) = succeeds(&lab, &template(&format!("snapshot: {mine}"), "")).await;
        assert_eq!(outcome.manifest.source.unwrap().platform, "Debian");
        // The template's own snapshot stays; the temporary image is gone.
        assert_eq!(images(&lab, HANGZHOU).await.len(), 1);
        let left = snapshots(&lab, HANGZHOU).await;
        assert!(left.iter().any(|one| one.snapshot_id == mine));
        assert_eq!(left.len(), 2);

        let error = fails(&lab, &template("snapshot: s-none", "")).await;
        assert!(
            error.contains("source snapshot s-none: there is none"),
            "{error}"
        );
    });
}

#[test]
fn data_disks_are_in_the_image_and_its_copies() {
    laboratory(async |lab| {
        let more = format!(
            "instance: {{ disks: [ {{ size: 20 }}, {{ size: 40, category: cloud_ssd }} ] }}\n\
             distribute: {{ regions: [{HANGZHOU}, {BEIJING}] }}\n"
        );
        succeeds(&lab, &template(DEBIAN, &more)).await;
        let made = asked(&lab, "RunInstances").await;
        assert_eq!(made[0]["DataDisk.1.Size"], "20");
        assert_eq!(made[0]["DataDisk.2.Category"], "cloud_ssd");
        assert_eq!(made[0]["DataDisk.2.DeleteWithInstance"], "true");
        assert!(made[1]["DataDisk.1.Size"].is_null());
        for place in [HANGZHOU, BEIJING] {
            let image = &images(&lab, place).await[0];
            let disks = &image.disk_device_mappings.disk_device_mapping;
            let sizes: Vec<_> = disks.iter().map(|disk| disk.size.as_str()).collect();
            assert_eq!(sizes, ["20", "20", "40"], "{place}");
            for snapshot in snapshots(&lab, place).await {
                let tags = &snapshot.tags;
                assert_eq!(tags.get("darkroom:template"), Some("web"));
                assert_eq!(tags.get("darkroom:run"), image.tags.get("darkroom:run"));
            }
        }
        assert_eq!(billed(&lab).await, images_only(2, 6));
    });
}

#[test]
fn the_newest_images_of_a_template_stay() {
    laboratory(async |lab| {
        let text = template(DEBIAN, "retain: { keep: 2 }\n");
        let other = text.replace("name: web", "name: other");
        succeeds(&lab, &other).await;
        let mut made = Vec::new();
        for number in 0..4 {
            let (outcome, events) = succeeds(&lab, &text).await;
            made.push(outcome.manifest.regions[0].image.clone().unwrap());
            if number == 1 {
                // Whoever shares an image keeps it.
                let request = ModifyImageSharePermission {
                    region_id: region(HANGZHOU),
                    image_id: made[0].parse().unwrap(),
                    add_account: vec![lab.service.accounts()[1].id.clone()],
                    ..ModifyImageSharePermission::default()
                };
                ask(&lab, HANGZHOU, &request).await;
            }
            if number >= 2 {
                let said = warnings(&events).join("\n");
                assert!(said.contains(&format!("image {} stays", made[0])), "{said}");
            }
        }
        let mut left: Vec<_> = images(&lab, HANGZHOU)
            .await
            .into_iter()
            .filter(|image| image.tags.get("darkroom:template") == Some("web"))
            .map(|image| image.image_id.to_string())
            .collect();
        left.sort();
        let mut wanted = vec![made[0].clone(), made[2].clone(), made[3].clone()];
        wanted.sort();
        assert_eq!(left, wanted);
        // One that was deleted has taken its snapshot with it.
        assert_eq!(billed(&lab).await, images_only(4, 4));
    });
}

#[test]
fn an_image_that_fails_its_tests_is_deleted_where_the_template_says_so() {
    laboratory(async |lab| {
        lab.script(json!([{ "match": "check the page", "exit_code": 1 }]))
            .await;
        let test = "test:\n  - run: check the page\n";
        for (more, left) in [
            ("on-test-failure: delete\n", images_only(0, 0)),
            ("", images_only(1, 1)),
        ] {
            let (outcome, _) = lab.build(&template(DEBIAN, &format!("{test}{more}"))).await;
            let manifest = outcome.manifest;
            assert_eq!(manifest.status, Status::TestFailed);
            assert_eq!(manifest.regions.is_empty(), left.is_empty());
            assert_eq!(billed(&lab).await, left, "{more}");
        }
        let kept = &images(&lab, HANGZHOU).await[0];
        assert_eq!(kept.tags.get("darkroom:failed"), Some("true"));
        assert_eq!(kept.image_family, "");
    });
}

#[test]
fn a_build_on_an_image_whose_name_is_taken_makes_nothing() {
    laboratory(async |lab| {
        let id = foreign_instance(&lab).await;
        let request = CreateImage {
            region_id: region(HANGZHOU),
            instance_id: Some(id),
            image_name: Some("taken".into()),
            ..CreateImage::default()
        };
        let image = ask(&lab, HANGZHOU, &request).await.image_id;
        let text = template(DEBIAN, "image: { name: taken }\n");
        let error = fails(&lab, &text).await;
        assert!(
            error.contains("image name taken: it is taken in cn-hangzhou"),
            "{error}"
        );
        assert!(asked(&lab, "CreateVpc").await.is_empty());
        let request = DescribeImages {
            region_id: region(HANGZHOU),
            image_id: Some(CommaList(vec![image])),
            status: Some(CommaList(vec![
                ImageStatus::Creating,
                ImageStatus::Available,
            ])),
            ..DescribeImages::default()
        };
        assert_eq!(ask(&lab, HANGZHOU, &request).await.images.image.len(), 1);
    });
}
