//! A small build against a server that dies after every single change of its state,
//! one after the other, and a client that repeats what was not answered.
//!
//! Whatever the moment, the end is the same: one image in each region, one boot more
//! than reboots, nothing left over in the bill, in the rows or in the driver.

use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::action::{
    Action, CommandType, ContentEncoding, CopyImage, CreateImage, DeleteImage, DeleteInstance,
    DeleteSnapshot, DescribeImages, DescribeInstances, DescribeInvocationResults,
    DescribeSecurityGroups, DescribeVSwitches, ImageStatus, InstanceStatus, InvocationStatus,
    ModifyImageSharePermission, RebootInstance, RunCommand, RunInstances, StopInstance,
};
use darkroom_ecs::client::{CallError, Client, Retry};
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, InstanceId, RegionId, SnapshotId};

use crate::service::{DriverKind, Service, Settings};
use crate::sim::BOOT_ID_PROBE;
use crate::state::rows::{self, DiskRow, InstanceRow};
use crate::state::store::StoreError;
use crate::state::{fuse, jobs, layers, ledger};

/// What the client remembers over the server's deaths.
#[derive(Default)]
struct Progress {
    instance: Option<InstanceId>,
    boot: Option<String>,
    rebooted: bool,
    commanded: bool,
    image: Option<ImageId>,
    gone: bool,
    copy: Option<ImageId>,
    shared: bool,
    cleaned: bool,
    second: Option<InstanceId>,
    finished: bool,
}

struct Build {
    client: Client,
    here: RegionId,
    there: RegionId,
    other: darkroom_ecs::id::AccountId,
}

/// A refusal that a client of the real cloud would wait for, too, or an answer.
type Answer<A> = Result<<A as Action>::Response, CallError>;

impl Build {
    fn new(service: &Service) -> Self {
        let account = &service.accounts()[0];
        let credentials = Credentials {
            access_key_id: account.access_key_id.clone(),
            access_key_secret: Secret::new(account.access_key_secret.clone()),
            security_token: None,
        };
        let resolver = endpoint::fixed("http://localhost".parse().unwrap());
        let client = Client::builder(Arc::new(service.transport()), credentials, resolver)
            .retry(Retry {
                attempts: 50,
                first: Duration::from_millis(1),
                longest: Duration::from_millis(5),
                patience: Duration::from_secs(1),
                jitter: false,
            })
            .build();
        Self {
            client,
            here: "cn-hangzhou".parse().unwrap(),
            there: "cn-beijing".parse().unwrap(),
            other: service.accounts()[1].id.clone(),
        }
    }

    async fn ask<A: Action>(&self, region: &RegionId, request: &A) -> Answer<A> {
        self.client.call(region, request).await
    }

    async fn call<A: Action>(&self, region: &RegionId, request: &A) -> A::Response {
        match self.ask(region, request).await {
            Ok(answer) => answer,
            Err(error) => panic!("{}: {error:?}", A::NAME),
        }
    }

    async fn status(&self, region: &RegionId, id: &InstanceId) -> Option<InstanceStatus> {
        let request = DescribeInstances {
            region_id: region.clone(),
            instance_ids: Some([id.clone()].into_iter().collect()),
            ..Default::default()
        };
        let answer = self.call(region, &request).await;
        answer
            .instances
            .instance
            .into_iter()
            .next()
            .map(|seen| seen.status)
    }

