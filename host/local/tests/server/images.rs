//! Images: made, copied, shared, deleted.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, ImageId, SnapshotId};
use darkroom_local::admin::SimChange;
use darkroom_local::sim::Latencies;

use crate::support::{BEIJING, HANGZHOU, User, World, region, until};

fn snapshot_of(image: &Image) -> SnapshotId {
    image.disk_device_mappings.disk_device_mapping[0]
        .snapshot_id
        .clone()
}

fn deletion(user: &User, image: &ImageId) -> DeleteImage {
    DeleteImage {
        region_id: user.region.clone(),
        image_id: image.clone(),
        ..Default::default()
    }
}

fn share(
    user: &User,
    image: &ImageId,
    add: &[AccountId],
    remove: &[AccountId],
) -> ModifyImageSharePermission {
    ModifyImageSharePermission {
        region_id: user.region.clone(),
        image_id: image.clone(),
        add_account: add.to_vec(),
        remove_account: remove.to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_image_is_made_and_copied_and_the_copy_outlives_it() {
    let world = World::new().await;
    let user = world.first();
    let image = user.make_image("web").await;
    assert_eq!(world.billed("snapshot").await.len(), 1);
    let copy = user.ok(&user.copy(&image, BEIJING, "web")).await.image_id;
    let there = world.user(0, BEIJING);
    let seen = there.until_available(&copy).await;
    assert!(seen.is_copied);
    assert_eq!(world.billed("snapshot").await.len(), 2);
    let original = user.image(&image).await.unwrap();
    let snapshot = DeleteSnapshot {
        snapshot_id: snapshot_of(&original),
        ..Default::default()
    };
    assert_eq!(
        user.refused(&snapshot).await,
        ErrorCode::SnapshotCreatedImage
    );
    user.ok(&deletion(&user, &image)).await;
    // An image that isn't there is as good as deleted.
    user.ok(&deletion(&user, &image)).await;
    assert_eq!(world.billed("snapshot").await.len(), 2);
    user.ok(&snapshot).await;
    assert_eq!(
        user.refused(&snapshot).await,
        ErrorCode::InvalidSnapshotIdNotFound
    );
    assert_eq!(
        world.billed("snapshot").await,
        [snapshot_of(&seen).to_string()]
    );
    let wish = RunInstances {
        image_family: None,
        image_id: Some(copy),
        region_id: region(BEIJING),
        ..there.wish().await
    };
    there.run_as(&wish).await;
}

#[tokio::test]
async fn an_image_exists_for_others_when_it_is_shared_and_in_its_region() {
    let world = World::new().await;
    let user = world.first();
    let second = world.user(1, HANGZHOU);
    let theirs = world.service.accounts()[1].id.clone();
    let image = user.make_image("web").await;
    let wish = RunInstances {
        image_family: None,
        image_id: Some(image.clone()),
        ..second.wish().await
    };
    assert_eq!(
        second.refused(&wish).await,
        ErrorCode::InvalidImageIdNotFound
    );
    assert!(second.image(&image).await.is_none());
    let nobody = "1111111111111111".parse().unwrap();
    assert_eq!(
        user.refused(&share(&user, &image, &[nobody], &[])).await,
        ErrorCode::InvalidAccountNotFound
    );
    user.ok(&share(&user, &image, std::slice::from_ref(&theirs), &[]))
        .await;
    let listed = user
        .ok(&DescribeImageSharePermission {
            region_id: user.region.clone(),
            image_id: image.clone(),
            ..Default::default()
        })
        .await;
    assert_eq!(listed.accounts.account[0].aliyun_id, theirs);
    let seen = second.image(&image).await.unwrap();
    assert_eq!(seen.image_owner_alias, "others");
    let instance = second.run_as(&wish).await;
    // To see is not to own.
    let rename = ModifyImageAttribute {
        region_id: second.region.clone(),
        image_id: image.clone(),
        image_name: Some("mine".into()),
        ..Default::default()
    };
    assert_eq!(second.refused(&rename).await, ErrorCode::OperationDenied);
    assert_eq!(
        second.refused(&second.copy(&image, BEIJING, "x1")).await,
        ErrorCode::OperationDeniedSameRegionOnly
    );
    assert!(world.user(1, BEIJING).image(&image).await.is_none());
    assert_eq!(
        user.refused(&deletion(&user, &image)).await,
        ErrorCode::ImageUseShared
    );
    user.ok(&share(&user, &image, &[], &[theirs])).await;
    assert!(second.image(&image).await.is_none());
    // Used by an instance, whoever it belongs to.
    assert_eq!(
        user.refused(&deletion(&user, &image)).await,
        ErrorCode::ImageUsingByInstance
    );
    let force = DeleteImage {
        force: Some(true),
        ..deletion(&user, &image)
    };
    user.ok(&force).await;
    second.stop(&instance).await;
    second
        .ok(&StartInstance {
            instance_id: instance.clone(),
            ..Default::default()
        })
        .await;
    second.until(&instance, &InstanceStatus::Running).await;
}

#[tokio::test]
async fn a_family_hands_out_its_newest_available_image() {
    let world = World::new().await;
    let user = world.first();
    let family = |name: &str| DescribeImageFromFamily {
        region_id: user.region.clone(),
        image_family: name.into(),
    };
    let public = user.ok(&family("debian-12")).await.image.unwrap();
    assert_eq!(public.image_id.as_str(), "debian_12_x64_20G_darkroom");
    assert_eq!(public.image_owner_alias, "system");
    assert!(user.ok(&family("web")).await.image.is_none());
    let set = |image: &ImageId, status: Option<&str>| ModifyImageAttribute {
        region_id: user.region.clone(),
        image_id: image.clone(),
        image_family: Some("web".into()),
        status: status.map(str::to_owned),
        ..Default::default()
    };
    let older = user.make_image("web-1").await;
    user.ok(&set(&older, None)).await;
    let newer = user.make_image("web-2").await;
    user.ok(&set(&newer, None)).await;
    assert_eq!(user.ok(&family("web")).await.image.unwrap().image_id, newer);
    user.ok(&set(&newer, Some("Deprecated"))).await;
    assert_eq!(user.ok(&family("web")).await.image.unwrap().image_id, older);
    // A list without a wish for statuses holds what is available.
    let listed = user
        .ok(&DescribeImages {
            region_id: user.region.clone(),
            image_owner_alias: Some("self".into()),
            ..Default::default()
        })
        .await;
    assert_eq!(listed.total_count, 1);
    assert_eq!(listed.images.image[0].image_id, older);
}

#[tokio::test]
async fn names_tokens_and_states_of_images() {
    let world = World::new().await;
    let user = world.first();
    let instance = user.run().await;
    let wish = CreateImage {
        region_id: user.region.clone(),
        instance_id: Some(instance.clone()),
        image_name: Some("web".into()),
        client_token: Some("t".into()),
        ..Default::default()
    };
    user.stop(&instance).await;
    let malformed = CreateImage {
        image_name: Some("1 web".into()),
        ..wish.clone()
    };
    assert_eq!(
        user.refused(&malformed).await,
        ErrorCode::InvalidImageNameMalformed
    );
    let dry = CreateImage {
        dry_run: Some(true),
        ..wish.clone()
    };
    assert_eq!(user.refused(&dry).await, ErrorCode::DryRunOperation);
    let one = user.ok(&wish).await;
    assert_eq!(user.ok(&wish).await.image_id, one.image_id);
    let other = CreateImage {
        description: Some("another".into()),
        ..wish.clone()
    };
    assert_eq!(
        user.refused(&other).await,
        ErrorCode::IdempotentParameterMismatch
    );
    let taken = CreateImage {
        client_token: None,
        ..wish
    };
    assert_eq!(
        user.refused(&taken).await,
        ErrorCode::InvalidImageNameDuplicated
    );
    user.until_available(&one.image_id).await;
    let unknown = DescribeInstances {
        region_id: user.region.clone(),
        filter: vec![Filter {
            key: "a".into(),
            value: "b".into(),
        }],
        ..Default::default()
    };
    assert_eq!(
        user.refused(&unknown).await,
        ErrorCode::UnsupportedParameter
    );
}

#[tokio::test]
async fn an_image_can_be_made_of_a_snapshot() {
    let world = World::new().await;
    let user = world.first();
    let instance = user.run().await;
    user.stop(&instance).await;
    let disks = user
        .ok(&DescribeDisks {
            region_id: user.region.clone(),
            instance_id: Some(instance.clone()),
            ..Default::default()
        })
        .await;
    let made = user
        .ok(&CreateSnapshot {
            disk_id: disks.disks.disk[0].disk_id.clone(),
            client_token: Some("s".into()),
            ..Default::default()
        })
        .await;
    let list = DescribeSnapshots {
        region_id: user.region.clone(),
        snapshot_ids: Some([made.snapshot_id.clone()].into_iter().collect()),
        ..Default::default()
    };
    until(async || {
        let seen = user.ok(&list).await;
        seen.snapshots.snapshot[0].status == SnapshotStatus::Accomplished
    })
    .await;
    user.delete(&instance).await;
    let image = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            snapshot_id: Some(made.snapshot_id),
            image_name: Some("from-snapshot".into()),
            ..Default::default()
        })
        .await
        .image_id;
    let seen = user.until_available(&image).await;
    assert_eq!(seen.os_name, "Debian 12");
    let listed = user.ok(&list).await;
    assert_eq!(listed.snapshots.snapshot[0].usage, "image");
}

