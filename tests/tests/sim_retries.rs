//! Every row of the table of what is tried again, against the local cloud: each code is
//! answered to a build that needs the call, and what the build does then is read from the
//! cloud's own record of requests. In simulated time.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::collections::BTreeMap;

use darkroom_ecs::client::Class;
use darkroom_ecs::client::class::{Row, TABLE};
use darkroom_engine::Status;
use darkroom_tests::laboratory::Laboratory;
use darkroom_tests::simulated_clock::SimulatedClock;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Makes and removes everything that a build can: a network, instances, an image, a copy.
const WHOLE: &str = "\
name: web
source: { family: debian-12 }
build:
  - run: make install
distribute: { regions: [cn-hangzhou, cn-beijing] }
";

/// Deletes its image, whose test fails.
const DELETING: &str = "\
name: web
source: { family: debian-12 }
build:
  - run: make install
test:
  - run: check the page
on-test-failure: delete
";

/// What the first of them calls, and changes something.
const CALLED: [&str; 11] = [
    "RunInstances",
    "CreateImage",
    "CopyImage",
    "StopInstance",
    "CreateVpc",
    "CreateVSwitch",
    "CreateSecurityGroup",
    "DeleteInstance",
    "DeleteSecurityGroup",
    "DeleteVSwitch",
    "DeleteVpc",
];

/// How often each code is answered before the call is let through.
const TIMES: usize = 2;

fn laboratory(work: impl AsyncFnOnce(Laboratory)) {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    SimulatedClock::run(begin, async |clock| {
        work(Laboratory::in_time_of(&clock).await).await;
    });
}

/// One request, as the cloud has seen it.
struct Seen {
    code: Option<String>,
    params: Value,
}

async fn seen(lab: &Laboratory, action: &str) -> Vec<Seen> {
    let path = format!("/-/requests?action={action}&limit=1000");
    let found = lab.admin("GET", &path, Value::Null).await;
    let requests = found["requests"].as_array().unwrap().iter();
    let read = |one: &Value| Seen {
        code: one["code"].as_str().map(ToOwned::to_owned),
        params: one["params"].clone(),
    };
    requests.map(read).collect()
}

