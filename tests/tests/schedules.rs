//! Random schedules: builds under seeded plans of faults and crashes leave nothing behind.
//!
//! `darkroom chaos` is the same for a template of one's own. `make test` plays 300, or as
//! many as there is time for, `DARKROOM_LONG=1` 10,000, `DARKROOM_SCHEDULES` says another
//! number. `DARKROOM_SEED` says where seeds begin.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use darkroom_chaos::{Many, Stage, Subject, many, schedule};
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::{CheckWith, Secret, Status, check};
use darkroom_runtime::{Config, Runtime};
use darkroom_template::{Cloud, ResolveWith};
use darkroom_tests::guests;
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

/// How long `make test` plays.
const BUDGET: Duration = Duration::from_secs(30);

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

#[test]
fn whatever_goes_wrong_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let given = std::env::var("DARKROOM_SEED").ok();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or(now.as_secs());
    let long = std::env::var_os("DARKROOM_LONG").is_some_and(|value| value == "1");
    let given = std::env::var("DARKROOM_SCHEDULES").ok();
    let given: Option<u64> = given.and_then(|text| text.parse().ok());
    let is_whole = long || given.is_some();
    let schedules = given.unwrap_or(if long { 10_000 } else { 300 });
    println!("random schedules: DARKROOM_SEED={seed}");
    let start = Instant::now();
    let many = Many {
        schedules,
        seed,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        // As many as there is time for: on a machine of two processors not all.
        until: (!is_whole).then(|| start + BUDGET),
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
    assert!(summary.schedules == schedules || !is_whole);
    assert!(summary.schedules > 0);
}
