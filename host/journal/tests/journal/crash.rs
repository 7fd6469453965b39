//! Killed by SIGKILL at every fail point, each time it is reached, a run that is
//! resumed ends as if it had never been killed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use darkroom_journal::UndoState;
use serde_json::Value;
use tempfile::TempDir;

use crate::toy::{Plan, Toy, things};

/// How long a child may take for anything; it takes milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A new run of the toy in a folder of its own.
async fn toy(plan: Plan, eager: bool) -> (Toy, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy {
        folder: folder.path().join("toy"),
        plan,
        eager,
    };
    toy.begin().await;
    (toy, folder)
}

/// Waits until the child stands at its fail point; false when it ended without.
pub fn reached(toy: &Toy, child: &mut Child) -> bool {
    let begun = Instant::now();
    loop {
        if let Ok(pid) = fs::read_to_string(toy.hit()) {
            assert_eq!(pid, child.id().to_string());
            return true;
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{}", stderr(toy));
            return false;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "neither there nor at its end: {}",
            stderr(toy)
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

pub fn finish(toy: &Toy, mut child: Child) {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{}", stderr(toy));
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "it doesn't end: {}",
            stderr(toy)
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stderr(toy: &Toy) -> String {
    fs::read_to_string(toy.folder.join("stderr")).unwrap_or_default()
}

/// Lets the child pass its fail point `times` times, or to its end; how often it did.
fn pass(toy: &Toy, child: &mut Child, times: u32) -> u32 {
    for passed in 0..times {
        if !reached(toy, child) {
            return passed;
        }
        fs::remove_file(toy.hit()).unwrap();
    }
    times
}

/// All that can be told of a finished run and its world.
#[derive(Debug, PartialEq)]
struct Settled {
    result: Value,
    effects: Vec<String>,
    undo: Vec<(String, UndoState)>,
    entries: BTreeSet<String>,
}

async fn settled(toy: &Toy) -> Settled {
    let journal = toy.journal().await;
    let run = Toy::run_id();
    let result = journal.run(&run).await.unwrap().finished.unwrap().result;
    let undo = journal.undo_entries(&run).await.unwrap();
    let mut undo: Vec<_> = undo
        .into_iter()
        .map(|entry| (entry.key.to_string(), entry.state))
        .collect();
    undo.sort_by(|one, other| one.0.cmp(&other.0));
    // The loser of the race may or may not have got as far as its sleep.
    let entries = journal
        .entries(&run)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.key);
    let entries = entries
        .filter(|key| key != "distribute/straggler/2")
        .collect();
    let effects = fs::read_to_string(toy.folder.join("effects")).unwrap();
    let mut effects: Vec<_> = effects.lines().map(str::to_owned).collect();
    effects.sort();
    Settled {
        result,
        effects,
        undo,
        entries,
    }
}

fn count(settled: &Settled, kind: &str) -> usize {
    settled
        .effects
        .iter()
        .filter(|effect| effect.starts_with(kind))
        .count()
}

/// Resumes and returns what is settled, having looked that no finished stage ran again.
async fn resume(toy: &Toy) -> Settled {
    let stages = toy.journal().await.stages(&Toy::run_id()).await.unwrap();
    let finished: Vec<_> = stages
        .into_iter()
        .filter(|stage| stage.finished.is_some())
        .collect();
    fs::write(toy.folder.join("stages"), "").unwrap();
    finish(toy, toy.start(None));
    let run_again = fs::read_to_string(toy.folder.join("stages")).unwrap();
    for stage in finished {
        assert!(
            !run_again.lines().any(|name| name == stage.name),
            "{} was run again",
            stage.name
        );
    }
    settled(toy).await
}

/// Kills at each time that `point` is reached; returns how many times that was.
///
/// Where branches run side by side, one may pass the point while another waits there,
/// so that a run can reach it a little less often than another. Those few times the run
/// just ends.
async fn sweep(plan: Plan, eager: bool, point: &'static str) -> u32 {
    let (counted, _folder) = toy(plan, eager).await;
    let mut child = counted.start(Some(point));
    let hits = pass(&counted, &mut child, u32::MAX);
    let expected = settled(&counted).await;
    assert!(
        expected
            .undo
            .iter()
            .all(|(_, state)| *state != UndoState::Pending),
        "{expected:?}"
    );

    // Mostly waiting, so that more of them than processors are worth having.
    let (next, kills) = (AtomicU32::new(1), AtomicU32::new(0));
    let worker = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        loop {
            let hit = next.fetch_add(1, Ordering::Relaxed);
            if hit > hits {
                return;
            }
            runtime.block_on(async {
                let (toy, _folder) = toy(plan, eager).await;
                let mut child = toy.start(Some(point));
                if pass(&toy, &mut child, hit - 1) == hit - 1 && reached(&toy, &mut child) {
                    kill(child);
                    kills.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(
                    resume(&toy).await,
                    expected,
                    "killed at {point}, time {hit}"
                );
            });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(worker);
        }
    });
    let kills = kills.into_inner();
    assert!(
        kills > 0 && kills + 3 >= hits,
        "{kills} kills at {point}, {hits} times reached"
    );
    kills
}

#[tokio::test]
async fn what_a_run_without_a_kill_leaves() {
    let (toy, _folder) = toy(Plan::Whole, true).await;
    finish(&toy, toy.start(None));
    let settled = settled(&toy).await;
    let there = things(&settled.effects);
    let kinds: Vec<_> = there
        .iter()
        .filter_map(|thing| thing.split(' ').next())
        .collect();
    assert_eq!(kinds, ["beijing", "image", "shanghai"]);
    assert_eq!(count(&settled, "create"), 6);
    assert_eq!(count(&settled, "remove"), 3);
    assert_eq!(count(&settled, "set"), 4);
    assert_eq!(count(&settled, "reboot"), 2);
    assert_eq!(settled.result["copies"][1], 1);
    assert_eq!(settled.result["built"][1], "refused");
    assert_eq!(settled.result["image"][1]["by"], "me");
    // Run again, nothing happens.
    assert_eq!(resume(&toy).await, settled);
}

#[tokio::test]
async fn killed_after_an_intent() {
    assert!(sweep(Plan::Whole, true, "journal.intent").await >= 14);
    assert!(sweep(Plan::Whole, false, "journal.intent").await >= 14);
}

#[tokio::test]
async fn killed_after_an_effect() {
    assert!(sweep(Plan::Whole, true, "journal.effect").await >= 14);
    assert!(sweep(Plan::Whole, false, "journal.effect").await >= 14);
}

#[tokio::test]
async fn killed_after_an_outcome() {
    assert!(sweep(Plan::Whole, true, "journal.outcome").await >= 14);
    assert!(sweep(Plan::Whole, false, "journal.outcome").await >= 14);
}

#[tokio::test]
async fn killed_after_a_stage() {
    assert_eq!(sweep(Plan::Whole, false, "journal.stage").await, 5);
}

#[tokio::test]
async fn killed_while_a_cancelled_run_is_unwound() {
    for point in ["journal.intent", "journal.effect", "journal.outcome"] {
        assert!(sweep(Plan::Cancelled, false, point).await >= 8, "{point}");
    }
    let (toy, _folder) = toy(Plan::Cancelled, true).await;
    finish(&toy, toy.start(None));
    let settled = settled(&toy).await;
    assert_eq!(settled.result, "cancelled");
    assert_eq!(count(&settled, "create"), 2);
    assert!(things(&settled.effects).is_empty(), "{settled:?}");
}

#[tokio::test]
async fn killed_again_and_again() {
    let (counted, _folder) = toy(Plan::Whole, false).await;
    finish(&counted, counted.start(None));
    let expected = settled(&counted).await;

    let (toy, _folder) = toy(Plan::Whole, false).await;
    let mut kills = 0;
    loop {
        // The first effect may be one that is repeated, and the outcome of the second may
        // not have had a commit to ride with; the third is progress.
        let mut child = toy.start(Some("journal.effect"));
        if pass(&toy, &mut child, 2) < 2 || !reached(&toy, &mut child) {
            break;
        }
        kill(child);
        fs::remove_file(toy.hit()).unwrap();
        kills += 1;
        assert!(kills < 100, "no progress");
    }
    assert!(kills >= 5, "{kills}");
    assert_eq!(settled(&toy).await, expected);
}