async fn billed(lab: &Laboratory) -> BTreeMap<String, usize> {
    let ledger = lab.admin("GET", "/-/ledger", Value::Null).await;
    let mut kinds = BTreeMap::new();
    for entry in ledger["entries"].as_array().unwrap() {
        let kind = entry["kind"].as_str().unwrap().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

fn refusal(action: &str, code: &str, times: Option<usize>) -> Value {
    let status = match Class::of_code(action, &code.into()) {
        Class::Throttling => 400,
        Class::Fault => 500,
        _ => 403,
    };
    let refuse = json!({ "status": status, "code": code, "message": "on purpose" });
    json!({ "action": action, "times": times, "fault": { "refuse": refuse } })
}

/// One code that is answered to one action.
type Case = (&'static str, String);

/// A case for each row, in as few builds as can be: a build has one of each action.
fn rounds(called: &[&'static str], rows: impl Iterator<Item = &'static Row>) -> Vec<Vec<Case>> {
    let mut rounds: Vec<Vec<Case>> = Vec::new();
    for row in rows {
        let code = row.code.trim_end_matches(".*").to_owned();
        let fitting = called
            .iter()
            .filter(|action| row.actions.is_empty() || row.actions.contains(action));
        let free = |round: &Vec<Case>, action: &str| round.iter().all(|(one, _)| *one != action);
        let mut fitting = fitting.copied().peekable();
        let first = *fitting.peek().unwrap();
        let place = fitting.find_map(|action| {
            let at = rounds.iter().position(|round| free(round, action))?;
            Some((at, action))
        });
        match place {
            Some((at, action)) => rounds[at].push((action, code)),
            None => rounds.push(vec![(first, code)]),
        }
    }
    rounds
}

/// What became of a case: refused so often, then granted, with the token that it must have.
async fn check(lab: &Laboratory, action: &str, code: &str) {
    let requests = seen(lab, action).await;
    let refused: Vec<_> = requests
        .iter()
        .filter(|one| one.code.as_deref() == Some(code))
        .collect();
    assert_eq!(refused.len(), TIMES, "{action} {code}");
    let last = &refused[TIMES - 1].params;
    let granted = requests.iter().filter(|one| one.code.is_none());
    let mut granted = granted.map(|one| &one.params);
    let token = &last["ClientToken"];
    if Class::of_code(action, &code.into()) == Class::NoStock {
        let other = granted.next().unwrap();
        assert_ne!(other["ClientToken"], *token, "{code}");
        assert_ne!(
            (&other["InstanceType"], &other["ZoneId"]),
            (&last["InstanceType"], &last["ZoneId"]),
            "{code}"
        );
        return;
    }
    // The very same request, be it by its token or because it has none.
    let dry = last["DryRun"] == "true";
    assert!(dry || granted.any(|one| one == last), "{action} {code}");
}

async fn play(lab: &Laboratory, text: &str, status: Status, round: &[Case]) {
    let rule = |(action, code): &Case| refusal(action, code, Some(TIMES));
    let rules: Vec<_> = round.iter().map(rule).collect();
    lab.admin("PUT", "/-/faults", json!({ "rules": rules }))
        .await;
    let (outcome, _) = lab.build(text).await;
    let manifest = outcome.manifest;
    assert_eq!(manifest.status, status, "{round:?}: {:?}", manifest.error);
    for (action, code) in round {
        check(lab, action, code).await;
    }
}

#[test]
fn each_code_of_the_table_is_outlasted() {
    let deleting = |row: &&Row| {
        let only = ["DeleteImage", "DeleteSnapshot"];
        row.actions.first().is_some_and(|one| only.contains(one))
    };
    let all = rounds(&CALLED, TABLE.iter().filter(|row| !deleting(row)));
    let mut count = 0;
    for round in &all {
        laboratory(async |lab| {
            play(&lab, WHOLE, Status::Success, round).await;
            let left = [("image".to_owned(), 2), ("snapshot".to_owned(), 2)];
            assert_eq!(billed(&lab).await, left.into(), "{round:?}");
        });
        count += round.len();
    }
    let only = ["DeleteImage", "DeleteSnapshot"];
    for round in rounds(&only, TABLE.iter().filter(deleting)) {
        laboratory(async |lab| {
            lab.script(json!([{ "match": "check the page", "exit_code": 1 }]))
                .await;
            play(&lab, DELETING, Status::TestFailed, &round).await;
            assert_eq!(billed(&lab).await, BTreeMap::new(), "{round:?}");
        });
        count += round.len();
    }
    assert_eq!(count, TABLE.len());
    println!("{count} codes in {} builds", all.len());
}

#[test]
fn a_lost_answer_is_asked_for_with_the_same_token() {
    for fault in ["lose-response", "lose-request"] {
        laboratory(async |lab| {
            let actions = CALLED.iter();
            let rule = |action| json!({ "action": action, "times": TIMES, "fault": fault });
            let rules: Vec<_> = actions.map(rule).collect();
            lab.admin("PUT", "/-/faults", json!({ "rules": rules }))
                .await;
            let (outcome, _) = lab.build(WHOLE).await;
            assert_eq!(outcome.manifest.status, Status::Success, "{fault}");
            let left = [("image".to_owned(), 2), ("snapshot".to_owned(), 2)];
            assert_eq!(billed(&lab).await, left.into(), "{fault}");
        });
    }
}

#[test]
fn a_cloud_that_is_busy_for_a_minute_is_waited_for() {
    laboratory(async |lab| {
        let rule =
            json!({ "action": "*", "times": 9, "fault": { "throttle": { "retry_after": 7 } } });
        lab.admin("PUT", "/-/faults", json!({ "rules": [rule] }))
            .await;
        let (outcome, _) = lab.build(WHOLE).await;
        assert_eq!(outcome.manifest.status, Status::Success);
    });
}

#[test]
fn a_mistake_is_made_once_and_leaves_nothing() {
    for (action, code) in [
        ("RunInstances", "InvalidParameter"),
        ("RunInstances", "InsufficientBalance"),
        ("StopInstance", "Forbidden.RAM"),
        ("CreateImage", "QuotaExceed.Image"),
        ("CreateImage", "IncorrectInstanceStatus.NeedRestart"),
        ("CreateVpc", "QuotaExceeded.Vpc"),
    ] {
        laboratory(async |lab| {
            let rules = [refusal(action, code, None)];
            lab.admin("PUT", "/-/faults", json!({ "rules": rules }))
                .await;
            let (outcome, _) = lab.build(WHOLE).await;
            let manifest = outcome.manifest;
            assert_eq!(manifest.status, Status::Failed, "{action} {code}");
            assert!(manifest.error.unwrap().contains(code), "{code}");
            assert_eq!(seen(&lab, action).await.len(), 1, "{action} {code}");
            assert_eq!(billed(&lab).await, BTreeMap::new(), "{action} {code}");
        });
    }
}

#[test]
fn the_map_of_the_house_lists_every_code() {
    let text = include_str!("../../ARCHITECTURE.md");
    for row in TABLE {
        let named = format!("`{}`", row.code);
        assert!(text.contains(&named), "{named} is not in ARCHITECTURE.md");
    }
}
