//! Many builds at once in simulated time: hours of a slow cloud pass in seconds, and how
//! long each build took is what its waits add up to.

use std::time::{Duration, Instant};

use darkroom_engine::Status;
use darkroom_tests::laboratory::Laboratory;
use darkroom_tests::simulated_clock::SimulatedClock;
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;

const BUILDS: usize = 6;

/// Seconds that things take: a boot and its agent, the reboot, the image, and so on.
const LATENCIES: [(&str, f64); 8] = [
    ("start", 40.0),
    ("agent", 15.0),
    ("stop", 20.0),
    ("reboot", 45.0),
    ("delete", 5.0),
    ("image", 180.0),
    ("copy", 600.0),
    ("command", 2.0),
];

fn template(number: usize) -> String {
    format!(
        "\
name: web-{number}
source: {{ family: debian-12 }}
build:
  - run: make install
  - reboot: {{}}
distribute: {{ regions: [cn-hangzhou, cn-beijing] }}
"
    )
}

#[test]
fn hours_of_many_builds_pass_in_seconds() {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let real = Instant::now();
    let took = SimulatedClock::run(begin, async |clock| {
        let lab = Laboratory::in_time_of(&clock).await;
        let latencies: serde_json::Map<_, _> = LATENCIES
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), json!(seconds)))
            .collect();
        lab.admin("PUT", "/-/sim", json!({ "latencies": latencies }))
            .await;
        let build = async |number: usize| {
            let (outcome, _) = lab.build(&template(number)).await;
            assert_eq!(
                (outcome.manifest.status, outcome.manifest.error.as_deref()),
                (Status::Success, None)
            );
            clock.now().duration_since(begin)
        };
        let took = join_all((0..BUILDS).map(build)).await;
        let ledger = lab.admin("GET", "/-/ledger", json!(null)).await;
        let open = ledger["entries"].as_array().unwrap();
        let instances = open.iter().filter(|one| one["kind"] == "instance");
        assert_eq!(instances.count(), 0, "{open:?}");
        took
    });
    // Two boots, one reboot, the image and the copy to another region at least; five
    // copies into a region at once.
    let least = 2.0 * 55.0 + 45.0 + 180.0 + 600.0;
    let turns = f64::from(u32::try_from(BUILDS.div_ceil(5)).unwrap());
    for one in &took {
        let seconds = one.as_secs_f64();
        assert!(seconds >= least, "{seconds}");
        assert!(seconds <= turns * 600.0 + 900.0, "{seconds}");
    }
    println!(
        "{BUILDS} builds: {} s simulated, {:.1} s real",
        took.iter().max().unwrap().as_secs(),
        real.elapsed().as_secs_f64()
    );
    assert!(real.elapsed() < Duration::from_mins(10));
}
