//! A thousand builds in one process, on the simulation and in simulated time: how long
//! they compute, what memory each takes, and how often each asks the cloud.
//!
//! `cargo bench -p darkroom-tests --bench many_builds`; `DARKROOM_BUILDS=N` for another
//! number. The memory of a build is (RSS at N - RSS at 10) / (N - 10), cloud and engine
//! together.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark speaks to a person, and ends where something fails"
)]

use std::time::Instant;

use darkroom_engine::Status;
use darkroom_tests::laboratory::Laboratory;
use darkroom_tests::simulated_clock::SimulatedClock;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;

/// In a network that is there: a region has room for a hundred temporary ones.
fn template(number: usize, (vswitch, group): &(String, String)) -> String {
    format!(
        "\
name: web-{number}
source: {{ family: debian-12 }}
instance: {{ vswitch: {vswitch}, security-group: {group} }}
build:
  - run: make install
  - reboot: {{}}
"
    )
}

/// What some builds at once came to.
struct Figures {
    seconds: f64,
    simulated: f64,
    memory: f64,
    calls: f64,
}

fn build(count: usize) -> Figures {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let start = Instant::now();
    SimulatedClock::run(begin, async |clock| {
        let lab = Laboratory::in_time_of(&clock).await;
        let latencies = json!({
            "start": {"median": 30.0, "p95": 70.0}, "agent": {"median": 10.0, "p95": 30.0},
            "stop": {"median": 15.0, "p95": 30.0}, "reboot": {"median": 40.0, "p95": 80.0},
            "delete": 5.0, "image": {"median": 120.0, "p95": 300.0},
            "copy": 300.0, "command": {"median": 2.0, "p95": 6.0},
        });
        lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
            .await;
        let network = lab.network("cn-hangzhou").await;
        let one = async |number: usize| {
            let (outcome, _) = lab.build(&template(number, &network)).await;
            let manifest = &outcome.manifest;
            assert_eq!(manifest.status, Status::Success, "{:?}", manifest.error);
        };
        join_all((0..count).map(one)).await;
        let page = format!("/-/requests?limit=1&after={}", i64::MAX);
        lab.admin("GET", &page, json!(null)).await;
        let calls = lab.admin("GET", "/-/status", json!(null)).await["requests"]
            .as_f64()
            .unwrap_or_default();
        Figures {
            seconds: start.elapsed().as_secs_f64(),
            simulated: clock.now().duration_since(begin).as_secs_f64(),
            memory: resident(),
            calls,
        }
    })
}

/// Mebibytes of this process in memory (`VmRSS` of `proc_pid_status(5)`).
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}

fn main() {
    let count = std::env::var("DARKROOM_BUILDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let few = build(10);
    let many = build(count);
    #[expect(clippy::cast_precision_loss, reason = "a number of builds is small")]
    let number = count as f64;
    println!("{count} builds at once in one process, simulated time");
    println!("  real time               {:>10.1} s", many.seconds);
    println!("  simulated time          {:>10.0} s", many.simulated);
    println!("  builds a second         {:>10.1}", number / many.seconds);
    println!(
        "  memory a build          {:>10.3} MiB",
        (many.memory - few.memory) / (number - 10.0)
    );
    println!("  API calls a build       {:>10.1}", many.calls / number);
}
