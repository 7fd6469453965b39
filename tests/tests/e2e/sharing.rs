//! Who sees an image, and from when on: nobody else before its tests have passed, and
//! another account only after the share, in each region by itself.

use darkroom_ecs::client::Client;
use darkroom_tests::house::{House, reached, sandbox_can_run, wait_for};
use serde_json::Value;

use crate::support::{HERE, Machine, THERE, Told, call, image_in, refused, run};

/// The second account, which has its own key.
const SECOND: &str = "2000000000000002";

/// The tester holds the run until somebody makes a file on the test instance.
fn template() -> String {
    format!(
        "\
name: shared
source: {{ family: debian-12 }}
repair: none
build:
  - run: echo shared > /srv/word
test:
  - uses: darkroom:shell
    with: {{ test: 'until [ -e /run/go ]; do sleep 0.05; done' }}
image: {{ family: shared }}
checkpoint: false
distribute: {{ regions: [{HERE}, {THERE}], accounts: ['{SECOND}'] }}
"
    )
}

async fn seen(client: &Client, region: &str, image: &str) -> u64 {
    let id = [("ImageId", image)];
    let told = call(client, region, "DescribeImages", &id).await;
    told.unwrap()["TotalCount"].as_u64().unwrap()
}

/// That an account can't find, boot, copy or share an image, nor get it by its family.
async fn is_hidden(client: &Client, region: &str, image: &str) {
    assert_eq!(seen(client, region, image).await, 0);
    let id = ("ImageId", image);
    let run = [id, ("InstanceType", "ecs.g7.large")];
    let asked = call(client, region, "RunInstances", &run).await;
    assert_eq!(refused(asked), "InvalidImageId.NotFound");
    let copy = [id, ("DestinationRegionId", "cn-beijing")];
    let asked = call(client, region, "CopyImage", &copy).await;
    assert_eq!(refused(asked), "InvalidImageId.NotFound");
    let share = [id, ("AddAccount.1", SECOND)];
    let asked = call(client, region, "ModifyImageSharePermission", &share).await;
    assert_eq!(refused(asked), "InvalidImageId.NotFound");
    assert_eq!(newest(client, region).await, Value::Null);
}

/// The newest image of the family, as an account sees it.
async fn newest(client: &Client, region: &str) -> Value {
    let family = [("ImageFamily", "shared")];
    let told = call(client, region, "DescribeImageFromFamily", &family).await;
    told.unwrap()["Image"]["ImageId"].clone()
}

