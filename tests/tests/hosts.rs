//! One run on two machines: its state folder was copied, and both go on with it. The one
//! that came later has it; the other stops, says so, and undoes nothing.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use darkroom_ecs::action::{DescribeInstances, Instance, Tag};
use darkroom_engine::event::Kind;
use darkroom_engine::{
    Begin, Drive, Engine, EngineError, Event, Outcome, Pace, Settings, Status, Trouble,
};
use darkroom_journal::RunId;
use darkroom_runtime::{Config, Runtime};
use darkroom_tests::laboratory::{Laboratory, region};
use darkroom_tests::simulated_clock::SimulatedClock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

const TEMPLATE: &str = "\
name: web
source: { family: debian-12 }
build:
  - run: make install
image: { family: web }
distribute: { regions: [cn-hangzhou, cn-beijing] }
";

/// A machine with a state folder.
struct Host {
    engine: Engine,
    state: PathBuf,
}

impl Host {
    async fn new(lab: &Laboratory, clock: &SimulatedClock, name: &str) -> Self {
        Self::at(clock, lab.path(name)).await
    }

    async fn at(clock: &SimulatedClock, state: PathBuf) -> Self {
        let engine = Engine::open(Settings {
            state: state.clone(),
            runtime: runtime(),
            clock: Arc::new(clock.clone()),
        });
        let engine = engine.await.unwrap();
        Self { engine, state }
    }

    /// Another machine with a copy of the state folder as it is now.
    async fn copied(&self, lab: &Laboratory, clock: &SimulatedClock, name: &str) -> Self {
        let to = lab.path(name);
        copy(&self.state, &to);
        Self::at(clock, to).await
    }

    async fn begin(&self, lab: &Laboratory) -> RunId {
        let checked = lab.check(TEMPLATE).unwrap();
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
        self.engine.begin(&checked, &begin).await.unwrap()
    }

    async fn drive(&self, lab: &Laboratory, run: &RunId) -> Result<Outcome, EngineError> {
        let drive = Drive::new(lab.client(0), Pace::REMOTE, Arc::new(|_: &Event| ()));
        self.engine.drive(run, drive).await
    }

    /// Drives until a stage begins, and no further.
    async fn drive_until(&self, lab: &Laboratory, run: &RunId, wanted: &str) {
        let reached = Arc::new(tokio::sync::Notify::new());
        let watcher = Arc::new({
            let (reached, wanted) = (Arc::clone(&reached), wanted.to_owned());
            move |event: &Event| {
                if matches!(&event.kind, Kind::StageStarted { path, .. } if *path == wanted) {
                    reached.notify_one();
                }
            }
        });
        let drive = Drive::new(lab.client(0), Pace::REMOTE, watcher);
        let early = tokio::select! {
            ended = self.engine.drive(run, drive) => Some(ended),
            () = reached.notified() => None,
        };
        assert!(early.is_none(), "{wanted} did not come: {early:?}");
    }
}

