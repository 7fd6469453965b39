//! A journal of the first version still reads, resumes and unwinds.
//!
//! `fixtures/journal-v1.sql` is the toy's journal, killed in its third stage, as the
//! first version wrote it. It must never be written anew: a new schema gets a new file
//! beside it.

use std::fs;

use darkroom_journal::UndoState;
use serde_json::json;

use crate::crash::finish;
use crate::toy::{Plan, Toy, things};

const JOURNAL: &str = include_str!("../fixtures/journal-v1.sql");
const EFFECTS: &str = include_str!("../fixtures/effects-v1.txt");

/// The toy as it was when it was killed.
fn restore(folder: &tempfile::TempDir, plan: Plan) -> Toy {
    let toy = Toy {
        folder: folder.path().to_owned(),
        plan,
        eager: true,
    };
    let connection = rusqlite::Connection::open(folder.path().join("journal.sqlite")).unwrap();
    connection.execute_batch(JOURNAL).unwrap();
    fs::write(folder.path().join("effects"), EFFECTS).unwrap();
    toy
}

fn effects(toy: &Toy) -> Vec<String> {
    let text = fs::read_to_string(toy.folder.join("effects")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_old_journal_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let toy = restore(&folder, Plan::Whole);
    let journal = toy.journal().await;
    let run = Toy::run_id();
    let runs = journal.runs().await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0].run, &runs[0].header),
        (&run, &json!({ "toy": 1 }))
    );
    assert_eq!(runs[0].begun.to_string(), "2026-11-22T16:04:02Z");

    let stages = journal.stages(&run).await.unwrap();
    let open: Vec<_> = stages
        .iter()
        .map(|stage| (stage.name.as_str(), stage.finished.is_none()))
        .collect();
    assert_eq!(
        open,
        [("prepare", false), ("build", false), ("image", true)]
    );
    assert!(
        stages
            .iter()
            .all(|stage| stage.pipeline == "toy 1" && stage.version == 1)
    );

    let entries = journal.entries(&run).await.unwrap();
    assert_eq!(entries.len(), 11);
    assert_eq!(entries[4].what, json!({ "run": "Reboot" }));
    let open: Vec<_> = entries
        .iter()
        .filter(|entry| entry.answered.is_none())
        .map(|entry| &entry.key)
        .collect();
    assert_eq!(open, ["prepare/4", "image/2"]);
    assert_eq!(entries.iter().filter(|entry| entry.failed).count(), 1);

    let undo = journal.undo_entries(&run).await.unwrap();
    let keys: Vec<_> = undo.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["prepare/1", "build/3", "image/2"]);
    assert!(
        undo.iter()
            .all(|entry| entry.state == UndoState::Pending && entry.operation == "Remove")
    );
}

#[tokio::test]
async fn an_old_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let toy = restore(&folder, Plan::Whole);
    finish(&toy, toy.start(None));
    // The finished stages aren't run again, the token of the image is the old one.
    assert_eq!(
        fs::read_to_string(toy.folder.join("stages")).unwrap(),
        "image\ndistribute\nrelease\n"
    );
    let effects = effects(&toy);
    assert_eq!(
        effects
            .iter()
            .filter(|effect| effect.starts_with("create image "))
            .count(),
        1
    );
    assert_eq!(things(&effects).len(), 3);
}

#[tokio::test]
async fn an_old_run_is_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    let toy = restore(&folder, Plan::Whole);
    assert_eq!(things(&effects(&toy)).len(), 3);
    toy.journal().await.cancel(&Toy::run_id()).await.unwrap();
    finish(&toy, toy.start(None));
    assert_eq!(things(&effects(&toy)), Vec::<String>::new());
}
