//! Random schedules: builds under seeded plans of faults and crashes leave nothing behind.
//!
//! `darkroom chaos` is the same for a template of one's own. `make test` plays 300,
//! `DARKROOM_LONG=1` 10,000, `DARKROOM_SCHEDULES` says another number. `DARKROOM_SEED` says where seeds begin.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use darkroom_chaos::{Many, Stage, Subject, many, schedule};
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::{CheckWith, Secret, Status, check};
use darkroom_runtime::{Config, Runtime};
use darkroom_template::{Cloud, ResolveWith};
use darkroom_tests::guests;
use darkroom_tests::house::{Driver, House};
use serde_json::json;

const TEMPLATE: &str = "\
name: web
source: { family: debian-12 }
secrets:
  password: { env: PASSWORD }
build:
  - uses: darkroom:all-roles
    with: { greeting: good day }
  - run: install --with \"$PASSWORD\"
    env: { PASSWORD: '${{ secrets.password }}' }
  - reboot: {}
image: { family: web }
distribute: { regions: [cn-hangzhou, cn-beijing], accounts: ['2000000000000002'] }
";

fn stage(folder: &std::path::Path) -> Stage {
    let runtime = Runtime::new(Config {
        cwasm_cache: Some(folder.join("compiled")),
        ..Config::default()
    });
    let runtime = Arc::new(runtime.unwrap());
    let system = folder.join("components");
    guests::system_folder(&runtime, &system);
    let with = CheckWith {
        file_name: "image.yaml",
        resolve: ResolveWith {
            cloud: Cloud::Local,
            parameters: &[],
            region: None,
        },
        shelf: Shelf::Live {
            system: &system,
            template: folder,
            packages: &Packages::new(),
        },
    };
    let subject = Subject {
        checked: check(&runtime, TEMPLATE, &with).unwrap(),
        file: "image.yaml".into(),
        folder: folder.to_owned(),
        parameters: Vec::new(),
        secrets: Arc::new(|_, name| Box::pin(async move { Ok(Secret::new(name)) })),
    };
    let mut well = schedule::well();
    well["rules"] = json!([{ "match": "cat /var/www/html/index.html", "output": "good day" }]);
    let (stage, calm) = Stage::make(subject, runtime, well).unwrap();
    assert_eq!((calm.status, calm.error), (Status::Success, None));
    stage
}

/// Where the short tier's seeds begin: the same schedules each time, so that one that fails
/// was broken by what has changed since. The long tier draws others each time.
const SEED: u64 = 1_795_420_297;

#[test]
fn whatever_goes_wrong_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let given = std::env::var("DARKROOM_SEED").ok();
    let long = std::env::var_os("DARKROOM_LONG").is_some_and(|value| value == "1");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed =
        given
            .and_then(|text| text.parse().ok())
            .unwrap_or(if long { now.as_secs() } else { SEED });
    let given = std::env::var("DARKROOM_SCHEDULES").ok();
    let given: Option<u64> = given.and_then(|text| text.parse().ok());
    let schedules = given.unwrap_or(if long { 10_000 } else { 300 });
    println!("random schedules: DARKROOM_SEED={seed}");
    let start = Instant::now();
    let many = Many {
        schedules,
        seed,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let summary = many::play(&stage, many, &|_| {}).unwrap();
    println!(
        "random schedules: {} of {schedules} in {:.1} s; {} processes, {} crashes, {} requests; {:?}; {:?}",
        summary.schedules,
        start.elapsed().as_secs_f64(),
        summary.lives,
        summary.crashes,
        summary.requests,
        summary.endings,
        summary.mishaps,
    );
    if let Some(failing) = summary.failing {
        let plan = serde_json::to_string(&failing.least).unwrap();
        panic!(
            "seed {}: {}\nthe least plan: {plan}",
            failing.drawn.seed, failing.problem
        );
    }
    assert_eq!(summary.schedules, schedules);
}

/// `darkroom chaos` itself: a cloud that hardly ever deletes anything leaves something, and
/// whoever builds in it is told, with the least plan and the seed that plays it again.
#[test]
fn what_is_left_is_found_made_small_and_told() {
    let house = House::new(Driver::Sim);
    let runtime = Runtime::new(Config::default()).unwrap();
    guests::system_folder(&runtime, &house.path("components"));
    house.write("image.yaml", TEMPLATE);
    let rules = json!([{ "match": "cat /var/www/html/index.html", "output": "good day" }]);
    let mut script = schedule::well();
    script["rules"] = rules;
    house.write("well.json", &script.to_string());
    script["latencies"]["delete"] = json!({ "median": 1.0, "p95": 100_000.0 });
    house.write("leaky.json", &script.to_string());
    let chaos = |runs: &str, script: &str| {
        let arguments = ["chaos", "--runs", runs, "--seed", "11", "--script", script];
        house.command(&arguments).output().unwrap()
    };
    let sound = chaos("1", "well.json");
    let said = String::from_utf8_lossy(&sound.stdout).into_owned();
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(said.contains("leaks                    0"), "{said}");
    let leaky = chaos("4", "leaky.json");
    let said = String::from_utf8_lossy(&leaky.stdout).into_owned();
    assert_eq!(leaky.status.code(), Some(1), "{leaky:?}");
    assert!(said.contains("leaks                    1"), "{said}");
    assert!(said.contains("The least plan of seed 1"), "{said}");
    assert!(said.contains("Again: --runs 1 --seed 1"), "{said}");
    // Nothing had to go wrong beside that.
    assert!(said.contains("\"mishaps\": []"), "{said}");
}
