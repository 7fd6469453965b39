//! The last of the nets under leaks, the cloud's own release of instances: it catches what a
//! run has left that nobody resumes, it never catches a run that lives, and a run that is
//! resumed after it says so. And a temporary network in which something is left for a while
//! goes later.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use darkroom_engine::event::Kind;
use darkroom_engine::gc::{Fate, Scope};
use darkroom_engine::manifest::Manifest;
use darkroom_engine::{Begin, Drive, Engine, EngineError, Event, Pace, Settings, Status};
use darkroom_journal::RunId;
use darkroom_runtime::{Config, Runtime};
use darkroom_tests::laboratory::Laboratory;
use darkroom_tests::simulated_clock::SimulatedClock;
use serde_json::{Value, json};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_hours(1);

/// Steps of nine minutes each (ten are allowed), more than six hours in all. The image then
/// takes nearly as long as it may, four hours.
const STEPS: usize = 46;
const IMAGE: f64 = 3.9 * 3600.0;

fn template() -> String {
    let head = "name: web\nsource: { family: debian-12 }\nrepair: none\nbuild:\n";
    let step = |number: usize| format!("  - run: long work {number}\n");
    head.to_owned() + &(0..STEPS).map(step).collect::<String>()
}

struct Scene {
    lab: Laboratory,
    clock: SimulatedClock,
    engine: Engine,
    run: RunId,
}

impl Scene {
    /// A run that has begun, and that nobody drives yet.
    async fn new(clock: SimulatedClock) -> Self {
        let lab = Laboratory::in_time_of(&clock).await;
        let latencies = json!({ "start": 40.0, "agent": 15.0, "stop": 20.0, "delete": 5.0,
            "image": IMAGE, "copy": 600.0, "command": 2.0 });
        let long = json!({ "match": "long work", "seconds": 540.0 });
        lab.admin(
            "PUT",
            "/-/sim",
            json!({ "latencies": latencies, "rules": [long] }),
        )
        .await;
        let engine = engine(&lab, &clock, "state").await;
        let checked = lab.check(&template()).unwrap();
        let begin = Begin {
            file: "image.yaml",
            folder: &lab.path("components"),
            account: None,
            parameters: &[],
            random: [1, 2, 3, 4],
            refresh: false,
            layers: false,
            secrets: darkroom_engine::secret::none(),
        };
        let run = engine.begin(&checked, &begin).await.unwrap();
        Self {
            lab,
            clock,
            engine,
            run,
        }
    }

    async fn drive(&self) -> Result<Manifest, EngineError> {
        let watcher = Arc::new(|_: &Event| ());
        let drive = Drive::new(self.lab.client(0), Pace::REMOTE, watcher);
        let ended = self.engine.drive(&self.run, drive).await;
        ended.map(|outcome| outcome.manifest)
    }

    /// Drives until the build begins, and no further.
    async fn killed_at_build(&self) {
        let reached = Arc::new(tokio::sync::Notify::new());
        let told = Arc::clone(&reached);
        let watcher = Arc::new(move |event: &Event| {
            if matches!(&event.kind, Kind::StageStarted { path, .. } if path == "build") {
                told.notify_one();
            }
        });
        let drive = Drive::new(self.lab.client(0), Pace::REMOTE, watcher);
        let early = tokio::select! {
            ended = self.engine.drive(&self.run, drive) => Some(ended),
            () = reached.notified() => None,
        };
        assert!(early.is_none(), "{early:?}");
    }

    /// What is on the bill, by kind.
    async fn bill(&self) -> Vec<String> {
        let ledger = self.lab.admin("GET", "/-/ledger", Value::Null).await;
        let open = ledger["entries"].as_array().unwrap().iter();
        let mut kinds: Vec<_> = open
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds
    }

    /// How often an action was asked for, by the codes of its answers.
    async fn asked(&self, action: &str) -> Vec<Value> {
        let path = format!("/-/requests?action={action}&limit=1000");
        let asked = self.lab.admin("GET", &path, Value::Null).await;
        let asked = asked["requests"].as_array().unwrap().iter();
        asked.map(|one| one["code"].clone()).collect()
    }

    /// `gc`, as a host with this journal. All that it finds must go.
    async fn clear_away(&self, engine: &Engine) {
        let (client, everything) = (self.lab.client(0), Scope::default());
        let items = engine.litter(&client, Pace::REMOTE, &everything).await;
        for item in items.unwrap() {
            assert_eq!(item.fate, Fate::Remove, "{item:?}");
            engine.clear(&client, Pace::REMOTE, &item).await.unwrap();
        }
    }

    async fn refuse(&self, action: &str, times: Option<u32>) {
        let fault = json!({ "status": 400, "code": "DependencyViolation",
            "message": "There is still something in it." });
        let mut rule = json!({ "action": action, "fault": { "refuse": fault } });
        if let Some(times) = times {
            rule["times"] = times.into();
        }
        self.lab
            .admin("PUT", "/-/faults", json!({ "rules": [rule] }))
            .await;
    }
}