    async fn until(&self, region: &RegionId, id: &InstanceId, wanted: Option<InstanceStatus>) {
        while self.status(region, id).await != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn run(&self, region: &RegionId, image: Option<ImageId>, token: &str) -> InstanceId {
        let switches = DescribeVSwitches {
            region_id: region.clone(),
            ..Default::default()
        };
        let groups = DescribeSecurityGroups {
            region_id: region.clone(),
            ..Default::default()
        };
        let switches = self.call(region, &switches).await.vswitches.vswitch;
        let groups = self
            .call(region, &groups)
            .await
            .security_groups
            .security_group;
        let family = image.is_none().then(|| "debian-12".to_owned());
        let request = RunInstances {
            region_id: region.clone(),
            image_id: image,
            image_family: family,
            instance_type: Some("ecs.e-c1m1.large".into()),
            vswitch_id: Some(switches[0].vswitch_id.clone()),
            security_group_id: Some(groups[0].security_group_id.clone()),
            client_token: Some(token.into()),
            ..Default::default()
        };
        let made = self.call(region, &request).await;
        made.instance_id_sets.instance_id_set[0].clone()
    }

    /// A command's output.
    async fn command(&self, id: &InstanceId, content: &str, token: Option<&str>) -> String {
        let request = RunCommand {
            region_id: self.here.clone(),
            r#type: CommandType::Shell,
            command_content: content.into(),
            instance_id: vec![id.clone()],
            client_token: token.map(str::to_owned),
            ..Default::default()
        };
        let invoke = self.call(&self.here, &request).await.invoke_id;
        let request = DescribeInvocationResults {
            region_id: self.here.clone(),
            invoke_id: Some(invoke),
            content_encoding: Some(ContentEncoding::PlainText),
            ..Default::default()
        };
        loop {
            let answer = self.call(&self.here, &request).await;
            let result = answer.invocation.invocation_results.invocation_result[0].clone();
            if result.invocation_status.is_final() {
                assert_eq!(
                    result.invocation_status,
                    InvocationStatus::Success,
                    "{result:?}"
                );
                return result.output;
            }
        }
    }

    async fn available(&self, region: &RegionId, id: &ImageId) -> SnapshotId {
        let all = [
            ImageStatus::Waiting,
            ImageStatus::Creating,
            ImageStatus::CreateFailed,
        ];
        let request = DescribeImages {
            region_id: region.clone(),
            image_id: Some([id.clone()].into_iter().collect()),
            status: Some(all.into_iter().chain([ImageStatus::Available]).collect()),
            ..Default::default()
        };
        loop {
            let answer = self.call(region, &request).await;
            let image = answer.images.image.first().expect("the image is not there");
            assert_ne!(image.status, ImageStatus::CreateFailed);
            if image.status == ImageStatus::Available {
                return image.disk_device_mappings.disk_device_mapping[0]
                    .snapshot_id
                    .clone();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn delete(&self, region: &RegionId, id: &InstanceId) {
        if self.status(region, id).await.is_some() {
            let request = DeleteInstance {
                instance_id: id.clone(),
                force: Some(true),
                ..Default::default()
            };
            match self.ask(region, &request).await {
                // The deletion that was asked for before a death may end in between.
                Err(error) if error.code() == Some(&ErrorCode::InvalidInstanceIdNotFound) => {}
                answer => drop(answer.unwrap()),
            }
        }
        self.until(region, id, None).await;
    }

    /// Goes on from where `progress` says.
    async fn go_on(&self, progress: &mut Progress) {
        if progress.instance.is_none() {
            progress.instance = Some(self.run(&self.here, None, "run").await);
        }
        let id = progress.instance.clone().unwrap();
        self.prepare(&id, progress).await;
        if progress.image.is_none() {
            progress.image = Some(self.make_image(&id).await);
        }
        let image = progress.image.clone().unwrap();
        if !progress.gone {
            self.available(&self.here, &image).await;
            self.delete(&self.here, &id).await;
            progress.gone = true;
        }
        self.distribute(&image, progress).await;
        self.boot_copy(progress).await;
        progress.finished = true;
    }

    /// Runs a command and reboots once.
    async fn prepare(&self, id: &InstanceId, progress: &mut Progress) {
        if progress.boot.is_none() {
            self.until(&self.here, id, Some(InstanceStatus::Running))
                .await;
            progress.boot = Some(self.command(id, BOOT_ID_PROBE, None).await);
        }
        if !progress.commanded {
            self.command(id, "work", Some("work")).await;
            progress.commanded = true;
        }
        if !progress.rebooted {
            self.until(&self.here, id, Some(InstanceStatus::Running))
                .await;
            if progress.boot.as_ref() == Some(&self.command(id, BOOT_ID_PROBE, None).await) {
                let request = RebootInstance {
                    instance_id: id.clone(),
                    ..Default::default()
                };
                self.call(&self.here, &request).await;
            }
            self.until(&self.here, id, Some(InstanceStatus::Running))
                .await;
            progress.rebooted = true;
        }
    }

    async fn make_image(&self, id: &InstanceId) -> ImageId {
        if self.status(&self.here, id).await == Some(InstanceStatus::Running) {
            let request = StopInstance {
                instance_id: id.clone(),
                ..Default::default()
            };
            self.call(&self.here, &request).await;
        }
        self.until(&self.here, id, Some(InstanceStatus::Stopped))
            .await;
        let request = CreateImage {
            region_id: self.here.clone(),
            instance_id: Some(id.clone()),
            image_name: Some("web".into()),
            client_token: Some("image".into()),
            ..Default::default()
        };
        self.call(&self.here, &request).await.image_id
    }

    /// Copies, shares the copy, and deletes what it was made of.
    async fn distribute(&self, image: &ImageId, progress: &mut Progress) {
        if progress.copy.is_none() {
            let request = CopyImage {
                region_id: self.here.clone(),
                image_id: image.clone(),
                destination_region_id: Some(self.there.clone()),
                destination_image_name: Some("web".into()),
                client_token: Some("copy".into()),
                ..Default::default()
            };
            progress.copy = Some(self.call(&self.here, &request).await.image_id);
        }
        let copy = progress.copy.clone().unwrap();
        self.available(&self.there, &copy).await;
        if !progress.shared {
            let request = ModifyImageSharePermission {
                region_id: self.there.clone(),
                image_id: copy,
                add_account: vec![self.other.clone()],
                ..Default::default()
            };
            self.call(&self.there, &request).await;
            progress.shared = true;
        }
        if !progress.cleaned {
            self.delete_source(image).await;
            progress.cleaned = true;
        }
    }

    async fn delete_source(&self, image: &ImageId) {
        let request = DeleteImage {
            region_id: self.here.clone(),
            image_id: image.clone(),
            ..Default::default()
        };
        self.call(&self.here, &request).await;
        let request = darkroom_ecs::action::DescribeSnapshots {
            region_id: self.here.clone(),
            ..Default::default()
        };
        for snapshot in self.call(&self.here, &request).await.snapshots.snapshot {
            let request = DeleteSnapshot {
                snapshot_id: snapshot.snapshot_id,
                ..Default::default()
            };
            self.call(&self.here, &request).await;
        }
    }

    async fn boot_copy(&self, progress: &mut Progress) {
        if progress.second.is_none() {
            let copy = progress.copy.clone();
            progress.second = Some(self.run(&self.there, copy, "test").await);
        }
        let id = progress.second.clone().unwrap();
        let early = [InstanceStatus::Pending, InstanceStatus::Starting];
        while self
            .status(&self.there, &id)
            .await
            .is_some_and(|status| early.contains(&status))
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.delete(&self.there, &id).await;
    }
}

async fn open(root: &std::path::Path) -> Service {
    Service::open(Settings::new(root, DriverKind::Sim))
        .await
        .unwrap()
}

/// Returns when the fuse has burnt down.
async fn out() {
    while !fuse::is_out() {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// Nothing is left but the copy.
async fn check(service: &Service, progress: &Progress, count: u32) {
    let cloud = &service.inner.cloud;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let (jobs, loose) = cloud
            .store
            .read(|tx| Ok::<_, StoreError>((jobs::all(tx)?, layers::loose(tx)?)))
            .await
            .unwrap();
        if jobs.is_empty() && loose.is_empty() {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "death {count}: {jobs:?} {loose:?}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (instances, disks, held, bill, all) = cloud
        .store
        .read(|tx| {
            Ok::<_, StoreError>((
                rows::all::<InstanceRow>(tx)?.len(),
                rows::all::<DiskRow>(tx)?.len(),
                layers::held(tx)?,
                ledger::entries(tx, false)?,
                ledger::entries(tx, true)?,
            ))
        })
        .await
        .unwrap();
    assert_eq!((instances, disks), (0, 0), "death {count}");
    let kinds: Vec<&str> = bill.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["snapshot", "image"], "death {count}");
    assert_eq!(bill[1].resource, progress.copy.as_ref().unwrap().as_str());
    let made = |kind: &str| all.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!((made("instance"), made("image")), (2, 2), "death {count}");
    let mut known: Vec<(String, String)> = held
        .iter()
        .map(|(region, layer)| (region.to_string(), layer.to_string()))
        .collect();
    known.sort();
    let sim = service.inner.sim.as_ref().unwrap();
    let (machines, boots, mut found) = sim.inventory().await;
    found.sort();
    assert_eq!(machines, 0, "death {count}");
    assert_eq!(boots, 3, "death {count}: two starts and one reboot");
    assert_eq!(found, known, "death {count}");
}

/// One build with a death after `count` effects; false when it had fewer.
async fn build(count: u32) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut progress = Progress::default();
    fuse::set(None);
    let service = open(folder.path()).await;
    fuse::set(Some(count));
    let build = Build::new(&service);
    tokio::select! {
        () = build.go_on(&mut progress) => {}
        () = out() => {}
    }
    let died = !progress.finished;
    drop(build);
    drop(service);
    // Its tasks are gone before the next server comes.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    fuse::set(None);
    let service = open(folder.path()).await;
    let build = Build::new(&service);
    let rest = build.go_on(&mut progress);
    tokio::time::timeout(Duration::from_secs(20), rest)
        .await
        .unwrap_or_else(|_| panic!("death {count}: the build did not end"));
    check(&service, &progress, count).await;
    died
}

#[tokio::test]
async fn a_server_may_die_after_every_change() {
    let mut count = 0;
    while build(count).await {
        count += 1;
    }
    assert!(count > 50, "only {count} deaths");
}
