//! How much longer a build takes than its cloud, and how often it asks: measured on the
//! simulation, for the test that holds it and the benchmark that prints it.

use std::collections::BTreeMap;
use std::time::Duration;

use darkroom_engine::{Pace, Status};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::laboratory::Laboratory;
use crate::simulated_clock::SimulatedClock;

/// Seconds that an instance takes to start, to stop, and an image to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    /// Of each of the two instances: the one that is built on and the one that is tested.
    pub start: f64,
    /// Of the one that is built on.
    pub stop: f64,
    /// The image.
    pub image: f64,
}

impl Latencies {
    /// What a build can't be faster than.
    pub fn sum(self) -> f64 {
        2.0 * self.start + self.stop + self.image
    }

    /// What a client needs that asks every 5 seconds, and how many Describe calls for it.
    pub fn each_5_seconds(self) -> (f64, f64) {
        let rounds = |seconds: f64| (seconds / 5.0).ceil();
        let all = 2.0 * rounds(self.start) + rounds(self.stop) + rounds(self.image);
        (5.0 * all, all + 4.0)
    }
}

/// What one build came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Seconds from its begin to its end.
    pub seconds: f64,
    /// Calls that only look, of all kinds.
    pub describes: usize,
    /// Those of them that looked whether something was so.
    pub polls: u64,
}

/// Where builds have their instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// In a network that the template names, with the type of the instance.
    Named,
    /// In one that each build makes and removes, of a type that it finds.
    Temporary,
}

/// A template with one step.
fn template(number: usize, named: Option<&(String, String)>) -> String {
    let instance = named.map_or_else(String::new, |(vswitch, group)| {
        format!("instance: {{ type: ecs.g7.large, vswitch: {vswitch}, security-group: {group} }}\n")
    });
    format!(
        "\
name: web-{number}
source: {{ family: debian-12 }}
{instance}build:
  - run: make install
"
    )
}

/// Builds with each of these latencies, one after the other, in simulated time.
pub fn one_by_one(all: &[Latencies], network: Network) -> Vec<Figures> {
    in_simulated_time(async |clock, lab| {
        let there = lab.network("cn-hangzhou").await;
        let named = (network == Network::Named).then_some(&there);
        let mut figures = Vec::new();
        for (number, latencies) in all.iter().enumerate() {
            set(lab, *latencies).await;
            let (begin, before) = (clock.now(), asked(lab, 0).await);
            let polls = lab.engine.polls();
            let text = template(number, named);
            let (outcome, _) = lab.build_at(Pace::LOCAL, &text).await;
            let manifest = &outcome.manifest;
            assert_eq!(manifest.status, Status::Success, "{:?}", manifest.error);
            let seconds = clock.now().duration_since(begin).as_secs_f64();
            let describes = asked(lab, before.last).await.describes();
            figures.push(Figures {
                seconds,
                describes,
                polls: lab.engine.polls() - polls,
            });
        }
        figures
    })
}

/// What many builds at once came to.
#[derive(Clone, Debug)]
pub struct Many {
    /// Seconds of each, added up.
    pub seconds: f64,
    /// Calls of each action.
    pub calls: BTreeMap<String, usize>,
    /// Calls that looked whether something was so.
    pub polls: u64,
}

impl Many {
    /// Polls for each that a client would have made which asks every 5 seconds.
    pub fn ratio(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of calls is small")]
        let polls = self.polls as f64;
        self.seconds / 5.0 / polls
    }
}

/// Many builds at once on a cloud that is as slow as a real one, in simulated time.
pub fn many(count: usize) -> Many {
    in_simulated_time(async |clock, lab| {
        let latencies = json!({
            "start": {"median": 30.0, "p95": 70.0}, "agent": {"median": 10.0, "p95": 30.0},
            "stop": {"median": 15.0, "p95": 30.0}, "reboot": {"median": 40.0, "p95": 80.0},
            "delete": 5.0, "image": {"median": 120.0, "p95": 300.0},
            "copy": 300.0, "command": {"median": 2.0, "p95": 6.0},
        });
        lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
            .await;
        let network = lab.network("cn-hangzhou").await;
        let before = asked(lab, 0).await.last;
        let one = async |number: usize| {
            let begin = clock.now();
            let (outcome, _) = lab.build(&template(number, Some(&network))).await;
            let manifest = &outcome.manifest;
            assert_eq!(manifest.status, Status::Success, "{:?}", manifest.error);
            clock.now().duration_since(begin).as_secs_f64()
        };
        let seconds = join_all((0..count).map(one)).await;
        Many {
            seconds: seconds.iter().sum(),
            calls: asked(lab, before).await.calls,
            polls: lab.engine.polls(),
        }
    })
}

fn in_simulated_time<T>(work: impl AsyncFnOnce(&SimulatedClock, &Laboratory) -> T) -> T {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    SimulatedClock::run(begin, async |clock| {
        let lab = Laboratory::in_time_of(&clock).await;
        let result = work(&clock, &lab).await;
        // What still runs in the cloud has its end.
        clock.sleep(Duration::from_mins(1)).await;
        result
    })
}

async fn set(lab: &Laboratory, latencies: Latencies) {
    let latencies = json!({
        "start": latencies.start, "stop": latencies.stop, "image": latencies.image,
    });
    lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
        .await;
}

/// What the cloud has been asked for.
struct Asked {
    calls: BTreeMap<String, usize>,
    /// The number of the last request.
    last: i64,
}

impl Asked {
    fn describes(&self) -> usize {
        let reads = self.calls.iter();
        let reads = reads.filter(|(action, _)| action.starts_with("Describe"));
        reads.map(|(_, count)| count).sum()
    }
}

async fn asked(lab: &Laboratory, after: i64) -> Asked {
    let mut calls = BTreeMap::new();
    let mut last = after;
    loop {
        let path = format!("/-/requests?limit=1000&after={last}");
        let page = lab.admin("GET", &path, Value::Null).await;
        let requests = page["requests"].as_array().unwrap();
        if requests.is_empty() {
            return Asked { calls, last };
        }
        for request in requests {
            let action = request["action"].as_str().unwrap().to_owned();
            *calls.entry(action).or_default() += 1;
            last = last.max(request["number"].as_i64().unwrap());
        }
    }
}

/// Latencies from 1 to 12 seconds, the same for the same seed.
pub fn random(count: usize, seed: u64) -> Vec<Latencies> {
    let mut state = seed;
    let mut draw = || {
        // Knuth's linear congruential generator: good enough for seconds.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(state >> 32).unwrap_or_default();
        1.0 + 11.0 * f64::from(high) / f64::from(u32::MAX)
    };
    let mut one = || Latencies {
        start: draw(),
        stop: draw(),
        image: draw(),
    };
    (0..count).map(|_| one()).collect()
}
