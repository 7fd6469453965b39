//! What goes wrong on purpose: requests and jobs that a fault plan is about.

use darkroom_ecs::action::*;
use darkroom_local::fault_plan::FaultPlan;
use serde_json::{Value, json};

use crate::support::{BEIJING, User, World, region, until};

async fn plan(world: &World, rules: Value) {
    let plan = json!({ "seed": 3, "rules": rules }).to_string();
    let (status, answer) = world.admin("PUT", "faults", &plan).await;
    assert_eq!(status, 200, "{answer}");
    let (_, shown) = world.admin("GET", "faults", "").await;
    let read = |text: &str| serde_json::from_str::<FaultPlan>(text).unwrap();
    assert_eq!(read(&shown.to_string()), read(&plan));
}

/// The codes of the requests for an action, in order; none for a success.
async fn codes(world: &World, action: &str) -> Vec<Option<String>> {
    let page = format!("requests?action={action}");
    let (_, found) = world.admin("GET", &page, "").await;
    found["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn requests_that_go_wrong_are_made_again_with_one_effect() {
    let world = World::new().await;
    let user = world.first();
    let wish = RunInstances {
        client_token: Some("once".into()),
        ..user.wish().await
    };
    plan(
        &world,
        json!([
            {"action": "RunInstances", "times": 1, "fault": {"throttle": {"retry_after": 0}}},
            {"action": "RunInstances", "times": 1, "fault": "lose-request"},
            {"action": "RunInstances", "times": 1, "fault": "lose-response"},
            {"action": "RunInstances", "times": 1, "fault": "server-error"},
        ]),
    )
    .await;
    user.run_as(&wish).await;
    assert_eq!(world.billed("instance").await.len(), 1);
    let seen = codes(&world, "RunInstances").await;
    let words = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            words("Throttling.User"),
            words("ServiceUnavailable"),
            None,
            words("InternalError"),
            None
        ]
    );
}

#[tokio::test]
async fn what_is_answered_late_is_done_at_once() {
    let world = World::new().await;
    let user = world.first();
    let late = json!([{"action": "RunInstances", "fault": {"delay-response": 3600.0}}]);
    plan(&world, late).await;
    let wish = user.wish().await;
    let answered = user.run_as(&wish);
    let seen = async {
        while world.billed("instance").await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = answered => unreachable!("it is answered in an hour"),
        () = seen => {}
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_plan_says() {
    let world = World::new().await;
    let user = world.first();
    let expired = json!({"refuse": {
        "status": 403, "code": "InvalidSecurityToken.Expired", "message": "Too old.",
    }});
    plan(
        &world,
        json!([{"action": "DescribeRegions", "after": 1, "fault": expired}]),
    )
    .await;
    let regions = DescribeRegions::default();
    user.ok(&regions).await;
    let code = user.refused(&regions).await;
    assert_eq!(code.to_string(), "InvalidSecurityToken.Expired");
    plan(&world, json!([])).await;
    user.ok(&regions).await;
}

#[tokio::test]
async fn jobs_fail_or_never_end() {
    let world = World::new().await;
    let user = world.first();
    let source = user.make_image("good").await;
    plan(
        &world,
        json!([
            {"job": "create-image", "times": 1, "fault": "fail"},
            {"job": "copy-image", "params": {"RegionId": BEIJING}, "fault": "stuck"},
        ]),
    )
    .await;
    let instance = user.run().await;
    user.stop(&instance).await;
    let made = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            instance_id: Some(instance),
            image_name: Some("bad".into()),
            ..CreateImage::default()
        })
        .await
        .image_id;
    until(async || {
        let image = user.image(&made).await;
        image.is_some_and(|image| image.status == ImageStatus::CreateFailed)
    })
    .await;
    let there = User {
        region: region(BEIJING),
        ..user.clone()
    };
    let stuck = user
        .ok(&user.copy(&source, BEIJING, "stuck"))
        .await
        .image_id;
    let elsewhere = user
        .ok(&user.copy(&source, "cn-shanghai", "fine"))
        .await
        .image_id;
    let shanghai = User {
        region: region("cn-shanghai"),
        ..user.clone()
    };
    shanghai.until_available(&elsewhere).await;
    // Also for the next server.
    let world = world.reopen().await;
    let there = User {
        region: there.region,
        ..world.first()
    };
    assert_eq!(
        there.image(&stuck).await.unwrap().status,
        ImageStatus::Creating
    );
    plan(&world, json!([])).await;
    there.until_available(&stuck).await;
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_changes_nothing() {
    let world = World::new().await;
    plan(
        &world,
        json!([{"action": "*", "times": 0, "fault": "lose-response"}]),
    )
    .await;
    let wrong = json!({"rules": [{"fault": "fail"}]}).to_string();
    let (status, answer) = world.admin("PUT", "faults", &wrong).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("rule 1"),
        "{answer}"
    );
    let (_, shown) = world.admin("GET", "faults", "").await;
    assert_eq!(shown["rules"].as_array().unwrap().len(), 1);
}
