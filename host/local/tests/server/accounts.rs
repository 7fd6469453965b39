//! Who asks, what an account may have, and answers that are planted.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use serde_json::json;

use super::support::{User, World};

async fn attribute(user: &User, name: &str) -> String {
    let asked = DescribeAccountAttributes {
        region_id: user.region.clone(),
        attribute_name: vec![name.to_owned()],
        ..DescribeAccountAttributes::default()
    };
    let items = user.ok(&asked).await.account_attribute_items;
    let [item] = <[_; 1]>::try_from(items.account_attribute_item).unwrap();
    assert_eq!(item.attribute_name, name);
    item.attribute_values.value_item[0].value.clone()
}

#[tokio::test]
async fn an_account_is_told_who_it_is() {
    let world = World::new().await;
    let user = world.first();
    let who = user.ok(&GetCallerIdentity::default()).await;
    let id = world.service.accounts()[0].id.to_string();
    assert_eq!(who.account_id, id);
    assert_eq!(who.arn, format!("acs:ram::{id}:root"));
}

#[tokio::test]
async fn a_quota_of_vcpus_is_shown_and_kept() {
    let world = World::new().await;
    let user = world.first();
    let (status, answer) = world.admin("PUT", "quotas", "{\"vcpus\": 3}").await;
    assert_eq!(status, 200, "{answer}");
    user.run().await;
    assert_eq!(
        attribute(&user, "max-postpaid-instance-vcpu-count").await,
        "3"
    );
    assert_eq!(
        attribute(&user, "used-postpaid-instance-vcpu-count").await,
        "2"
    );
    // Of another account nothing is counted.
    let other = world.user(1, "cn-hangzhou");
    assert_eq!(
        attribute(&other, "used-postpaid-instance-vcpu-count").await,
        "0"
    );
    let wish = user.wish().await;
    assert_eq!(
        user.refused(&wish).await,
        ErrorCode::QuotaExceedElasticQuota
    );
    world.admin("PUT", "quotas", "{\"vcpus\": 4}").await;
    let dry = RunInstances {
        dry_run: Some(true),
        ..wish
    };
    assert_eq!(user.refused(&dry).await, ErrorCode::DryRunOperation);
    let (status, _) = world.admin("PUT", "quotas", "{\"cpus\": 4}").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_group_is_shown_and_an_answer_can_be_planted() {
    let world = World::new().await;
    let user = world.first();
    let (_, group) = user.network().await;
    let asked = DescribeSecurityGroupAttribute {
        region_id: user.region.clone(),
        security_group_id: group.clone(),
        direction: Some("egress".to_owned()),
    };
    let shown = user.ok(&asked).await;
    assert_eq!(shown.security_group_id, group);
    assert_eq!(shown.inner_access_policy, "Accept");
    assert_eq!(shown.permissions, Permissions::default());
    let gateways = DescribeNatGateways {
        region_id: user.region.clone(),
        ..DescribeNatGateways::default()
    };
    assert_eq!(user.ok(&gateways).await.total_count, 0);
    let body = json!({ "NatGateways": { "NatGateway": [ { "NatGatewayId": "ngw-1" } ] } });
    let fault = json!({ "answer": { "body": body } });
    let plan =
        json!({ "rules": [{ "action": "DescribeNatGateways", "times": 1, "fault": fault }] });
    world.admin("PUT", "faults", &plan.to_string()).await;
    let planted = user.ok(&gateways).await.nat_gateways.nat_gateway;
    assert_eq!(planted[0].nat_gateway_id, "ngw-1");
    assert_eq!(
        user.ok(&gateways).await.nat_gateways,
        NatGateways::default()
    );
}
