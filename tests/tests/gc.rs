//! Runs are killed at random moments, never resumed, and their state folder is lost: what
//! they left is found by its tags and goes. What somebody else's live run uses stays.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use darkroom_engine::gc::{Fate, Item, Scope, What};
use darkroom_engine::{Begin, Drive, Engine, Event, Pace, Settings, Status};
use darkroom_journal::RunId;
use darkroom_runtime::{Config, Runtime};
use darkroom_tests::laboratory::Laboratory;
use darkroom_tests::simulated_clock::SimulatedClock;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many runs are killed: 50 in the long tier, else a sample.
fn runs() -> u32 {
    let long = std::env::var_os("DARKROOM_LONG").is_some_and(|value| value == "1");
    if long { 50 } else { 10 }
}

/// About how long a whole run takes, in simulated seconds.
const WHOLE: u64 = 820;

const TEMPLATE: &str = "\
name: web
source: { family: debian-12 }
repair: none
build:
  - run: make install
distribute: { regions: [cn-hangzhou, cn-beijing] }
";

async fn engine(lab: &Laboratory, clock: &SimulatedClock, name: &str) -> Engine {
    let settings = Settings {
        state: lab.path(name),
        runtime: Runtime::new(Config {
            cwasm_cache: Some(lab.path("compiled")),
            ..Config::default()
        })
        .unwrap(),
        clock: Arc::new(clock.clone()),
    };
    Engine::open(settings).await.unwrap()
}

async fn begin(lab: &Laboratory, engine: &Engine, number: u32) -> RunId {
    let checked = lab.check(TEMPLATE).unwrap();
    let begin = Begin {
        file: "image.yaml",
        folder: &lab.path("components"),
        account: None,
        parameters: &[],
        random: number.to_be_bytes(),
        refresh: false,
        layers: false,
        secrets: darkroom_engine::secret::none(),
    };
    engine.begin(&checked, &begin).await.unwrap()
}

fn driven(lab: &Laboratory) -> Drive {
    Drive::new(lab.client(0), Pace::REMOTE, Arc::new(|_: &Event| ()))
}

async fn latencies(lab: &Laboratory, image: f64) {
    let latencies = json!({ "start": 40.0, "agent": 15.0, "stop": 20.0, "delete": 5.0,
        "image": image, "copy": 400.0, "command": 5.0 });
    lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
        .await;
}

/// The bill, one line each, such as `instance i-1`.
async fn bill(lab: &Laboratory) -> Vec<String> {
    let ledger = lab.admin("GET", "/-/ledger", Value::Null).await;
    let open = ledger["entries"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut lines: Vec<_> = open
        .map(|one| format!("{} {}", text(&one["kind"]), text(&one["resource"])))
        .collect();
    lines.sort();
    lines
}

/// Pseudo-random, the same in each run of the test.
fn moment(seed: u64, number: u32) -> Duration {
    let mut state = seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^= state >> 29;
    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state ^= state >> 32;
    Duration::from_millis(state % (WHOLE * 1000))
}

#[test]
fn what_dead_runs_left_goes_and_what_a_live_one_uses_stays() {
    let begun: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let (seed, runs, real) = (20_261_123, runs(), Instant::now());
    SimulatedClock::run(begun, async |clock| {
        let lab = Laboratory::in_time_of(&clock).await;
        latencies(&lab, 180.0).await;
        let doomed = engine(&lab, &clock, "doomed").await;
        let ran = join_all((0..runs).map(async |number| {
            let run = begin(&lab, &doomed, number).await;
            tokio::select! {
                ended = doomed.drive(&run, driven(&lab)) => ended.is_ok(),
                () = clock.sleep(moment(seed, number)) => false,
            }
        }));
        let ended = ran.await.into_iter().filter(|ended| *ended).count();
        drop(doomed);
        std::fs::remove_dir_all(lab.path("doomed")).unwrap();
        assert_eq!(ended, 0, "some runs were through before they were killed");
        assert!(bill(&lab).await.len() > 20);
        // A live run of another host, older than any lease: it must have renewed its own.
        latencies(&lab, 6000.0).await;
        let other = engine(&lab, &clock, "other").await;
        let live = begin(&lab, &other, runs).await;
        let gc = async {
            clock.sleep(Duration::from_mins(80)).await;
            clear(&lab, &clock, &live, usize::try_from(runs).unwrap()).await;
        };
        let (ended, ()) = tokio::join!(other.drive(&live, driven(&lab)), gc);
        assert_eq!(ended.unwrap().manifest.status, Status::Success);
        let kinds: Vec<_> = bill(&lab).await;
        let kinds: Vec<_> = kinds
            .iter()
            .map(|one| one.split(' ').next().unwrap())
            .collect();
        assert_eq!(kinds, ["image", "image", "snapshot", "snapshot"]);
        // Nor is anything of a run that has ended taken for a leftover.
        clock.sleep(Duration::from_hours(24)).await;
        let items = look(&lab, &clock, "third").await;
        assert!(
            items.iter().all(|item| item.fate == Fate::Leave),
            "{items:?}"
        );
    });
    println!(
        "{runs} runs killed with the seed {seed}: {:.1} s",
        real.elapsed().as_secs_f64()
    );
}

/// Looks as a host that knows of nothing.
async fn look(lab: &Laboratory, clock: &SimulatedClock, name: &str) -> Vec<Item> {
    let fresh = engine(lab, clock, name).await;
    let scope = Scope::default();
    fresh
        .litter(&lab.client(0), Pace::REMOTE, &scope)
        .await
        .unwrap()
}

async fn clear(lab: &Laboratory, clock: &SimulatedClock, live: &RunId, runs: usize) {
    let items = look(lab, clock, "first").await;
    let of = |what: What, fate: Fate| {
        let these = items
            .iter()
            .filter(|one| one.what == what && one.fate == fate);
        these.count()
    };
    assert!(of(What::Instance, Fate::Remove) > runs / 2, "{items:?}");
    assert!(of(What::Image, Fate::Remove) > runs / 5);
    assert!(of(What::Network, Fate::Remove) > runs / 2);
    let stays = items.iter().filter(|item| item.fate == Fate::Leave);
    let stays: Vec<_> = stays.collect();
    assert!(stays.iter().all(|item| item.run == *live), "{stays:?}");
    assert!(stays.iter().any(|item| item.what == What::Instance));
    let fresh = engine(lab, clock, "second").await;
    let client = lab.client(0);
    for item in items.iter().filter(|item| item.fate == Fate::Remove) {
        fresh.clear(&client, Pace::REMOTE, item).await.unwrap();
    }
    // What is on the bill now is the live run's.
    let ours: Vec<_> = stays.iter().map(|item| item.id.clone()).collect();
    let bill = bill(lab).await;
    let named = bill.iter().filter(|line| {
        let (kind, id) = line.split_once(' ').unwrap();
        ["instance", "image", "vpc"].contains(&kind) && !ours.contains(&id.to_owned())
    });
    assert_eq!(named.collect::<Vec<_>>(), Vec::<&String>::new());
    let again = look(lab, clock, "again").await;
    assert!(again.iter().all(|item| item.run == *live), "{again:?}");
}