async fn engine(lab: &Laboratory, clock: &SimulatedClock, name: &str) -> Engine {
    static COMPILED: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let cwasm_cache = Some(COMPILED.path().to_owned());
    let runtime = Runtime::new(Config {
        cwasm_cache,
        ..Config::default()
    });
    let settings = Settings {
        state: lab.path(name),
        runtime: runtime.unwrap(),
        clock: Arc::new(clock.clone()),
    };
    Engine::open(settings).await.unwrap()
}

fn in_simulated_time(work: impl AsyncFnOnce(Scene)) {
    let begin = "2026-03-01T00:00:00Z".parse().unwrap();
    SimulatedClock::run(begin, async |clock| work(Scene::new(clock).await).await);
}

#[test]
fn what_nobody_resumes_is_released_by_the_cloud() {
    in_simulated_time(async |scene| {
        scene.killed_at_build().await;
        let (before, network) = (scene.bill().await, ["securitygroup", "vpc", "vswitch"]);
        assert!(before.contains(&"instance".to_owned()), "{before:?}");
        scene.clock.sleep(HOUR * 9).await;
        assert_eq!(scene.bill().await, before, "that was too early");
        scene.clock.sleep(HOUR * 2).await;
        assert_eq!(scene.bill().await, network);
        // What costs nothing is left to the second net.
        let other = engine(&scene.lab, &scene.clock, "other").await;
        scene.clear_away(&other).await;
        assert_eq!(scene.bill().await, Vec::<String>::new());
    });
}

#[test]
fn a_run_that_is_resumed_after_its_release_says_so_and_leaves_nothing() {
    in_simulated_time(async |scene| {
        scene.killed_at_build().await;
        scene.clock.sleep(HOUR * 11).await;
        let manifest = scene.drive().await.unwrap();
        assert_eq!(manifest.status, Status::Failed, "{manifest:?}");
        let error = manifest.error.unwrap();
        assert!(error.contains("instance"), "{error}");
        assert!(manifest.left.is_empty(), "{:?}", manifest.left);
        assert_eq!(scene.bill().await, Vec::<String>::new());
    });
}

#[test]
fn a_run_that_lives_is_not_released_however_long_it_takes() {
    in_simulated_time(async |scene| {
        let begun = scene.clock.now();
        let manifest = scene.drive().await.unwrap();
        assert_eq!(manifest.status, Status::Success, "{:?}", manifest.error);
        let took = scene.clock.now().duration_since(begun).as_mins();
        assert!(
            took > 10 * 60 + 30,
            "{took} minutes are less than the release time"
        );
        // Once for every two hours, and not with every renewal of the lease.
        let put_off = scene.asked("ModifyInstanceAutoReleaseTime").await.len();
        assert!((4..=8).contains(&put_off), "{put_off} times");
        assert_eq!(scene.bill().await, ["image", "snapshot"]);
    });
}

#[test]
fn a_network_in_which_something_is_left_for_a_while_goes_later() {
    for action in ["DeleteSecurityGroup", "DeleteVSwitch", "DeleteVpc"] {
        in_simulated_time(async |scene| {
            scene.killed_at_build().await;
            scene.engine.cancel(&scene.run).await.unwrap();
            scene.refuse(action, Some(6)).await;
            let manifest = scene.drive().await.unwrap();
            assert_eq!(manifest.status, Status::Cancelled, "{action}");
            assert!(manifest.left.is_empty(), "{action}: {:?}", manifest.left);
            assert_eq!(scene.bill().await, Vec::<String>::new(), "{action}");
            let refused = scene.asked(action).await;
            let refused = refused.iter().filter(|code| *code == "DependencyViolation");
            assert_eq!(refused.count(), 6, "{action}");
        });
    }
}

#[test]
fn a_network_in_which_something_stays_is_named_and_can_be_removed_later() {
    in_simulated_time(async |scene| {
        scene.killed_at_build().await;
        scene.engine.cancel(&scene.run).await.unwrap();
        scene.refuse("DeleteSecurityGroup", None).await;
        let begun = scene.clock.now();
        let ended = scene.drive().await;
        let Err(error @ EngineError::Left { .. }) = ended else {
            unreachable!("{ended:?}");
        };
        assert!(error.to_string().contains("DependencyViolation"), "{error}");
        // It was tried for as long as the cloud usually needs, and no longer.
        let took = scene.clock.now().duration_since(begun).as_mins();
        assert!((3..=10).contains(&took), "{took} minutes");
        // Nothing that is left costs anything.
        assert_eq!(scene.bill().await, ["securitygroup", "vpc"]);
        scene.lab.admin("PUT", "/-/faults", json!({})).await;
        // The run has not ended: whoever resumes it tries again.
        let manifest = scene.drive().await.unwrap();
        assert_eq!(manifest.status, Status::Cancelled);
        assert_eq!(scene.bill().await, Vec::<String>::new());
    });
}
