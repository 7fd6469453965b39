//! Networks that somebody asks for, and what is in their way when they go.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{SecurityGroupId, VSwitchId, VpcId};
use darkroom_ecs::params::to_params;

use super::support::{User, World};

struct Network {
    vpc: VpcId,
    vswitch: VSwitchId,
    group: SecurityGroupId,
}

fn wanted(user: &User, token: &str) -> CreateVpc {
    CreateVpc {
        region_id: user.region.clone(),
        vpc_name: Some("mine".into()),
        tag: vec![Tag {
            key: "for".into(),
            value: "me".into(),
        }],
        client_token: Some(token.into()),
        ..CreateVpc::default()
    }
}

/// The first half of the first half of a VPC's addresses, and so on.
fn part(range: &str, length: u8) -> String {
    format!("{}/{length}", range.split('/').next().unwrap())
}

async fn vpc(user: &User, id: &VpcId) -> Option<Vpc> {
    let asked = DescribeVpcs {
        region_id: user.region.clone(),
        vpc_id: Some(id.to_string()),
        ..DescribeVpcs::default()
    };
    user.ok(&asked).await.vpcs.vpc.into_iter().next()
}

async fn make(user: &User) -> Network {
    let made = user.ok(&wanted(user, "t")).await.vpc_id;
    let found = vpc(user, &made).await.unwrap();
    let vswitch = CreateVSwitch {
        zone_id: "cn-hangzhou-b".parse().unwrap(),
        cidr_block: part(&found.cidr_block, 24),
        vpc_id: made.clone(),
        ..CreateVSwitch::default()
    };
    let group = CreateSecurityGroup {
        region_id: user.region.clone(),
        vpc_id: Some(made.clone()),
        security_group_name: Some("mine".into()),
        ..CreateSecurityGroup::default()
    };
    Network {
        vswitch: user.ok(&vswitch).await.vswitch_id,
        group: user.ok(&group).await.security_group_id,
        vpc: made,
    }
}

#[tokio::test]
async fn an_instance_lives_in_a_network_of_its_own_which_goes_last() {
    let world = World::new().await;
    let user = world.first();
    let net = make(&user).await;
    let id = user
        .run_as(&RunInstances {
            vswitch_id: Some(net.vswitch.clone()),
            security_group_id: Some(net.group.clone()),
            ..user.wish().await
        })
        .await;
    let seen = user.instance(&id).await.unwrap();
    assert_eq!(seen.vpc_attributes.vpc_id, net.vpc);
    assert_eq!(seen.zone_id.as_str(), "cn-hangzhou-b");
    let whole = vpc(&user, &net.vpc).await.unwrap().cidr_block;
    let first: Vec<&str> = whole.split('.').take(3).collect();
    let address = &seen.vpc_attributes.private_ip_address.ip_address[0];
    assert!(
        address.starts_with(&format!("{}.", first.join("."))),
        "{address} {whole}"
    );

    let group = DeleteSecurityGroup {
        region_id: user.region.clone(),
        security_group_id: net.group.clone(),
    };
    let vswitch = DeleteVSwitch {
        vswitch_id: net.vswitch.clone(),
        ..DeleteVSwitch::default()
    };
    let whole = DeleteVpc {
        vpc_id: net.vpc.clone(),
        ..DeleteVpc::default()
    };
    for refused in [user.refused(&group).await, user.refused(&vswitch).await] {
        assert!(refused.as_str().starts_with("DependencyViolation"));
    }
    assert_eq!(
        user.refused(&whole).await,
        ErrorCode::DependencyViolationVSwitch
    );
    user.delete(&id).await;
    user.ok(&vswitch).await;
    assert_eq!(
        user.refused(&whole).await,
        ErrorCode::DependencyViolationSecurityGroup
    );
    for (kind, id) in [
        ("vpc", net.vpc.as_str()),
        ("securitygroup", net.group.as_str()),
    ] {
        assert_eq!(world.billed(kind).await, [id]);
    }
    user.ok(&group).await;
    user.ok(&whole).await;
    assert_eq!(user.refused(&whole).await, ErrorCode::InvalidVpcIdNotFound);
    for kind in ["vpc", "vswitch", "securitygroup"] {
        assert!(world.billed(kind).await.is_empty(), "{kind}");
    }
    // The default ones are there, though nobody has asked for them.
    user.run().await;
}

#[tokio::test]
async fn what_a_network_may_not_be_is_said() {
    let world = World::new().await;
    let user = world.first();
    let net = make(&user).await;
    assert_eq!(user.ok(&wanted(&user, "t")).await.vpc_id, net.vpc);
    let other = CreateVpc {
        vpc_name: Some("other".into()),
        ..wanted(&user, "t")
    };
    assert_eq!(
        user.refused(&other).await,
        ErrorCode::IdempotentParameterMismatch
    );
    let found = vpc(&user, &net.vpc).await.unwrap();
    assert_eq!(found.vswitch_ids.vswitch_id, [net.vswitch]);
    let vswitch = |range: String| CreateVSwitch {
        zone_id: "cn-hangzhou-a".parse().unwrap(),
        cidr_block: range,
        vpc_id: net.vpc.clone(),
        ..CreateVSwitch::default()
    };
    let overlapping = vswitch(part(&found.cidr_block, 25));
    assert_eq!(
        user.refused(&overlapping).await,
        ErrorCode::InvalidCidrBlockOverlapped
    );
    for bad in ["everything", "8.8.8.0/24", "8.8.8.0/33"] {
        assert_eq!(
            user.refused(&vswitch(bad.into())).await,
            ErrorCode::InvalidCidrBlockMalformed,
            "{bad}"
        );
    }
    let nowhere = CreateVSwitch {
        zone_id: "cn-hangzhou-z".parse().unwrap(),
        ..overlapping
    };
    assert_eq!(
        user.refused(&nowhere).await,
        ErrorCode::InvalidZoneIdNotFound
    );
    let dry = CreateVpc {
        dry_run: Some(true),
        ..wanted(&user, "dry")
    };
    assert_eq!(user.refused(&dry).await, ErrorCode::DryRunOperation);
    // Another account sees nothing of it.
    let stranger = world.user(1, "cn-hangzhou");
    assert!(vpc(&stranger, &net.vpc).await.is_none());
    assert_eq!(
        stranger
            .refused(&DeleteVpc {
                vpc_id: net.vpc.clone(),
                ..DeleteVpc::default()
            })
            .await,
        ErrorCode::InvalidVpcIdNotFound
    );
}

#[tokio::test]
async fn networks_are_found_by_tag_and_by_ecs_old_version_too() {
    let world = World::new().await;
    let user = world.first();
    let net = make(&user).await;
    let asked = DescribeVpcs {
        region_id: user.region.clone(),
        tag: wanted(&user, "").tag,
        ..DescribeVpcs::default()
    };
    let params = to_params(&asked).unwrap();
    for version in [VPC_VERSION, VERSION] {
        let answer = user
            .client
            .call_raw(&user.region, "DescribeVpcs", version, &params)
            .await
            .unwrap();
        assert_eq!(answer["TotalCount"], 1, "{version}");
        assert_eq!(answer["Vpcs"]["Vpc"][0]["VpcId"], net.vpc.as_str());
    }
    let drop = ModifySecurityGroupPolicy {
        region_id: user.region.clone(),
        security_group_id: net.group,
        inner_access_policy: "Drop".into(),
        ..ModifySecurityGroupPolicy::default()
    };
    user.ok(&drop).await;
}
