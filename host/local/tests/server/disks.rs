//! Data disks: on the bill, in images, in copies and in the instances made from them.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, InstanceId};

use super::support::{BEIJING, User, World, until};

fn data(size: u32) -> DataDisk {
    DataDisk {
        size: Some(size),
        ..DataDisk::default()
    }
}

/// Device and size of each data disk.
async fn disks(user: &User, id: &InstanceId) -> Vec<(String, u32)> {
    let asked = DescribeDisks {
        region_id: user.region.clone(),
        instance_id: Some(id.clone()),
        disk_type: Some("data".into()),
        ..DescribeDisks::default()
    };
    let found = user.ok(&asked).await.disks.disk;
    let mut found: Vec<_> = found
        .into_iter()
        .map(|one| (one.device, one.size))
        .collect();
    found.sort();
    found
}

fn parts(image: &Image) -> Vec<(String, String)> {
    let parts = image.disk_device_mappings.disk_device_mapping.iter();
    parts
        .map(|part| (part.device.clone(), part.r#type.clone()))
        .collect()
}

async fn discard(user: &User, image: &Image) {
    user.ok(&DeleteImage {
        region_id: user.region.clone(),
        image_id: image.image_id.clone(),
        ..DeleteImage::default()
    })
    .await;
    for part in &image.disk_device_mappings.disk_device_mapping {
        user.ok(&DeleteSnapshot {
            snapshot_id: part.snapshot_id.clone(),
            ..DeleteSnapshot::default()
        })
        .await;
    }
}

async fn image_of(user: &User, id: &InstanceId) -> ImageId {
    let made = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            instance_id: Some(id.clone()),
            ..CreateImage::default()
        })
        .await;
    user.until_available(&made.image_id).await;
    made.image_id
}

#[tokio::test]
async fn an_image_carries_its_data_disks_everywhere() {
    let world = World::new().await;
    let (here, there) = (world.first(), world.user(0, BEIJING));
    let id = here
        .run_as(&RunInstances {
            data_disk: vec![data(20), data(40)],
            ..here.wish().await
        })
        .await;
    let two = [("/dev/xvdb".to_owned(), 20), ("/dev/xvdc".to_owned(), 40)];
    assert_eq!(disks(&here, &id).await, two);
    assert_eq!(world.billed("disk").await.len(), 3);
    let image = image_of(&here, &id).await;
    here.delete(&id).await;
    assert!(world.billed("disk").await.is_empty());
    assert_eq!(world.billed("snapshot").await.len(), 3);

    let copy = here
        .ok(&here.copy(&image, BEIJING, "copied"))
        .await
        .image_id;
    let copy = there.until_available(&copy).await;
    let image = here.image(&image).await.unwrap();
    assert_eq!(
        parts(&image),
        [
            ("/dev/xvda".into(), "system".into()),
            ("/dev/xvdb".into(), "data".into()),
            ("/dev/xvdc".into(), "data".into())
        ]
    );
    assert_eq!(parts(&copy), parts(&image));
    assert_eq!(world.billed("snapshot").await.len(), 6);
    let used = DeleteSnapshot {
        snapshot_id: image.disk_device_mappings.disk_device_mapping[2]
            .snapshot_id
            .clone(),
        ..DeleteSnapshot::default()
    };
    assert_eq!(here.refused(&used).await, ErrorCode::SnapshotCreatedImage);
    discard(&here, &image).await;

    // The copy stands alone; one of its disks may be asked for larger.
    let id = there
        .run_as(&RunInstances {
            image_family: None,
            image_id: Some(copy.image_id.clone()),
            data_disk: vec![DataDisk {
                device: Some("/dev/xvdc".into()),
                ..data(60)
            }],
            ..there.wish().await
        })
        .await;
    let larger = [("/dev/xvdb".to_owned(), 20), ("/dev/xvdc".to_owned(), 60)];
    assert_eq!(disks(&there, &id).await, larger);
    there.delete(&id).await;
    discard(&there, &copy).await;
    until(async || world.billed("snapshot").await.is_empty()).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_is_said() {
    let world = World::new().await;
    let user = world.first();
    let wish = user.wish().await;
    for (disk, code) in [
        (data(1), ErrorCode::InvalidParameter),
        (
            DataDisk {
                disk_name: Some("no-size".into()),
                ..DataDisk::default()
            },
            ErrorCode::MissingParameter,
        ),
        (
            DataDisk {
                device: Some("/dev/sda".into()),
                ..data(20)
            },
            ErrorCode::InvalidParameter,
        ),
        (
            DataDisk {
                snapshot_id: Some("s-none".parse().unwrap()),
                ..data(20)
            },
            ErrorCode::InvalidSnapshotIdNotFound,
        ),
        (
            DataDisk {
                category: Some("paper".into()),
                ..data(20)
            },
            ErrorCode::CategoryNotSupported,
        ),
    ] {
        let wish = RunInstances {
            data_disk: vec![disk.clone()],
            ..wish.clone()
        };
        assert_eq!(user.refused(&wish).await, code, "{disk:?}");
    }
}

#[tokio::test]
async fn a_running_instance_is_imaged_and_goes_on() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let before = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await;
    let image = image_of(&user, &id).await;
    let after = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await;
    assert_eq!(after.output, before.output);
    let other = user
        .run_as(&RunInstances {
            image_family: None,
            image_id: Some(image),
            ..user.wish().await
        })
        .await;
    user.stop(&other).await;
    image_of(&user, &other).await;
}