#[tokio::test]
async fn copies_wait_for_their_turn_and_can_be_taken_back() {
    let (world, clock) = World::with_clock().await;
    let user = world.user_at(&clock);
    let there = User {
        region: region(BEIJING),
        ..user.clone()
    };
    let mut sources = Vec::new();
    for number in 0..6 {
        sources.push(user.make_image(&format!("web-{number}")).await);
    }
    world
        .script(&SimChange {
            latencies: Some(Latencies {
                copy: 60.0.into(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    let mut copies = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let copy = user.copy(source, BEIJING, &format!("copy-{number}"));
        copies.push(user.ok(&copy).await.image_id);
    }
    let again = user.copy(&sources[0], BEIJING, "again");
    assert_eq!(
        user.refused(&again).await,
        ErrorCode::OperationDeniedImageCopyConflict
    );
    let count = async |status: ImageStatus| {
        let mut found = 0;
        for copy in &copies {
            found += usize::from(
                there
                    .image(copy)
                    .await
                    .is_some_and(|seen| seen.status == status),
            );
        }
        found
    };
    until(async || count(ImageStatus::Creating).await == 5).await;
    assert_eq!(count(ImageStatus::Waiting).await, 1);
    assert_eq!(
        user.refused(&deletion(&user, &sources[0])).await,
        ErrorCode::OperationDeniedImageCopying
    );
    let cancel = |image: &ImageId| CancelCopyImage {
        region_id: region(BEIJING),
        image_id: image.clone(),
    };
    let mut going_on = None;
    for copy in &copies {
        if there.image(copy).await.unwrap().status == ImageStatus::Creating {
            going_on = Some(copy.clone());
        }
    }
    let going_on = going_on.unwrap();
    there.ok(&cancel(&going_on)).await;
    assert!(there.image(&going_on).await.is_none());
    until(async || count(ImageStatus::Creating).await == 5).await;
    // The copies before it end, the one that was waiting has just begun.
    clock.advance(std::time::Duration::from_secs(61));
    until(async || {
        clock.advance(std::time::Duration::from_secs(61));
        count(ImageStatus::Available).await == 5
    })
    .await;
    assert_eq!(
        there.refused(&cancel(&copies[0])).await.as_str(),
        if going_on == copies[0] {
            "InvalidImageId.NotFound"
        } else {
            "IncorrectImageStatus"
        }
    );
    assert_eq!(
        user.refused(&CancelCopyImage {
            region_id: user.region.clone(),
            image_id: sources[0].clone()
        })
        .await,
        ErrorCode::ImageCreatedNotFromCopy
    );
}

#[tokio::test]
async fn tags_are_set_and_taken_away() {
    let world = World::new().await;
    let user = world.first();
    let image = user.make_image("web").await;
    let tag = |kind: &str, key: &str| TagResources {
        region_id: user.region.clone(),
        resource_type: kind.into(),
        resource_id: vec![image.to_string()],
        tag: vec![Tag {
            key: key.into(),
            value: "1".into(),
        }],
    };
    user.ok(&tag("image", "run")).await;
    assert_eq!(user.image(&image).await.unwrap().tags.get("run"), Some("1"));
    assert_eq!(
        user.refused(&tag("instance", "run")).await,
        ErrorCode::InvalidResourceIdNotFound
    );
    assert_eq!(
        user.refused(&tag("cat", "run")).await,
        ErrorCode::InvalidResourceTypeNotFound
    );
    user.ok(&UntagResources {
        region_id: user.region.clone(),
        resource_type: "image".into(),
        resource_id: vec![image.to_string()],
        tag_key: vec!["run".into()],
        ..Default::default()
    })
    .await;
    assert_eq!(user.image(&image).await.unwrap().tags.get("run"), None);
}
