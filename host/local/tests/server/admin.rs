//! The admin API.

use darkroom_ecs::action::*;
use darkroom_ecs::http::HttpRequest;

use crate::support::{World, until};

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let world = World::new().await;
    for header in [None, Some("Bearer wrong"), Some("Basic x")] {
        let answer = world
            .service
            .call(HttpRequest {
                method: "GET".into(),
                scheme: "http".into(),
                authority: "localhost".into(),
                target: "/-/ping".into(),
                headers: header
                    .map(|value| ("authorization".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                body: bytes::Bytes::new(),
            })
            .await;
        assert_eq!(answer.status, 401);
    }
    let (status, answer) = world.admin("GET", "ping", "").await;
    assert_eq!(status, 200);
    assert_eq!(answer["protocol"], 1);
    assert_eq!(answer["driver"], "sim");
    assert_eq!(world.admin("POST", "ping", "").await.0, 405);
    assert_eq!(world.admin("GET", "nothing", "").await.0, 404);
}

#[tokio::test]
async fn requests_are_recorded_in_order_with_their_ends() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let start = StartInstance {
        instance_id: id,
        ..Default::default()
    };
    user.refused(&start).await;
    let (_, answer) = world.admin("GET", "requests", "").await;
    let requests = answer["requests"].as_array().unwrap();
    let named = |name: &str| {
        let found = requests.iter().find(|request| request["action"] == name);
        found.unwrap_or_else(|| panic!("{name} is not recorded"))
    };
    assert_eq!(named("RunInstances")["status"], 200);
    assert_eq!(
        named("RunInstances")["params"]["InstanceType"],
        "ecs.e-c1m1.large"
    );
    assert_eq!(named("RunInstances")["region"], "cn-hangzhou");
    assert_eq!(named("StartInstance")["status"], 403);
    assert_eq!(named("StartInstance")["code"], "IncorrectInstanceStatus");
    assert_eq!(named("StartInstance")["signature"], "ACS3");
    let last = answer["next"].as_i64().unwrap();
    let (_, rest) = world
        .admin("GET", &format!("requests?after={last}"), "")
        .await;
    assert_eq!(rest["requests"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_reset_leaves_accounts_only() {
    let world = World::new().await;
    let user = world.first();
    user.make_image("web").await;
    let id = user.run().await;
    let (status, answer) = world.admin("POST", "reset", "").await;
    assert_eq!(status, 409);
    assert!(
        answer["error"].as_str().unwrap().contains("instance"),
        "{answer}"
    );
    let (status, _) = world.admin("POST", "reset", "{\"force\": true}").await;
    assert_eq!(status, 200);
    assert!(user.instance(&id).await.is_none());
    let (_, answer) = world.admin("GET", "status", "").await;
    assert_eq!(answer["images"], 0);
    assert_eq!(answer["snapshots"], 0);
    assert_eq!(answer["jobs"].as_array().unwrap().len(), 0);
    let (_, ledger) = world.admin("GET", "ledger?all=true", "").await;
    assert_eq!(ledger["entries"].as_array().unwrap().len(), 0);
    // And it works on.
    user.run().await;
    until(async || world.billed("instance").await.len() == 1).await;
}

#[tokio::test]
async fn a_plan_that_cannot_be_understood_is_refused() {
    let world = World::new().await;
    for body in [
        "{\"rules\": [{\"match\": \"(\"}]}",
        "{\"nonsense\": 1}",
        "{",
    ] {
        assert_eq!(world.admin("PUT", "sim", body).await.0, 400, "{body}");
    }
}
