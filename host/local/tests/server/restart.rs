//! A server that ends in the middle, and the next one on the same folder.

use darkroom_ecs::action::*;
use darkroom_local::admin::SimChange;
use darkroom_local::sim::Latencies;

use crate::support::{BEIJING, World, region, until};

/// Every operation takes this long: jobs are in progress when the server ends.
const SLOW: f64 = 1e6;

async fn slow(world: &World, latencies: Latencies) {
    let change = SimChange {
        latencies: Some(latencies),
        ..Default::default()
    };
    world.script(&change).await;
}

#[tokio::test]
async fn what_was_begun_is_finished_by_the_next_server() {
    let world = World::new().await;
    let user = world.first();
    let made = user.make_image("source").await;
    let stopping = user.run().await;
    let rebooting = user.run().await;
    let deleting = user.run().await;
    let imaged = user.run().await;
    user.stop(&imaged).await;
    let boot = user
        .command(&rebooting, "cat /proc/sys/kernel/random/boot_id")
        .await
        .output;
    slow(
        &world,
        Latencies {
            start: SLOW.into(),
            stop: SLOW.into(),
            reboot: SLOW.into(),
            delete: SLOW.into(),
            image: SLOW.into(),
            copy: SLOW.into(),
            ..Default::default()
        },
    )
    .await;
    let starting = user
        .ok(&user.wish().await)
        .await
        .instance_id_sets
        .instance_id_set[0]
        .clone();
    user.ok(&StopInstance {
        instance_id: stopping.clone(),
        ..Default::default()
    })
    .await;
    user.ok(&RebootInstance {
        instance_id: rebooting.clone(),
        ..Default::default()
    })
    .await;
    user.ok(&DeleteInstance {
        instance_id: deleting.clone(),
        force: Some(true),
        ..Default::default()
    })
    .await;
    let image = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            instance_id: Some(imaged.clone()),
            image_name: Some("made".into()),
            ..Default::default()
        })
        .await
        .image_id;
    let copy = user.ok(&user.copy(&made, BEIJING, "copied")).await.image_id;
    let there = world.user(0, BEIJING);
    until(async || {
        there
            .image(&copy)
            .await
            .is_some_and(|seen| seen.status == ImageStatus::Creating)
    })
    .await;
    assert_eq!(
        user.image(&image).await.unwrap().status,
        ImageStatus::Creating
    );
    assert_eq!(
        user.instance(&stopping).await.unwrap().status,
        InstanceStatus::Stopping
    );
    // The next server is slow as well, and dies as well.
    let world = world.reopen().await;
    assert_eq!(
        world.first().instance(&stopping).await.unwrap().status,
        InstanceStatus::Stopping
    );
    slow(&world, Latencies::default()).await;
    let world = world.reopen().await;
    let user = world.first();
    user.until(&starting, &InstanceStatus::Running).await;
    user.until(&stopping, &InstanceStatus::Stopped).await;
    user.until(&rebooting, &InstanceStatus::Running).await;
    user.until_gone(&deleting).await;
    user.until_available(&image).await;
    world.user(0, BEIJING).until_available(&copy).await;
    let again = user
        .command(&rebooting, "cat /proc/sys/kernel/random/boot_id")
        .await
        .output;
    assert_ne!(boot, again);
    let (_, status) = world.admin("GET", "status", "").await;
    assert_eq!(status["jobs"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!(world.billed("instance").await.len(), 4);
    // The copy boots, with nothing left of what it was made of.
    let there = world.user(0, BEIJING);
    let wish = RunInstances {
        image_family: None,
        image_id: Some(copy),
        region_id: region(BEIJING),
        ..there.wish().await
    };
    there.run_as(&wish).await;
}

#[tokio::test]
async fn a_command_that_ran_meanwhile_has_ended() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    slow(
        &world,
        Latencies {
            command: 0.05.into(),
            ..Default::default()
        },
    )
    .await;
    let invoke = user
        .ok(&RunCommand {
            region_id: user.region.clone(),
            r#type: CommandType::Shell,
            command_content: "true".into(),
            instance_id: vec![id],
            ..Default::default()
        })
        .await
        .invoke_id;
    let world = world.reopen().await;
    let result = world.first().result(&invoke).await;
    assert_eq!(result.exit_code, Some(0));
}