/// What calls components, which are compiled once for all machines.
fn runtime() -> Runtime {
    static COMPILED: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let cwasm_cache = Some(COMPILED.path().to_owned());
    Runtime::new(Config {
        cwasm_cache,
        ..Config::default()
    })
    .unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn laboratory(clock: &SimulatedClock) -> Laboratory {
    let lab = Laboratory::in_time_of(clock).await;
    let latencies = json!({ "start": 40.0, "agent": 15.0, "stop": 20.0, "delete": 5.0,
        "image": 180.0, "copy": 600.0, "command": 20.0 });
    lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
        .await;
    lab
}

fn in_simulated_time<T>(work: impl AsyncFnOnce(SimulatedClock) -> T) -> T {
    SimulatedClock::run("2026-03-01T00:00:00Z".parse().unwrap(), work)
}

async fn instances(lab: &Laboratory, run: &RunId) -> Vec<Instance> {
    let action = DescribeInstances {
        region_id: region("cn-hangzhou"),
        tag: vec![Tag {
            key: "darkroom:run".into(),
            value: run.to_string(),
        }],
        ..DescribeInstances::default()
    };
    let client = lab.client(0);
    let found = client.call(&action.region_id.clone(), &action).await;
    found.unwrap().instances.instance
}

/// What is on the bill, by kind.
async fn ledger(lab: &Laboratory) -> Vec<String> {
    let ledger = lab.admin("GET", "/-/ledger", Value::Null).await;
    let open = ledger["entries"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = open
        .map(|one| one["kind"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    kinds
}

/// How many of an action were asked for and not only tried.
async fn asked(lab: &Laboratory, action: &str) -> usize {
    let path = format!("/-/requests?action={action}&limit=1000");
    let asked = lab.admin("GET", &path, Value::Null).await;
    let asked = asked["requests"].as_array().unwrap().iter();
    let mut tokens: Vec<_> = asked
        .filter(|one| one["params"]["DryRun"].is_null())
        .map(|one| one["params"]["ClientToken"].to_string())
        .collect();
    tokens.sort();
    tokens.dedup();
    tokens.len()
}

fn is_superseded(ended: &Result<Outcome, EngineError>) -> bool {
    match ended {
        Err(error @ EngineError::Superseded { trouble, .. }) => {
            assert!(matches!(trouble, Trouble::Superseded { .. }));
            assert!(error.hint().unwrap().contains("resumed last"), "{error:?}");
            true
        }
        _ => false,
    }
}

async fn assert_whole(lab: &Laboratory, ended: Result<Outcome, EngineError>) {
    let outcome = ended.unwrap();
    assert_eq!(outcome.manifest.status, Status::Success, "{outcome:?}");
    assert_eq!(
        ledger(lab).await,
        ["image", "image", "snapshot", "snapshot"]
    );
    assert_eq!(asked(lab, "RunInstances").await, 2);
    assert_eq!(asked(lab, "CreateImage").await, 1);
}

#[test]
fn a_run_that_is_resumed_from_a_copy_stops_where_it_was() {
    in_simulated_time(async |clock| {
        let lab = laboratory(&clock).await;
        let old = Host::new(&lab, &clock, "one").await;
        let run = old.begin(&lab).await;
        let there = Arc::new(tokio::sync::Notify::new());
        let both = async {
            // The copy is made while the first one is in the middle of its build.
            there.notified().await;
            let new = old.copied(&lab, &clock, "two").await;
            new.drive(&lab, &run).await
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watcher = Arc::new({
            let (there, seen) = (Arc::clone(&there), Arc::clone(&seen));
            move |event: &Event| {
                if let Kind::StageStarted { path, .. } = &event.kind {
                    seen.lock().unwrap().push(path.clone());
                    if path == "build" {
                        there.notify_one();
                    }
                }
            }
        });
        let drive = Drive::new(lab.client(0), Pace::REMOTE, watcher);
        let (first, second) = tokio::join!(old.engine.drive(&run, drive), both);
        assert!(is_superseded(&first), "{first:?}");
        let seen = seen.lock().unwrap().clone();
        assert!(!seen.contains(&"clean up".to_owned()), "{seen:?}");
        assert_whole(&lab, second).await;
        // Nor does it undo anything when it is told to, now that the run has ended.
        old.engine.cancel(&run).await.unwrap();
        let again = old.drive(&lab, &run).await;
        assert!(is_superseded(&again), "{again:?}");
        assert_eq!(ledger(&lab).await.len(), 4);
    });
}

/// Both were copied from one folder, so that both are the run's second session.
#[test]
fn of_two_resumes_of_one_number_the_later_one_has_the_run() {
    for later in [0, 1] {
        in_simulated_time(async |clock| {
            let lab = laboratory(&clock).await;
            let dead = Host::new(&lab, &clock, "dead").await;
            let run = dead.begin(&lab).await;
            dead.drive_until(&lab, &run, "build").await;
            let hosts = [
                dead.copied(&lab, &clock, "one").await,
                dead.copied(&lab, &clock, "two").await,
            ];
            let drive = async |index: usize| {
                if index == later {
                    clock.sleep(Duration::from_secs(7)).await;
                }
                hosts[index].drive(&lab, &run).await
            };
            let ended = tokio::join!(drive(0), drive(1));
            let mut ended = [ended.0, ended.1].map(Some);
            let lost = ended[1 - later].take().unwrap();
            assert!(is_superseded(&lost), "{lost:?}");
            assert_whole(&lab, ended[later].take().unwrap()).await;
        });
    }
}

#[test]
fn an_older_copy_does_not_take_a_run_that_has_gone_on() {
    in_simulated_time(async |clock| {
        let lab = laboratory(&clock).await;
        let host = Host::new(&lab, &clock, "one").await;
        let run = host.begin(&lab).await;
        host.drive_until(&lab, &run, "repair").await;
        let copy = host.copied(&lab, &clock, "two").await;
        host.drive_until(&lab, &run, "build").await;
        host.drive_until(&lab, &run, "image").await;
        // The copy's second session, where the run has had three.
        let old = copy.drive(&lab, &run).await;
        assert!(is_superseded(&old), "{old:?}");
        assert_eq!(instances(&lab, &run).await.len(), 1);
        let ended = host.drive(&lab, &run).await;
        assert_whole(&lab, ended).await;
    });
}

#[test]
fn a_late_resume_puts_off_the_release_and_renews_the_lease() {
    in_simulated_time(async |clock| {
        let lab = laboratory(&clock).await;
        let host = Host::new(&lab, &clock, "one").await;
        let run = host.begin(&lab).await;
        host.drive_until(&lab, &run, "repair").await;
        let begun = clock.now();
        let release = async || -> Timestamp {
            let found = instances(&lab, &run).await;
            found[0].auto_release_time.parse().unwrap()
        };
        let hours = SignedDuration::from_hours;
        let first = release().await;
        assert!((first - begun).total(jiff::Unit::Hour).unwrap() > 9.9);
        clock.sleep(Duration::from_hours(7)).await;
        host.drive_until(&lab, &run, "build").await;
        let found = instances(&lab, &run).await;
        assert!(release().await.duration_since(clock.now()) > hours(10) - hours(1) / 60);
        let tag = |key: &str| found[0].tags.get(key).unwrap().to_owned();
        assert!(tag("darkroom:epoch").starts_with("2."), "{found:?}");
        let lease: Timestamp = tag("darkroom:lease").parse().unwrap();
        assert!(lease.duration_since(clock.now()) > SignedDuration::from_mins(40));
        let ended = host.drive(&lab, &run).await;
        assert_whole(&lab, ended).await;
    });
}
