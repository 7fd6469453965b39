//! Instances from `RunInstances` to `DeleteInstance`.

use std::time::Duration;

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use darkroom_local::admin::SimChange;
use darkroom_local::sim::Rule;
use darkroom_local::state::stock::Stock;

use crate::support::World;

#[tokio::test]
async fn an_instance_lives_and_dies() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let seen = user.instance(&id).await.unwrap();
    assert_eq!(seen.os_name, "Debian 12");
    assert_eq!(seen.vpc_attributes.private_ip_address.ip_address.len(), 1);
    assert_eq!(world.billed("instance").await, [id.to_string()]);
    assert_eq!(world.billed("disk").await.len(), 1);
    let boot = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await;
    assert_eq!(boot.exit_code, Some(0));
    assert_eq!(boot.output.trim().len(), 36);
    user.ok(&RebootInstance {
        instance_id: id.clone(),
        ..Default::default()
    })
    .await;
    user.until(&id, &InstanceStatus::Running).await;
    let again = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await;
    assert_ne!(again.output, boot.output);
    let gently = DeleteInstance {
        instance_id: id.clone(),
        ..Default::default()
    };
    assert_eq!(
        user.refused(&gently).await,
        ErrorCode::IncorrectInstanceStatus
    );
    user.stop(&id).await;
    user.ok(&gently).await;
    user.until_gone(&id).await;
    assert!(world.billed("instance").await.is_empty());
    assert!(world.billed("disk").await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_made_is_said_before_anything_is() {
    let world = World::new().await;
    let user = world.first();
    let wish = user.wish().await;
    let cases: Vec<(RunInstances, &str)> = vec![
        (
            RunInstances {
                image_family: Some("no-such".into()),
                ..wish.clone()
            },
            "InvalidImageId.NotFound",
        ),
        (
            RunInstances {
                instance_type: Some("ecs.none".into()),
                ..wish.clone()
            },
            "InvalidInstanceType.ValueNotSupported",
        ),
        (
            RunInstances {
                instance_type: Some("ecs.g8y.large".into()),
                ..wish.clone()
            },
            "ImageNotSupportInstanceType",
        ),
        (
            RunInstances {
                vswitch_id: Some("vsw-none".parse().unwrap()),
                ..wish.clone()
            },
            "InvalidVSwitchId.NotFound",
        ),
        (
            RunInstances {
                security_group_id: None,
                ..wish.clone()
            },
            "MissingParameter",
        ),
        (
            RunInstances {
                key_pair_name: Some("k".into()),
                ..wish.clone()
            },
            "UnsupportedParameter",
        ),
        (
            RunInstances {
                auto_release_time: Some("2020-01-01T00:00:00Z".into()),
                ..wish.clone()
            },
            "InvalidAutoReleaseTime.Malformed",
        ),
        (
            RunInstances {
                system_disk: Some(SystemDisk {
                    size: Some(10),
                    ..Default::default()
                }),
                ..wish.clone()
            },
            "InvalidSystemDiskSize.LessThanImageSize",
        ),
        (
            RunInstances {
                dry_run: Some(true),
                ..wish.clone()
            },
            "DryRunOperation",
        ),
        (
            RunInstances {
                region_id: "cn-nowhere".parse().unwrap(),
                ..wish.clone()
            },
            "InvalidRegionId.NotFound",
        ),
    ];
    for (wrong, code) in cases {
        assert_eq!(user.refused(&wrong).await.as_str(), code);
    }
    assert!(world.billed("instance").await.is_empty());
}

#[tokio::test]
async fn stock_decides() {
    let world = World::new().await;
    let user = world.first();
    let wish = user.wish().await;
    let sold_out = Stock {
        region: None,
        zone: Some("cn-hangzhou-a".into()),
        instance_type: Some("ecs.e-c1m1.large".into()),
        available: false,
    };
    world
        .script(&SimChange {
            stock: Some(vec![sold_out]),
            ..Default::default()
        })
        .await;
    assert_eq!(user.refused(&wish).await, ErrorCode::OperationDeniedNoStock);
    let answer = user
        .ok(&DescribeAvailableResource {
            region_id: user.region.clone(),
            destination_resource: "InstanceType".into(),
            instance_type: Some("ecs.e-c1m1.large".into()),
            ..Default::default()
        })
        .await;
    let zones = answer.available_zones.available_zone;
    let statuses: Vec<&str> = zones.iter().map(|zone| zone.status.as_str()).collect();
    assert_eq!(statuses, ["SoldOut", "Available"]);
}

#[tokio::test]
async fn a_token_makes_one_request_of_many() {
    let world = World::new().await;
    let user = world.first();
    let wish = RunInstances {
        client_token: Some("token-1".into()),
        amount: Some(2),
        ..user.wish().await
    };
    let one = user.ok(&wish).await;
    let two = user.ok(&wish).await;
    assert_eq!(one.instance_id_sets, two.instance_id_sets);
    assert_ne!(one.request_id, two.request_id);
    let other = RunInstances {
        amount: Some(1),
        ..wish.clone()
    };
    assert_eq!(
        user.refused(&other).await,
        ErrorCode::IdempotentParameterMismatch
    );
    assert_eq!(world.billed("instance").await.len(), 2);
    // Another account's tokens are its own.
    let second = world.user(1, "cn-hangzhou");
    let theirs = RunInstances {
        client_token: Some("token-1".into()),
        ..second.wish().await
    };
    second.ok(&theirs).await;
    // A dry run uses no token up.
    let dry = RunInstances {
        dry_run: Some(true),
        client_token: Some("token-2".into()),
        ..wish.clone()
    };
    assert_eq!(user.refused(&dry).await, ErrorCode::DryRunOperation);
    let wet = RunInstances {
        client_token: Some("token-2".into()),
        ..wish
    };
    user.ok(&wet).await;
}

#[tokio::test]
async fn instances_are_listed_in_pages_and_by_what_they_are() {
    let world = World::new().await;
    let user = world.first();
    let wish = RunInstances {
        amount: Some(12),
        tag: vec![Tag {
            key: "run".into(),
            value: "1".into(),
        }],
        ..user.wish().await
    };
    let made = user.ok(&wish).await.instance_id_sets.instance_id_set;
    let all = DescribeInstances {
        region_id: user.region.clone(),
        ..Default::default()
    };
    let first = user.ok(&all).await;
    assert_eq!(
        (first.total_count, first.instances.instance.len()),
        (12, 10)
    );
    let second = user
        .ok(&DescribeInstances {
            page_number: Some(2),
            ..all.clone()
        })
        .await;
    assert_eq!(second.instances.instance.len(), 2);
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let page = user
            .ok(&DescribeInstances {
                max_results: Some(10),
                next_token: token.clone(),
                ..all.clone()
            })
            .await;
        seen.extend(
            page.instances
                .instance
                .into_iter()
                .map(|one| one.instance_id),
        );
        if page.next_token.is_empty() {
            break;
        }
        token = Some(page.next_token);
    }
    seen.sort();
    let mut expected = made.clone();
    expected.sort();
    assert_eq!(seen, expected);
    let tagged = |value: &str| DescribeInstances {
        tag: vec![Tag {
            key: "run".into(),
            value: value.into(),
        }],
        ..all.clone()
    };
    assert_eq!(user.ok(&tagged("1")).await.total_count, 12);
    assert_eq!(user.ok(&tagged("2")).await.total_count, 0);
    // Somebody else's, and those of other regions, don't exist.
    assert_eq!(world.user(1, "cn-hangzhou").ok(&all).await.total_count, 0);
    let elsewhere = DescribeInstances {
        region_id: "cn-beijing".parse().unwrap(),
        ..all
    };
    assert_eq!(user.ok(&elsewhere).await.total_count, 0);
    let foreign = StopInstance {
        instance_id: made[0].clone(),
        ..Default::default()
    };
    let second = world.user(1, "cn-hangzhou");
    assert_eq!(
        second.refused(&foreign).await,
        ErrorCode::InvalidInstanceIdNotFound
    );
}

