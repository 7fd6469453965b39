//! Instances without agent, and how they come by one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::*;
use darkroom_ecs::id::InstanceId;
use darkroom_local::admin::SimChange;

use super::support::{User, World, until};

async fn world() -> World {
    let world = World::new().await;
    let change = serde_json::json!({ "bases": [
        { "name": "bare", "os_name": "Debian 12", "platform": "Debian", "agent": "none" },
        { "name": "bare-rhel", "os_name": "Red Hat 9", "platform": "RedHat", "agent": "none" },
    ] });
    let change: SimChange = serde_json::from_value(change).unwrap();
    world.script(&change).await;
    world
}

async fn lives(user: &User, id: &InstanceId) -> bool {
    let answer = user
        .ok(&DescribeCloudAssistantStatus {
            region_id: user.region.clone(),
            instance_id: vec![id.clone()],
            ..DescribeCloudAssistantStatus::default()
        })
        .await;
    let set = answer.instance_cloud_assistant_status_set;
    set.instance_cloud_assistant_status[0]
        .cloud_assistant_status
        .0
}

async fn install(user: &User, id: &InstanceId) {
    user.ok(&InstallCloudAssistant {
        region_id: user.region.clone(),
        instance_id: vec![id.clone()],
    })
    .await;
    user.ok(&RebootInstance {
        instance_id: id.clone(),
        ..RebootInstance::default()
    })
    .await;
    user.until(id, &InstanceStatus::Running).await;
}

async fn wish(user: &User, family: &str) -> RunInstances {
    RunInstances {
        image_family: Some(family.into()),
        ..user.wish().await
    }
}

#[tokio::test]
async fn an_agent_lives_after_it_was_installed_and_the_instance_started_again() {
    let world = world().await;
    let user = world.first();
    let id = user.run_as(&wish(&user, "bare").await).await;
    assert!(!lives(&user, &id).await);
    let ended = user.command(&id, "echo").await;
    assert_eq!(ended.error_code, "ClientNotRunning");
    install(&user, &id).await;
    until(async || lives(&user, &id).await).await;
    assert_eq!(user.command(&id, "echo").await.error_code, "");
    // It is on the disk, and in its images.
    user.stop(&id).await;
    let made = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            instance_id: Some(id),
            ..CreateImage::default()
        })
        .await;
    user.until_available(&made.image_id).await;
    let id = user
        .run_as(&RunInstances {
            image_family: None,
            image_id: Some(made.image_id),
            ..user.wish().await
        })
        .await;
    until(async || lives(&user, &id).await).await;
}

#[tokio::test]
async fn where_it_cannot_be_installed_user_data_can_bring_it() {
    let world = world().await;
    let user = world.first();
    let id = user.run_as(&wish(&user, "bare-rhel").await).await;
    install(&user, &id).await;
    assert!(!lives(&user, &id).await);
    let script = "#!/bin/sh\ncurl -O https://example.org/aliyun_assist_latest.rpm\n";
    let id = user
        .run_as(&RunInstances {
            user_data: Some(STANDARD.encode(script)),
            ..wish(&user, "bare-rhel").await
        })
        .await;
    until(async || lives(&user, &id).await).await;
}
