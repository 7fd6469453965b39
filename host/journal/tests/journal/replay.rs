//! Operations: what is performed, what is replayed, and what is written when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use darkroom_journal::{Branch, Class, Clock, Options, Scope, Stop, branch};
use serde_json::json;

use crate::script::{Bench, Script, away, broken, leave, op, read, state, text, token};

#[tokio::test]
async fn what_was_done_is_replayed_and_not_done_again() {
    let bench = Bench::new().await;
    let world = Script::new();
    for _ in 0..3 {
        let session = bench.session(&world).await;
        let result = session
            .stage("build", 1, async |scope| {
                assert_eq!(scope.run(token("a")).await?, "a");
                assert_eq!(scope.scope("inner").run(state("b")).await?, "b");
                assert_eq!(scope.run(read("c")).await?, "c");
                leave::<()>()
            })
            .await;
        assert_eq!(text(result), "left open");
    }
    assert_eq!(world.done(), ["a", "b", "c"]);
    let keys: Vec<_> = world
        .attempts()
        .into_iter()
        .map(|attempt| attempt.key)
        .collect();
    assert_eq!(keys, ["build/1", "build/inner/1", "build/2"]);
    let tokens: Vec<_> = world
        .attempts()
        .into_iter()
        .map(|attempt| attempt.token)
        .collect();
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    assert!(
        world
            .attempts()
            .iter()
            .all(|attempt| attempt.repeat.is_none())
    );
}

#[tokio::test]
async fn a_final_failure_is_an_outcome() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("a", [broken("no stock"), Ok(json!("would succeed now"))]);
    for _ in 0..2 {
        let session = bench.session(&world).await;
        let result = session
            .stage("build", 1, async |scope| {
                let error = scope.run(token("a")).await.unwrap_err();
                assert!(
                    matches!(&error, Stop::Failed(fault) if fault.0 == "no stock"),
                    "{error:?}"
                );
                // The pipeline may catch it and go another way.
                scope.run(token("b")).await?;
                leave::<()>()
            })
            .await;
        assert_eq!(text(result), "left open");
    }
    assert_eq!(world.done(), ["a", "b"]);
}

#[tokio::test]
async fn what_is_unavailable_is_attempted_again_by_the_next_process() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("b", [away("no network"), away("no network")]);
    let run = async || {
        let session = bench.session(&world).await;
        session
            .stage("build", 1, async |scope| {
                scope.run(token("a")).await?;
                let value = scope.run(token("b")).await;
                if value.is_err() {
                    // Going on in another way than a replay would is prevented.
                    let stop = scope.run(token("other way")).await.unwrap_err();
                    assert!(matches!(stop, Stop::Unavailable(_)), "{stop:?}");
                    assert!(matches!(
                        scope.scope("x").sleep(Duration::ZERO).await,
                        Err(Stop::Unavailable(_))
                    ));
                }
                Ok(value.unwrap_or_default())
            })
            .await
    };
    let first = bench.clock.now();
    for _ in 0..2 {
        let stop = run().await.unwrap_err();
        assert!(
            matches!(&stop, Stop::Unavailable(fault) if fault.0 == "no network"),
            "{stop:?}"
        );
        bench.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(run().await.unwrap(), "b");
    assert_eq!(world.done(), ["a", "b", "b", "b"]);
    let attempts = world.attempts();
    assert_eq!(attempts[1].repeat, None);
    assert_eq!(attempts[2].repeat, Some(first));
    assert_eq!(attempts[3].repeat, Some(first));
    assert!(attempts[1].token == attempts[2].token && attempts[2].token == attempts[3].token);
}

#[tokio::test]
async fn a_branch_that_is_unavailable_keeps_its_stage_from_finishing() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("a", [away("no network")]);
    let session = bench.session(&world).await;
    let result = session
        .stage("distribute", 1, async |scope| {
            let branches = ["a", "b"].map(|name| -> Branch<'_, Script, _> {
                branch(name, move |scope: Scope<Script>| async move {
                    scope.run(token(name)).await?;
                    scope.run(token("more")).await
                })
            });
            let results = scope.all(branches.into()).await;
            assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
            Ok(())
        })
        .await;
    assert!(matches!(result, Err(Stop::Unavailable(_))), "{result:?}");
    assert_eq!(world.done(), ["a", "b", "more"]);
}