#[tokio::test]
async fn a_release_time_is_honoured() {
    let (world, clock) = World::with_clock().await;
    let user = world.user_at(&clock);
    let wish = RunInstances {
        auto_release_time: Some(clock.minutes_from_now(40)),
        ..user.wish().await
    };
    let id = user.run_as(&wish).await;
    let kept = user.run().await;
    clock.advance(Duration::from_mins(39));
    assert!(user.instance(&id).await.is_some());
    user.ok(&ModifyInstanceAutoReleaseTime {
        region_id: user.region.clone(),
        instance_id: kept.clone(),
        auto_release_time: Some(clock.minutes_from_now(60)),
    })
    .await;
    clock.advance(Duration::from_mins(2));
    user.until_gone(&id).await;
    assert!(user.instance(&kept).await.is_some());
    user.ok(&ModifyInstanceAutoReleaseTime {
        region_id: user.region.clone(),
        instance_id: kept.clone(),
        auto_release_time: None,
    })
    .await;
    clock.advance(Duration::from_hours(2));
    assert!(user.instance(&kept).await.is_some());
}

#[tokio::test]
async fn states_are_kept_apart() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let start = StartInstance {
        instance_id: id.clone(),
        ..Default::default()
    };
    assert_eq!(
        user.refused(&start).await,
        ErrorCode::IncorrectInstanceStatus
    );
    let dry = StopInstance {
        instance_id: id.clone(),
        dry_run: Some(true),
        ..Default::default()
    };
    assert_eq!(user.refused(&dry).await, ErrorCode::DryRunOperation);
    assert_eq!(
        user.instance(&id).await.unwrap().status,
        InstanceStatus::Running
    );
    user.stop(&id).await;
    user.ok(&start).await;
    user.until(&id, &InstanceStatus::Running).await;
    let missing = StartInstance {
        instance_id: "i-none".parse().unwrap(),
        ..Default::default()
    };
    assert_eq!(
        user.refused(&missing).await,
        ErrorCode::InvalidInstanceIdNotFound
    );
    let protected = user
        .run_as(&RunInstances {
            deletion_protection: Some(true),
            ..user.wish().await
        })
        .await;
    let delete = DeleteInstance {
        instance_id: protected,
        force: Some(true),
        ..Default::default()
    };
    assert_eq!(
        user.refused(&delete).await,
        ErrorCode::InvalidOperationDeletionProtection
    );
}

#[tokio::test]
async fn an_instance_that_lost_its_power_is_stopped() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let cut = Rule {
        pattern: "^poweroff$".into(),
        power_off: true,
        ..Default::default()
    };
    world
        .script(&SimChange {
            rules: Some(vec![cut]),
            ..Default::default()
        })
        .await;
    let result = user.command(&id, "poweroff").await;
    assert_eq!(result.error_code, "ExecutionInterrupted");
    assert_eq!(
        user.instance(&id).await.unwrap().status,
        InstanceStatus::Stopped
    );
    user.ok(&StartInstance {
        instance_id: id.clone(),
        ..Default::default()
    })
    .await;
    user.until(&id, &InstanceStatus::Running).await;
    assert_eq!(user.command(&id, "true").await.exit_code, Some(0));
}
