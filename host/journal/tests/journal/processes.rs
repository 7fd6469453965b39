//! Two processes and one run.

use std::time::{Duration, Instant};

use darkroom_journal::{LockError, UndoState};

use crate::crash::{finish, kill, reached};
use crate::toy::{Plan, Toy};

async fn toy(folder: &tempfile::TempDir, plan: Plan) -> Toy {
    let toy = Toy {
        folder: folder.path().join("toy"),
        plan,
        eager: true,
    };
    toy.begin().await;
    toy
}

#[tokio::test]
async fn a_run_is_run_by_one_process_until_it_dies() {
    let folder = tempfile::tempdir().unwrap();
    let toy = toy(&folder, Plan::Whole).await;
    let journal = toy.journal().await;
    let run = Toy::run_id();
    assert_eq!(journal.holder(&run).unwrap(), None);

    let mut child = toy.start(Some("journal.effect"));
    assert!(reached(&toy, &mut child));
    let pid = child.id();
    let Err(LockError::Held(held)) = journal.lock(&run) else {
        panic!("locked twice");
    };
    assert_eq!((held.pid, held.run.clone()), (pid, run.clone()));
    assert_eq!(
        held.to_string(),
        format!("run {run} is being run by process {pid}")
    );
    assert_eq!(journal.holder(&run).unwrap(), Some(pid));
    // Others can look meanwhile.
    assert_eq!(journal.runs().await.unwrap().len(), 1);

    kill(child);
    let lock = journal.lock(&run).unwrap();
    assert_eq!(lock.run(), &run);
    assert_eq!(journal.holder(&run).unwrap(), Some(std::process::id()));
    drop(lock);
    finish(&toy, toy.start(None));
    assert_eq!(journal.holder(&run).unwrap(), None);
}

#[tokio::test]
async fn a_run_is_cancelled_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let toy = toy(&folder, Plan::Stuck).await;
    let journal = toy.journal().await;
    let run = Toy::run_id();
    let child = toy.start(None);
    let begun = Instant::now();
    while !journal
        .entries(&run)
        .await
        .unwrap()
        .iter()
        .any(|entry| entry.key == "stuck/1")
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never waits");
    }
    // It waits for an hour.
    let cancelled = Instant::now();
    journal.cancel(&run).await.unwrap();
    finish(&toy, child);
    assert!(
        cancelled.elapsed() < Duration::from_secs(10),
        "{:?}",
        cancelled.elapsed()
    );
    assert_eq!(
        journal.run(&run).await.unwrap().finished.unwrap().result,
        "cancelled"
    );
    let undo = journal.undo_entries(&run).await.unwrap();
    assert!(
        undo.len() == 2 && undo.iter().all(|entry| entry.state == UndoState::Done),
        "{undo:?}"
    );
}