#[tokio::test]
async fn a_pipeline_that_asks_something_else_is_stopped() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    let result = session
        .stage("build", 1, async |scope| {
            scope.run(token("a")).await?;
            scope.run_undoable(token("b"), state("undo b")).await?;
            leave::<()>()
        })
        .await;
    assert_eq!(text(result), "left open");
    drop(session);

    let session = bench.session(&world).await;
    let stop = session
        .stage("build", 1, async |scope| scope.run(token("z")).await)
        .await
        .unwrap_err();
    let Stop::Diverged { key, was, is } = &stop else {
        panic!("{stop:?}");
    };
    assert_eq!(key, "build/1");
    assert_eq!(
        (&was["run"]["name"], &is["run"]["name"]),
        (&json!("a"), &json!("z"))
    );
    assert!(stop.hint().is_some());

    let stop = session
        .stage("build", 1, async |scope| scope.sleep(Duration::ZERO).await)
        .await
        .unwrap_err();
    assert!(
        matches!(&stop, Stop::Diverged { is, .. } if **is == json!({"sleep": null})),
        "{stop:?}"
    );

    let other_undo = session
        .stage("build", 1, async |scope| {
            scope.run(token("a")).await?;
            scope
                .run_undoable(token("b"), state("another undo"))
                .await
                .map(|(value, _)| value)
        })
        .await;
    assert!(
        matches!(&other_undo, Err(Stop::Diverged { key, .. }) if key == "build/2"),
        "{other_undo:?}"
    );
    assert_eq!(world.done(), ["a", "b"]);
}

#[tokio::test]
async fn the_witness_is_journaled_before_the_first_attempt() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("reboot", [away("connection lost")]);
    for _ in 0..2 {
        let session = bench.session(&world).await;
        drop(
            session
                .stage("build", 1, async |scope| {
                    scope.run(op(Class::Witness, "reboot")).await
                })
                .await,
        );
    }
    assert_eq!(world.witnessed(), ["reboot"]);
    let witnesses: Vec<_> = world
        .attempts()
        .into_iter()
        .map(|attempt| attempt.witness)
        .collect();
    assert_eq!(witnesses, [Some(json!(1)), Some(json!(1))]);
}

/// What another process reads of an entry: whether it is there, its outcome, its undo.
fn seen_from_outside(path: &std::path::Path, key: &str) -> (bool, Option<String>, bool) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let entry = connection
        .query_row("SELECT outcome FROM entries WHERE key = ?", [key], |row| {
            row.get::<_, Option<String>>(0)
        })
        .ok();
    let undo = connection
        .query_row("SELECT count(*) FROM undo WHERE key = ?", [key], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap();
    (entry.is_some(), entry.flatten(), undo == 1)
}

#[tokio::test]
async fn intents_are_committed_before_the_attempt_and_outcomes_with_the_next_commit() {
    let bench = Bench::with(Options {
        flush_after: Duration::from_hours(1),
        ..Options::default()
    })
    .await;
    let world = Script::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (path, log) = (bench.path.clone(), Arc::clone(&seen));
    world.hook(move |op| {
        let keys = ["build/1", "build/2", "build/3"];
        let seen = keys.map(|key| {
            let (intent, outcome, undo) = seen_from_outside(&path, key);
            format!(
                "{}{}{}",
                u8::from(intent),
                u8::from(outcome.is_some()),
                u8::from(undo)
            )
        });
        log.lock()
            .unwrap()
            .push(format!("{}: {}", op.name, seen.join(" ")));
    });
    let session = bench.session(&world).await;
    session
        .stage("build", 1, async |scope| {
            scope.run_undoable(token("a"), state("undo a")).await?;
            scope.run(read("b")).await?;
            scope.run(state("c")).await
        })
        .await
        .unwrap();
    // Three digits an entry: intent, outcome, undo.
    assert_eq!(
        *seen.lock().unwrap(),
        ["a: 101 000 000", "b: 101 000 000", "c: 111 110 100"]
    );
    assert!(seen_from_outside(&bench.path, "build/3").1.is_some());
}

