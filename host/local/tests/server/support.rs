//! A cloud on the sim driver in this process, and clients of its accounts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use darkroom_ecs::action::{Action, *};
use darkroom_ecs::client::{Builder, CallError, Client, Retry};
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::id::*;
use darkroom_ecs::sign::SignatureGeneration;
use darkroom_ecs::transport::Transport;
use darkroom_local::admin::SimChange;
use darkroom_local::clock::Clock;
use darkroom_local::{Account, DriverKind, Service, Settings};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

pub const HANGZHOU: &str = "cn-hangzhou";
pub const BEIJING: &str = "cn-beijing";

/// Longer than anything takes here; reached only by a fault.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct World {
    pub folder: TempDir,
    pub service: Service,
}

/// An account's way to a cloud.
#[derive(Clone)]
pub struct User {
    pub client: Client,
    pub region: RegionId,
}

pub fn region(id: &str) -> RegionId {
    id.parse().unwrap()
}

/// A clock that stands still until it is set.
#[derive(Clone)]
pub struct HandClock(tokio::sync::watch::Sender<Timestamp>);

impl Default for HandClock {
    fn default() -> Self {
        Self(tokio::sync::watch::Sender::new(Timestamp::now()))
    }
}

impl HandClock {
    pub fn advance(&self, span: Duration) {
        self.0
            .send_modify(|now| *now = now.checked_add(span).unwrap());
    }

    pub fn minutes_from_now(&self, minutes: i64) -> String {
        let moment = self.now() + SignedDuration::from_mins(minutes);
        moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let mut seen = self.0.subscribe();
        seen.wait_for(|now| *now >= moment).await.unwrap();
    }
}

pub fn client(transport: Arc<dyn Transport>, account: &Account, server: &str) -> Client {
    builder(transport, account, server).build()
}

