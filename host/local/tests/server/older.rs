//! What older clients ask for: one instance at a time that stays stopped, no network, rules
//! of a security group, a public address.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;

use crate::support::{HANGZHOU, World, region};

fn rule(group: &CreateSecurityGroupResponse) -> AuthorizeSecurityGroup {
    AuthorizeSecurityGroup {
        region_id: region(HANGZHOU),
        security_group_id: group.security_group_id.clone(),
        ip_protocol: Some("all".into()),
        port_range: Some("-1/-1".into()),
        source_cidr_ip: Some("0.0.0.0/0".into()),
        nic_type: Some("internet".into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_image_is_made_without_a_network_being_named() {
    let world = World::new().await;
    let user = world.user(0, HANGZHOU);
    let here = region(HANGZHOU);
    let group = user
        .ok(&CreateSecurityGroup {
            region_id: here.clone(),
            client_token: Some("group".into()),
            ..Default::default()
        })
        .await;
    let rule = rule(&group);
    user.ok(&rule).await;
    user.ok(&rule).await;
    let shown = user
        .ok(&DescribeSecurityGroupAttribute {
            region_id: here.clone(),
            security_group_id: group.security_group_id.clone(),
            direction: Some("ingress".into()),
        })
        .await;
    let [permission] = &shown.permissions.permission[..] else {
        panic!("{shown:?}");
    };
    assert_eq!(permission.ip_protocol, "ALL");
    assert_eq!(permission.source_cidr_ip, "0.0.0.0/0");
    let image = user.wish().await.image_family;
    let image = user
        .ok(&DescribeImageFromFamily {
            region_id: here.clone(),
            image_family: image.unwrap(),
        })
        .await;
    let wish = CreateInstance {
        region_id: here.clone(),
        image_id: image.image.map(|image| image.image_id),
        instance_type: Some("ecs.g7.large".into()),
        security_group_id: Some(group.security_group_id.clone()),
        password: Some("Passw0rd!".into()),
        internet_max_bandwidth_out: Some(5),
        client_token: Some("instance".into()),
        ..Default::default()
    };
    let weak = CreateInstance {
        password: Some("password".into()),
        client_token: None,
        ..wish.clone()
    };
    let code = user.refused(&weak).await;
    assert_eq!(code.as_str(), "InvalidPassword.Malformed");
    let id = user.ok(&wish).await.instance_id;
    // The same token is the same instance, which nobody has started.
    assert_eq!(user.ok(&wish).await.instance_id, id);
    let seen = user.instance(&id).await.unwrap();
    assert_eq!(seen.status, InstanceStatus::Stopped);
    assert_eq!(world.billed("instance").await, [id.to_string()]);
    let ask = AllocatePublicIpAddress {
        region_id: here.clone(),
        instance_id: id.clone(),
    };
    let address = user.ok(&ask).await.ip_address;
    assert_eq!(user.ok(&ask).await.ip_address, address);
    let seen = user.instance(&id).await.unwrap();
    assert_eq!(seen.public_ip_address.ip_address, [address]);
    user.ok(&StartInstance {
        instance_id: id.clone(),
        ..Default::default()
    })
    .await;
    user.until(&id, &InstanceStatus::Running).await;
    let delete = DeleteSecurityGroup {
        region_id: here,
        security_group_id: group.security_group_id,
    };
    let code = user.refused(&delete).await;
    assert_eq!(code, ErrorCode::DependencyViolation);
    user.delete(&id).await;
    user.ok(&delete).await;
    assert_eq!(world.billed("instance").await, [""; 0]);
}