#[tokio::test]
async fn an_outcome_is_flushed_though_nothing_follows() {
    let bench = Bench::with(Options {
        flush_after: Duration::from_millis(20),
        ..Options::default()
    })
    .await;
    let world = Script::new();
    let session = bench.session(&world).await;
    session
        .stage("build", 1, async |scope| {
            scope.run(token("a")).await?;
            let begun = std::time::Instant::now();
            while seen_from_outside(&bench.path, "build/1").1.is_none() {
                assert!(begun.elapsed() < Duration::from_secs(20), "never flushed");
                tokio::task::yield_now().await;
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn two_futures_can_not_share_a_scope() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    let result = session
        .stage("build", 1, async |scope| {
            let (a, b) = futures::join!(scope.run(token("a")), scope.run(token("b")));
            assert!(matches!(b, Err(Stop::Misused { .. })), "{b:?}");
            a
        })
        .await;
    assert!(matches!(result, Err(Stop::Misused { .. })), "{result:?}");
}

#[tokio::test]
async fn loops_and_odd_names_get_keys_of_their_own() {
    let bench = Bench::new().await;
    let world = Script::new();
    for _ in 0..2 {
        let session = bench.session(&world).await;
        let result = session
            .stage("a stage", 1, async |scope| {
                for name in ["try", "try", "a/b", ""] {
                    let inner = scope.scope(name);
                    inner.run(token(name)).await?;
                }
                leave::<()>()
            })
            .await;
        assert_eq!(text(result), "left open");
    }
    let keys: Vec<_> = world
        .attempts()
        .into_iter()
        .map(|attempt| attempt.key)
        .collect();
    assert_eq!(
        keys,
        [
            "a stage/try/1",
            "a stage/try#2/1",
            "a stage/a%2fb/1",
            "a stage/%/1"
        ]
    );
}

#[tokio::test]
async fn people_can_be_told_what_is_new() {
    let bench = Bench::new().await;
    let world = Script::new();
    for (first, second) in [(false, false), (true, false)] {
        let session = bench.session(&world).await;
        let _left = session
            .stage("build", 1, async |scope| {
                assert_eq!(scope.is_replaying(), first);
                scope.run(token("a")).await?;
                assert_eq!(scope.is_replaying(), second);
                leave::<()>()
            })
            .await;
    }
}

#[tokio::test]
async fn a_panicking_world_panics_its_caller_and_holds_nothing_up() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.hook(|op| assert_ne!(op.name, "bomb"));
    let session = Arc::new(bench.session(&world).await);
    let task = tokio::spawn({
        let session = Arc::clone(&session);
        async move {
            session
                .stage("build", 1, async |scope| scope.run(token("bomb")).await)
                .await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(session.unwind().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_commit_that_fails_is_everybodys_failure_and_loses_nothing() {
    let bench = Bench::with(Options {
        flush_after: Duration::from_hours(1),
        ..Options::default()
    })
    .await;
    let world = Script::new();
    let outside = rusqlite::Connection::open(&bench.path).unwrap();
    let refuse =
        "CREATE TRIGGER full BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'no room'); END";
    let session = bench.session(&world).await;
    let result = session
        .stage("build", 1, async |scope| {
            scope.run(token("a")).await?;
            outside.execute_batch(refuse).unwrap();
            scope.run(token("b")).await
        })
        .await;
    assert!(matches!(&result, Err(Stop::Store(_))), "{result:?}");
    // The intent of b wasn't written, so b wasn't attempted.
    assert_eq!(world.done(), ["a"]);
    assert_eq!(
        seen_from_outside(&bench.path, "build/1"),
        (true, None, false)
    );
    assert!(!seen_from_outside(&bench.path, "build/2").0);

    outside.execute_batch("DROP TRIGGER full").unwrap();
    session.close().await.unwrap();
    assert!(seen_from_outside(&bench.path, "build/1").1.is_some());
}
