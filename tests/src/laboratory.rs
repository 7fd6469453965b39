//! A cloud on the sim driver and an engine, joined in memory: the same bytes, signatures
//! and parsing as over HTTP, without a socket.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use darkroom_ecs::action::{DescribeSecurityGroups, DescribeVSwitches};
use darkroom_ecs::client::{Client, Retry};
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint::{Endpoint, fixed};
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::id::RegionId;
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::{Begin, CheckWith, Checked, Drive, Engine, Event, Outcome, Pace, Settings};
use darkroom_journal::SystemClock;
use darkroom_local::{DriverKind, Service};
use darkroom_runtime::{Config, Runtime};
use darkroom_template::{Cloud, Mistakes, ResolveWith};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guests;
use crate::simulated_clock::SimulatedClock;

/// A laboratory of its own for one test.
pub struct Laboratory {
    folder: TempDir,
    /// The time, when it is simulated.
    clock: Option<SimulatedClock>,
    /// How many builds have begun, in the place of random bytes.
    begun: AtomicU32,
    /// The cloud.
    pub service: Service,
    /// The engine.
    pub engine: Engine,
}

impl Laboratory {
    /// An empty one.
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// An empty one whose components are called with these limits.
    pub async fn with(config: Config) -> Self {
        Self::make(config, None).await
    }

    /// An empty one in which engine and cloud live in simulated time.
    pub async fn in_time_of(clock: &SimulatedClock) -> Self {
        Self::make(Config::default(), Some(clock.clone())).await
    }

    async fn make(config: Config, clock: Option<SimulatedClock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings =
            darkroom_local::Settings::new(folder.path().join("local"), DriverKind::Sim);
        if let Some(clock) = &clock {
            settings.clock = Arc::new(clock.clone());
        }
        let service = Service::open(settings).await.unwrap();
        let runtime = Runtime::new(config).unwrap();
        guests::system_folder(&runtime, &folder.path().join("components"));
        let engine = Engine::open(Settings {
            state: folder.path().join("state"),
            runtime,
            clock: match &clock {
                Some(clock) => Arc::new(clock.clone()),
                None => Arc::new(SystemClock),
            },
        })
        .await
        .unwrap();
        Self {
            folder,
            clock,
            begun: AtomicU32::new(0),
            service,
            engine,
        }
    }

    /// A path in the laboratory's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A client of one of the cloud's accounts.
    pub fn client(&self, account: usize) -> Arc<Client> {
        let account = &self.service.accounts()[account];
        let credentials = Credentials {
            access_key_id: account.access_key_id.clone(),
            access_key_secret: Secret::new(account.access_key_secret.clone()),
            security_token: None,
        };
        let endpoint: Endpoint = "http://localhost".parse().unwrap();
        let transport = Arc::new(self.service.transport());
        let mut builder = Client::builder(transport, credentials, fixed(endpoint));
        if let Some(clock) = self.clock.clone() {
            let also = clock.clone();
            let retry = Retry {
                // The same again is the same again.
                jitter: false,
                ..Retry::default()
            };
            builder = builder
                .retry(retry)
                .now(Arc::new(move || clock.now()))
                .sleep(Arc::new(move |time| also.sleep(time)));
        }
        Arc::new(builder.build())
    }

    /// Asks the cloud's admin API.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let request = HttpRequest {
            method: method.into(),
            scheme: "http".into(),
            authority: "localhost".into(),
            target: path.into(),
            headers: vec![(
                "authorization".into(),
                format!("Bearer {}", self.service.token()),
            )],
            body: body.to_string().into_bytes().into(),
        };
        let response = self.service.call(request).await;
        assert_eq!(response.status, 200, "{method} {path}: {:?}", response.body);
        serde_json::from_slice(&response.body).unwrap_or(Value::Null)
    }

    /// The default network of a region: a vSwitch and a security group.
    pub async fn network(&self, place: &str) -> (String, String) {
        let place = region(place);
        let switches = DescribeVSwitches {
            region_id: place.clone(),
            ..DescribeVSwitches::default()
        };
        let groups = DescribeSecurityGroups {
            region_id: place.clone(),
            ..DescribeSecurityGroups::default()
        };
        let client = self.client(0);
        let switches = client.call(&place, &switches).await.unwrap();
        let groups = client.call(&place, &groups).await.unwrap();
        (
            switches.vswitches.vswitch[0].vswitch_id.to_string(),
            groups.security_groups.security_group[0]
                .security_group_id
                .to_string(),
        )
    }

    /// Scripts the results of commands.
    pub async fn script(&self, rules: Value) {
        self.admin("PUT", "/-/sim", json!({ "rules": rules })).await;
    }

    /// Checks a template's text.
    ///
    /// # Errors
    /// Its mistakes.
    pub fn check(&self, text: &str) -> Result<Checked, Mistakes> {
        self.engine.check(
            text,
            &CheckWith {
                file_name: "image.yaml",
                resolve: ResolveWith {
                    cloud: Cloud::Local,
                    parameters: &[],
                    region: None,
                },
                shelf: Shelf::Live {
                    system: &self.path("components"),
                    template: self.folder.path(),
                    packages: &Packages::new(),
                },
            },
        )
    }

    /// Builds a template's text to its end, and gives the events.
    pub async fn build(&self, text: &str) -> (Outcome, Vec<Event>) {
        // Simulated clouds are as slow as real ones.
        let pace = self.clock.as_ref().map_or(Pace::LOCAL, |_| Pace::REMOTE);
        self.build_at(pace, text).await
    }

    /// The same, asking the cloud at a pace.
    pub async fn build_at(&self, pace: Pace, text: &str) -> (Outcome, Vec<Event>) {
        let checked = self.check(text).unwrap();
        let run = self
            .engine
            .begin(
                &checked,
                &Begin {
                    file: "image.yaml",
                    folder: self.folder.path(),
                    account: None,
                    parameters: &[],
                    random: self.begun.fetch_add(1, Ordering::Relaxed).to_be_bytes(),
                    refresh: true,
                    layers: false,
                    secrets: darkroom_engine::secret::none(),
                },
            )
            .await
            .unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let watcher = Arc::new({
            let events = Arc::clone(&events);
            move |event: &Event| events.lock().unwrap().push(event.clone())
        });
        let drive = Drive::new(self.client(0), pace, watcher);
        let outcome = self.engine.drive(&run, drive).await.unwrap();
        let events = std::mem::take(&mut *events.lock().unwrap());
        (outcome, events)
    }
}

/// A region's id.
pub fn region(text: &str) -> RegionId {
    text.parse().unwrap()
}
