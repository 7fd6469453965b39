//! The same wire over instances that are really there. Needs root, and says `not run`
//! without it.

use std::path::{Path, PathBuf};

use darkroom_ecs::action::*;
use darkroom_local::bootstrap::{self, Options};
use darkroom_local::driver::Driver;
use darkroom_local::sandbox::{Sandbox, Settings as SandboxSettings};
use darkroom_local::{DriverKind, Service, Settings};

use crate::support::{BEIJING, User, World, region, until};

fn cache() -> PathBuf {
    std::env::var_os("DARKROOM_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/cache/darkroom"), PathBuf::from)
}

/// The executable of supervisors: this package's example.
fn supervisor() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/supervisor");
    assert!(
        path.exists(),
        "{} is missing: cargo build -p darkroom-local --example supervisor",
        path.display()
    );
    path
}

async fn open(root: &Path) -> Service {
    Service::open(Settings {
        cache: cache(),
        executable: supervisor(),
        arguments: Some(Vec::new()),
        ..Settings::new(root, DriverKind::Sandbox)
    })
    .await
    .unwrap()
}

async fn agent(user: &User, id: &darkroom_ecs::id::InstanceId) {
    until(async || {
        let seen = user
            .ok(&DescribeCloudAssistantStatus {
                region_id: user.region.clone(),
                instance_id: vec![id.clone()],
                ..Default::default()
            })
            .await;
        let set = seen.instance_cloud_assistant_status_set;
        set.instance_cloud_assistant_status[0]
            .cloud_assistant_status
            .0
    })
    .await;
}

/// Ends what a failed test leaves behind, and removes the cloud's folder.
struct Leftovers(PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let settings = SandboxSettings::new(&self.0, cache(), supervisor(), "test");
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .unwrap()
                .block_on(Sandbox::new(settings).collect(&[], &[]))
        });
        ended.join().unwrap().unwrap();
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

#[tokio::test]
async fn an_image_is_built_copied_and_booted() {
    if !rustix::process::geteuid().is_root() {
        println!("not run: needs root");
        return;
    }
    let mut silent = |_| {};
    bootstrap::bootstrap(Options::new(cache(), &mut silent)).unwrap();
    let mut folder = tempfile::tempdir().unwrap();
    folder.disable_cleanup(true);
    let _leftovers = Leftovers(folder.path().to_owned());
    let service = open(folder.path()).await;
    let world = World { folder, service };
    let user = world.first();
    let id = user.run().await;
    agent(&user, &id).await;
    let written = user
        .command(&id, "echo kept > /etc/kept && cat /etc/kept")
        .await;
    assert_eq!(
        (written.exit_code, written.output.as_str()),
        (Some(0), "kept\n")
    );
    // The next server takes the instance over, with the command that ran meanwhile.
    let running = user
        .ok(&RunCommand {
            region_id: user.region.clone(),
            r#type: CommandType::Shell,
            command_content: "sleep 1; echo meanwhile".into(),
            instance_id: vec![id.clone()],
            ..Default::default()
        })
        .await
        .invoke_id;
    let World { folder, service } = world;
    drop((user, service));
    let service = open(folder.path()).await;
    let world = World { folder, service };
    let user = world.first();
    assert_eq!(user.result(&running).await.output, "meanwhile\n");
    let before = user.command(&id, BOOT_ID).await.output;
    user.ok(&RebootInstance {
        instance_id: id.clone(),
        ..Default::default()
    })
    .await;
    user.until(&id, &InstanceStatus::Running).await;
    agent(&user, &id).await;
    assert_ne!(user.command(&id, BOOT_ID).await.output, before);
    user.stop(&id).await;
    let image = user
        .ok(&CreateImage {
            region_id: user.region.clone(),
            instance_id: Some(id.clone()),
            image_name: Some("web".into()),
            ..Default::default()
        })
        .await
        .image_id;
    let made = user.until_available(&image).await;
    user.delete(&id).await;
    let copy = user.ok(&user.copy(&image, BEIJING, "web")).await.image_id;
    let there = world.user(0, BEIJING);
    there.until_available(&copy).await;
    user.ok(&DeleteImage {
        region_id: user.region.clone(),
        image_id: image,
        ..Default::default()
    })
    .await;
    user.ok(&DeleteSnapshot {
        snapshot_id: made.disk_device_mappings.disk_device_mapping[0]
            .snapshot_id
            .clone(),
        ..Default::default()
    })
    .await;
    let wish = RunInstances {
        image_family: None,
        image_id: Some(copy),
        region_id: region(BEIJING),
        ..there.wish().await
    };
    let second = there.run_as(&wish).await;
    agent(&there, &second).await;
    assert_eq!(
        there.command(&second, "cat /etc/kept").await.output,
        "kept\n"
    );
    there.delete(&second).await;
    let left = std::fs::read_dir(world.folder.path().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
}