/// The id of the image that is being tested, and of the instance that it is tested on.
async fn in_test(client: &Client) -> (String, String) {
    let begun = std::time::Instant::now();
    loop {
        let told = call(client, HERE, "DescribeInvocations", &[])
            .await
            .unwrap();
        let all = told["Invocations"]["Invocation"].as_array().unwrap();
        let held = all.iter().find(|one| one["CommandName"] == "run the test");
        if let Some(held) = held {
            let instance = held["InvokeInstances"]["InvokeInstance"][0]["InstanceId"].clone();
            let own = [("ImageOwnerAlias", "self")];
            let images = call(client, HERE, "DescribeImages", &own).await.unwrap();
            let image = images["Images"]["Image"][0]["ImageId"].clone();
            let text = |value: Value| value.as_str().unwrap().to_owned();
            return (text(image), text(instance));
        }
        assert!(begun.elapsed().as_secs() < 60, "no test has begun");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_sees_an_image_after_its_tests_and_the_share() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let file = house.write("image.yaml", &template());
    let hit = house.path("copying");
    let build = house.start_armed(&["build", file.to_str().unwrap()], "engine.copy", &hit);
    // The cloud's accounts are made when it first starts.
    wait_for("accounts", || {
        house.local().join("accounts.json").exists().then_some(())
    });
    let (first, second) = (house.client(0), house.client(1));

    // While it is being tested.
    let (image, instance) = in_test(&first).await;
    assert_eq!(seen(&first, HERE, &image).await, 1, "its owner sees it");
    is_hidden(&second, HERE, &image).await;
    assert_eq!(
        newest(&first, HERE).await,
        Value::Null,
        "it is in no family"
    );
    let shown = run(&house, &["image", "show", &image, "--account", "second"]).exits(2);
    shown.says(&["there is no image", "--account"]);
    Machine::of(&first, HERE, &instance)
        .sh("touch /run/go")
        .await;

    // Tested, and on its way to the other region.
    reached("engine.copy", &hit);
    let own = [
        ("ImageOwnerAlias", "self"),
        ("Status", "Creating,Waiting,Available"),
    ];
    let copies = call(&first, THERE, "DescribeImages", &own).await.unwrap();
    let copy = copies["Images"]["Image"][0]["ImageId"]
        .as_str()
        .unwrap()
        .to_owned();
    is_hidden(&second, THERE, &copy).await;
    std::fs::remove_file(&hit).unwrap();

    let ended = Told::of(build.wait_with_output().unwrap());
    assert_eq!(
        ended.code,
        0,
        "{}",
        std::fs::read_to_string(house.path("armed.log")).unwrap()
    );
    let manifest = house.manifest();
    assert_eq!(
        (image_in(&manifest, HERE), image_in(&manifest, THERE)),
        (image, copy)
    );
    for region in [HERE, THERE] {
        let image = image_in(&manifest, region);
        assert_eq!(seen(&second, region, &image).await, 1);
        assert_eq!(newest(&first, region).await, image.as_str());
        let shown = [
            "image",
            "show",
            &image,
            "--account",
            "second",
            "--region",
            region,
        ];
        assert!(run(&house, &shown).exits(0).out.contains("shared"));
        let machine = Machine::boot(second.clone(), region, &image).await;
        assert_eq!(machine.sh("cat /srv/word").await, "shared\n");
        // The instance is the second account's, and so is what it costs.
        let ledger = house.admin("/-/ledger").to_string();
        assert!(
            ledger.contains(&machine.instance) && ledger.contains(SECOND),
            "{ledger}"
        );
        machine.delete().await;
        let nowhere = [HERE, THERE].iter().find(|one| **one != region).unwrap();
        assert_eq!(
            seen(&second, nowhere, &image).await,
            0,
            "in its own region only"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_fails_fails_alone() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = template().replace("until [ -e /run/go ]; do sleep 0.05; done", "true");
    let file = house.write("image.yaml", &template);
    let hit = house.path("copying");
    let build = house.start_armed(&["build", file.to_str().unwrap()], "engine.copy", &hit);
    reached("engine.copy", &hit);
    // Somebody deletes the copy with its snapshot while the run holds its breath.
    let first = house.client(0);
    let own = [
        ("ImageOwnerAlias", "self"),
        ("Status", "Creating,Waiting,Available"),
    ];
    let copies = call(&first, THERE, "DescribeImages", &own).await.unwrap();
    let copy = copies["Images"]["Image"][0]["ImageId"].as_str().unwrap();
    let id = [("ImageId", copy)];
    let begun = std::time::Instant::now();
    while call(&first, THERE, "DeleteImage", &id).await.is_err() {
        assert!(begun.elapsed().as_secs() < 60, "the copy can't be deleted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let snapshots = call(&first, THERE, "DescribeSnapshots", &[]).await.unwrap();
    let snapshot = snapshots["Snapshots"]["Snapshot"][0]["SnapshotId"].as_str();
    let id = [("SnapshotId", snapshot.unwrap())];
    call(&first, THERE, "DeleteSnapshot", &id).await.unwrap();
    std::fs::remove_file(&hit).unwrap();

    let ended = Told::of(build.wait_with_output().unwrap()).exits(7);
    drop(ended);
    let said = std::fs::read_to_string(house.path("armed.log")).unwrap();
    assert!(
        said.contains(&format!("image {copy} in {THERE}: it is gone")),
        "{said}"
    );
    let manifest = house.manifest();
    assert_eq!(manifest["status"], "PARTITION_SUCCESS");
    let here = &manifest["regions"][0];
    assert_eq!(
        (&here["region"], &here["family"]),
        (&HERE.into(), &"shared".into())
    );
    assert_eq!(here["error"], Value::Null);
    let there = &manifest["regions"][1];
    assert_eq!(
        (&there["region"], &there["image"]),
        (&THERE.into(), &Value::Null)
    );
    assert!(
        there["error"].as_str().unwrap().contains("it is gone"),
        "{there}"
    );
    let second = house.client(1);
    assert_eq!(
        seen(&second, HERE, here["image"].as_str().unwrap()).await,
        1
    );
    let billed = crate::support::billed(&house);
    assert!(billed.iter().all(|one| one.contains(HERE)), "{billed:?}");
    assert_eq!(billed.len(), 2, "{billed:?}");
}