fn builder(transport: Arc<dyn Transport>, account: &Account, server: &str) -> Builder {
    let credentials = Credentials {
        access_key_id: account.access_key_id.clone(),
        access_key_secret: Secret::new(account.access_key_secret.clone()),
        security_token: None,
    };
    Client::builder(
        transport,
        credentials,
        endpoint::fixed(server.parse().unwrap()),
    )
    .retry(Retry {
        attempts: 20,
        first: Duration::from_millis(2),
        longest: Duration::from_millis(50),
        patience: Duration::from_secs(1),
        jitter: false,
    })
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = open(folder.path()).await;
        Self { folder, service }
    }

    /// A cloud whose time the test tells.
    pub async fn with_clock() -> (Self, HandClock) {
        let folder = tempfile::tempdir().unwrap();
        let clock = HandClock::default();
        let settings = Settings {
            clock: Arc::new(clock.clone()),
            ..Settings::new(folder.path(), DriverKind::Sim)
        };
        let service = Service::open(settings).await.unwrap();
        (Self { folder, service }, clock)
    }

    /// The first account, signing by that time.
    pub fn user_at(&self, clock: &HandClock) -> User {
        let clock = clock.clone();
        let transport = Arc::new(self.service.transport());
        let account = &self.service.accounts()[0];
        let builder = builder(transport, account, "http://localhost");
        User {
            client: builder.now(Arc::new(move || clock.now())).build(),
            region: region(HANGZHOU),
        }
    }

    /// Ends the service where it is and opens the next one on the same folder.
    pub async fn reopen(self) -> Self {
        let Self { folder, service } = self;
        drop(service);
        let service = open(folder.path()).await;
        Self { folder, service }
    }

    pub fn user(&self, index: usize, place: &str) -> User {
        let transport = Arc::new(self.service.transport());
        User {
            client: client(
                transport,
                &self.service.accounts()[index],
                "http://localhost",
            ),
            region: region(place),
        }
    }

    pub fn first(&self) -> User {
        self.user(0, HANGZHOU)
    }

    pub async fn admin(&self, method: &str, page: &str, body: &str) -> (u16, Value) {
        let response = self
            .service
            .call(HttpRequest {
                method: method.into(),
                scheme: "http".into(),
                authority: "localhost".into(),
                target: format!("/-/{page}"),
                headers: vec![(
                    "authorization".into(),
                    format!("Bearer {}", self.service.token()),
                )],
                body: bytes::Bytes::from(body.to_owned()),
            })
            .await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        (
            response.status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub async fn script(&self, change: &SimChange) {
        let text = serde_json::to_string(change).unwrap();
        let (status, answer) = self.admin("PUT", "sim", &text).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Ids of what would be billed now, of one kind.
    pub async fn billed(&self, kind: &str) -> Vec<String> {
        let (_, answer) = self.admin("GET", "ledger", "").await;
        let entries = answer["entries"].as_array().unwrap();
        let mut found: Vec<String> = entries
            .iter()
            .filter(|entry| entry["kind"] == kind)
            .map(|entry| entry["resource"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    }
}

pub async fn open(root: &Path) -> Service {
    Service::open(Settings::new(root, DriverKind::Sim))
        .await
        .unwrap()
}

impl User {
    pub async fn call<A: Action>(&self, request: &A) -> Result<A::Response, CallError> {
        self.client.call(&self.region, request).await
    }

    /// The request is done.
    pub async fn ok<A: Action>(&self, request: &A) -> A::Response {
        match self.call(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("{}: {error:?}", A::NAME),
        }
    }

    /// The request is refused with this code.
    pub async fn refused<A: Action>(&self, request: &A) -> ErrorCode {
        match self.call(request).await {
            Ok(_) => panic!("{} was done", A::NAME),
            Err(CallError::Api { source, .. }) => source.code,
            Err(error) => panic!("{}: {error:?}", A::NAME),
        }
    }

    pub async fn network(&self) -> (VSwitchId, SecurityGroupId) {
        let switches = self
            .ok(&DescribeVSwitches {
                region_id: self.region.clone(),
                ..Default::default()
            })
            .await;
        let groups = self
            .ok(&DescribeSecurityGroups {
                region_id: self.region.clone(),
                ..Default::default()
            })
            .await;
        (
            switches.vswitches.vswitch[0].vswitch_id.clone(),
            groups.security_groups.security_group[0]
                .security_group_id
                .clone(),
        )
    }

    /// The request for one small instance of the public image.
    pub async fn wish(&self) -> RunInstances {
        let (vswitch, group) = self.network().await;
        RunInstances {
            region_id: self.region.clone(),
            image_family: Some("debian-12".into()),
            instance_type: Some("ecs.e-c1m1.large".into()),
            vswitch_id: Some(vswitch),
            security_group_id: Some(group),
            ..Default::default()
        }
    }

    /// An instance that runs.
    pub async fn run(&self) -> InstanceId {
        let wish = self.wish().await;
        self.run_as(&wish).await
    }

    pub async fn run_as(&self, wish: &RunInstances) -> InstanceId {
        let made = self.ok(wish).await;
        let id = made.instance_id_sets.instance_id_set[0].clone();
        self.until(&id, &InstanceStatus::Running).await;
        id
    }

    pub async fn instance(&self, id: &InstanceId) -> Option<Instance> {
        let answer = self
            .ok(&DescribeInstances {
                region_id: self.region.clone(),
                instance_ids: Some([id.clone()].into_iter().collect()),
                ..Default::default()
            })
            .await;
        answer.instances.instance.into_iter().next()
    }

    pub async fn until(&self, id: &InstanceId, status: &InstanceStatus) {
        until(async || {
            self.instance(id)
                .await
                .is_some_and(|seen| seen.status == *status)
        })
        .await;
    }

    pub async fn until_gone(&self, id: &InstanceId) {
        until(async || self.instance(id).await.is_none()).await;
    }

    pub async fn stop(&self, id: &InstanceId) {
        self.ok(&StopInstance {
            instance_id: id.clone(),
            ..Default::default()
        })
        .await;
        self.until(id, &InstanceStatus::Stopped).await;
    }

    pub async fn delete(&self, id: &InstanceId) {
        self.ok(&DeleteInstance {
            instance_id: id.clone(),
            force: Some(true),
            ..Default::default()
        })
        .await;
        self.until_gone(id).await;
    }

    pub async fn image(&self, id: &ImageId) -> Option<Image> {
        let all = [
            ImageStatus::Waiting,
            ImageStatus::Creating,
            ImageStatus::CreateFailed,
            ImageStatus::Available,
            ImageStatus::Deprecated,
        ];
        let answer = self
            .ok(&DescribeImages {
                region_id: self.region.clone(),
                image_id: Some([id.clone()].into_iter().collect()),
                status: Some(all.into_iter().collect()),
                ..Default::default()
            })
            .await;
        answer.images.image.into_iter().next()
    }

    pub async fn until_available(&self, id: &ImageId) -> Image {
        let here = async || {
            self.image(id)
                .await
                .is_some_and(|seen| seen.status == ImageStatus::Available)
        };
        until(here).await;
        self.image(id).await.unwrap()
    }

    /// An available image of a new instance, which is deleted.
    pub async fn make_image(&self, name: &str) -> ImageId {
        let instance = self.run().await;
        self.stop(&instance).await;
        let made = self
            .ok(&CreateImage {
                region_id: self.region.clone(),
                instance_id: Some(instance.clone()),
                image_name: Some(name.into()),
                ..Default::default()
            })
            .await;
        self.until_available(&made.image_id).await;
        self.delete(&instance).await;
        made.image_id
    }

    /// A request to copy an image.
    pub fn copy(&self, image: &ImageId, to: &str, name: &str) -> CopyImage {
        CopyImage {
            region_id: self.region.clone(),
            image_id: image.clone(),
            destination_region_id: Some(region(to)),
            destination_image_name: Some(name.into()),
            ..Default::default()
        }
    }

    /// The end of a command.
    pub async fn command(&self, id: &InstanceId, script: &str) -> InvocationResult {
        let made = self
            .ok(&RunCommand {
                region_id: self.region.clone(),
                r#type: CommandType::Shell,
                command_content: script.into(),
                instance_id: vec![id.clone()],
                ..Default::default()
            })
            .await;
        self.result(&made.invoke_id).await
    }

    pub async fn result(&self, invoke: &InvokeId) -> InvocationResult {
        let look = async || {
            let answer = self
                .ok(&DescribeInvocationResults {
                    region_id: self.region.clone(),
                    invoke_id: Some(invoke.clone()),
                    content_encoding: Some(ContentEncoding::PlainText),
                    ..Default::default()
                })
                .await;
            answer.invocation.invocation_results.invocation_result[0].clone()
        };
        until(async || look().await.invocation_status.is_final()).await;
        look().await
    }
}

/// Waits until something is so, by asking again.
pub async fn until(so: impl AsyncFn() -> bool) {
    let asked = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("it never came to be");
}

/// One signed request, as it goes over the wire.
pub fn captured(account: &Account, generation: SignatureGeneration, server: &str) -> HttpRequest {
    captured_call(account, generation, server, "DescribeRegions", &[])
}

pub fn captured_call(
    account: &Account,
    generation: SignatureGeneration,
    server: &str,
    action: &str,
    params: &[(&str, &str)],
) -> HttpRequest {
    let seen = Arc::new(std::sync::Mutex::new(None));
    let kept = Arc::clone(&seen);
    let transport = darkroom_ecs::transport::MemoryTransport(Arc::new(move |request| {
        *kept.lock().unwrap() = Some(request);
        let response = HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: bytes::Bytes::from_static(b"{}"),
        };
        Box::pin(async move { Ok(response) })
    }));
    let credentials = Credentials {
        access_key_id: account.access_key_id.clone(),
        access_key_secret: Secret::new(account.access_key_secret.clone()),
        security_token: None,
    };
    let client = Client::builder(
        Arc::new(transport),
        credentials,
        endpoint::fixed(server.parse().unwrap()),
    )
    .generation(generation)
    .build();
    let params = params.iter().copied().collect();
    let place = region(HANGZHOU);
    let call = client.call_raw(&place, action, VERSION, &params);
    futures::executor::block_on(call).unwrap();
    seen.lock().unwrap().take().unwrap()
}
