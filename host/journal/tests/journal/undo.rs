//! Undo entries: registered, kept, performed, listed.

use darkroom_journal::UndoState::{Done, Kept, Pending};
use darkroom_journal::{Class, Scope, Stop, StoreError, UndoKey, UndoProblem, UndoState};
use serde_json::json;

use crate::script::{Bench, Fault, Script, away, broken, leave, op, state, text, token};

async fn create(scope: &Scope<Script>, name: &str) -> Result<UndoKey, Stop<Fault>> {
    scope
        .run_undoable(token(name), state(&format!("undo {name}")))
        .await
        .map(|(_, key)| key)
}

async fn states(bench: &Bench) -> Vec<UndoState> {
    let entries = bench.journal.undo_entries(&bench.run).await.unwrap();
    entries.into_iter().map(|entry| entry.state).collect()
}

#[tokio::test]
async fn unwinding_is_newest_first_and_goes_on_past_failures() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("c", [broken("no stock")]);
    world.tell("undo b", [broken("in use")]);
    world.tell("undo d", [away("no network")]);
    let session = bench.session(&world).await;
    session
        .stage("build", 1, async |scope| {
            let a = create(&scope, "a").await?;
            create(&scope, "b").await?;
            create(&scope, "c").await.unwrap_err();
            create(&scope, "d").await?;
            scope.keep(&a).await
        })
        .await
        .unwrap();
    let failures = session.unwind().await.unwrap();
    assert_eq!(world.done()[4..], ["undo d", "undo c", "undo b"]);
    let problems: Vec<_> = failures
        .iter()
        .map(|failure| failure.problem.to_string())
        .collect();
    assert_eq!(problems, ["no network", "in use"]);
    assert!(matches!(failures[0].problem, UndoProblem::Unavailable(_)));
    assert_eq!(states(&bench).await, [Kept, Pending, Done, Pending]);
    let entries = bench.other().await.undo_entries(&bench.run).await.unwrap();
    assert_eq!(entries[1].problem.as_deref(), Some("in use"));

    // What an operation returned is there for its undo, as far as it was recorded.
    let undoes: Vec<_> = world
        .attempts()
        .into_iter()
        .filter_map(|attempt| attempt.undoes)
        .collect();
    let outcomes: Vec<_> = undoes.iter().map(|undoes| undoes.outcome.clone()).collect();
    assert_eq!(outcomes, [Some(json!("d")), None, Some(json!("b"))]);
    assert_eq!(undoes[2].key, "build/2");
    assert_eq!(undoes[2].token, world.attempts()[1].token);

    // Again, by another version in another process: only what is pending, as a repeat.
    drop(session);
    let session = bench.session_of(&world, "2").await;
    assert!(session.unwind().await.unwrap().is_empty());
    assert_eq!(world.done()[7..], ["undo d", "undo b"]);
    let last = world.attempts().pop().unwrap();
    assert!(last.repeat.is_some());
    assert_eq!(last.token, world.attempts()[6].token);
    assert_eq!(states(&bench).await, [Kept, Done, Done, Done]);
    assert!(session.unwind().await.unwrap().is_empty());
    assert_eq!(world.done().len(), 9);
}

#[tokio::test]
async fn an_entry_registered_in_one_stage_is_performed_in_another() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("undo instance", [broken("in use"), Ok(json!(null))]);
    for _ in 0..2 {
        let session = bench.session(&world).await;
        let (instance, image) = session
            .stage("prepare", 1, async |scope| {
                Ok((
                    create(&scope, "instance").await?,
                    create(&scope, "image").await?,
                ))
            })
            .await
            .unwrap();
        let result = session
            .stage("release", 1, async |scope| {
                let failed = scope.undo(&instance).await;
                assert!(matches!(failed, Err(Stop::Failed(_))), "{failed:?}");
                scope.keep(&image).await?;
                scope.undo(&image).await?;
                scope.undo(&instance).await?;
                leave::<()>()
            })
            .await;
        assert_eq!(text(result), "left open");
    }
    assert_eq!(
        world.done(),
        ["instance", "image", "undo instance", "undo instance"]
    );
    assert_eq!(states(&bench).await, [Done, Kept]);
    let attempt = world.attempts().pop().unwrap();
    assert_eq!(attempt.key, "release/3");
    assert_eq!(attempt.undoes.unwrap().outcome, Some(json!("instance")));
}

#[tokio::test]
async fn an_unknown_entry_is_an_error() {
    let bench = Bench::new().await;
    let session = bench.session(&Script::new()).await;
    let key: UndoKey = serde_json::from_value(json!("build/7")).unwrap();
    for keep in [true, false] {
        let result = session
            .stage("build", 1, async |scope| {
                if keep {
                    scope.keep(&key).await
                } else {
                    scope.undo(&key).await
                }
            })
            .await;
        let stop = result.unwrap_err();
        assert!(
            matches!(&stop, Stop::Store(StoreError::NoUndo { key, .. }) if key == "build/7"),
            "{stop:?}"
        );
    }
}

#[tokio::test]
async fn an_operation_that_this_version_can_not_read_is_reported_and_stays() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    session
        .stage("build", 1, async |scope| {
            create(&scope, "a").await?;
            create(&scope, "b").await
        })
        .await
        .unwrap();
    rusqlite::Connection::open(&bench.path)
        .unwrap()
        .execute("UPDATE undo SET record = replace(record, '\"name\"', '\"called\"') WHERE key = 'build/2'", [])
        .unwrap();
    let failures = session.unwind().await.unwrap();
    assert_eq!(failures.len(), 1);
    assert!(
        matches!(failures[0].problem, UndoProblem::Unreadable(_)),
        "{failures:?}"
    );
    assert_eq!(failures[0].entry.key.as_str(), "build/2");
    assert_eq!(states(&bench).await, [Done, Pending]);
}

#[tokio::test]
async fn a_read_can_have_an_undo_entry_too() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    let key = session
        .stage("build", 1, async |scope| {
            scope
                .run_undoable(op(Class::Read, "look"), state("close"))
                .await
                .map(|(_, key)| key)
        })
        .await
        .unwrap();
    assert_eq!(key.to_string(), "build/1");
    assert_eq!(states(&bench).await, [Pending]);
}

#[tokio::test]
async fn several_are_kept_together_or_not_at_all() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    session
        .stage("build", 1, async |scope| {
            let a = create(&scope, "a").await?;
            let b = create(&scope, "b").await?;
            let c = create(&scope, "c").await?;
            scope.keep_all(&[a.clone(), c.clone()]).await?;
            let entries = session.undo_entries().await.unwrap();
            let kept = entries.iter().filter(|entry| entry.state == Kept);
            let kept: Vec<_> = kept.map(|entry| entry.key.clone()).collect();
            assert_eq!(kept, [a, c]);
            // A key of another run names nothing here.
            let other: UndoKey = serde_json::from_value(json!("build/9")).unwrap();
            let refused = scope.keep_all(&[b, other]).await;
            assert!(matches!(
                &refused,
                Err(Stop::Store(StoreError::NoUndo { .. }))
            ));
            refused
        })
        .await
        .unwrap_err();
    assert_eq!(states(&bench).await, [Kept, Pending, Kept]);
}
