//! Stages, versions, and the list of runs.

use darkroom_journal::{FindError, RunId, Scope, Stop, StoreError, UndoState};
use serde_json::json;

use crate::script::{Bench, Script, leave, state, text, token};

#[tokio::test]
async fn a_finished_stage_is_not_run_again() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    let made = session
        .stage("prepare", 1, async |scope| {
            Ok((scope.run(token("a")).await?, vec![1, 2]))
        })
        .await
        .unwrap();
    drop(session);
    // By a later pipeline too: stages are where another version may take over.
    let session = bench.session_of(&world, "2").await;
    let found: (serde_json::Value, Vec<i32>) = session
        .stage("prepare", 1, async |_| panic!("run again"))
        .await
        .unwrap();
    assert_eq!(made, found);
    let stages = bench.journal.stages(&bench.run).await.unwrap();
    assert_eq!(stages.len(), 1);
    assert_eq!(
        (stages[0].name.as_str(), stages[0].pipeline.as_str()),
        ("prepare", "1")
    );
    assert!(stages[0].finished.is_some());

    let stop = session
        .stage("prepare", 2, async |_| Ok(()))
        .await
        .unwrap_err();
    assert_eq!(
        stop.to_string(),
        "stage prepare was written by version 1 of the stage, this is version 2 of the stage"
    );
    let stop = session
        .stage::<String, _, _>("prepare", 1, async |_| leave())
        .await
        .unwrap_err();
    assert!(
        matches!(&stop, Stop::Store(StoreError::Record { subject, .. }) if subject == "stage prepare"),
        "{stop:?}"
    );
}

#[tokio::test]
async fn an_open_stage_belongs_to_the_version_that_began_it() {
    let bench = Bench::new().await;
    let world = Script::new();
    let body = async |scope: Scope<Script>| {
        let (_, key) = scope.run_undoable(token("create"), state("delete")).await?;
        if world.done().len() > 2 {
            Ok(key)
        } else {
            leave()
        }
    };
    let session = bench.session_of(&world, "1").await;
    assert_eq!(text(session.stage("build", 1, body).await), "left open");
    drop(session);

    let session = bench.session_of(&world, "2").await;
    let stop = session.stage("build", 1, body).await.unwrap_err();
    assert!(
        matches!(&stop, Stop::OtherVersion { stage, .. } if stage == "build"),
        "{stop:?}"
    );
    assert!(stop.hint().unwrap().contains("pipeline 1"), "{stop:?}");

    // Begun anew it is another stage, with tokens of its own.
    world.tell("delete", [crate::script::broken("in use")]);
    assert_eq!(session.restart("build").await.unwrap().len(), 1);
    assert!(matches!(
        session.stage("build", 1, body).await,
        Err(Stop::OtherVersion { .. })
    ));
    assert!(session.restart("build").await.unwrap().is_empty());
    let key = session.stage("build", 1, body).await.unwrap();
    assert_eq!(key.as_str(), "build#2/1");
    assert_eq!(world.done(), ["create", "delete", "delete", "create"]);
    let attempts = world.attempts();
    assert_ne!(attempts[0].token, attempts[3].token);
    assert_eq!(attempts[3].repeat, None);
    let entries = bench.journal.undo_entries(&bench.run).await.unwrap();
    let states: Vec<_> = entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [UndoState::Done, UndoState::Pending]);
}

#[tokio::test]
async fn an_open_stage_without_entries_is_anybodys() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session_of(&world, "1").await;
    assert_eq!(
        text(session.stage("build", 1, async |_| leave::<()>()).await),
        "left open"
    );
    drop(session);
    let session = bench.session_of(&world, "2").await;
    session.stage("build", 2, async |_| Ok(())).await.unwrap();
    let stages = bench.journal.stages(&bench.run).await.unwrap();
    assert_eq!((stages[0].version, stages[0].pipeline.as_str()), (2, "2"));
}

#[tokio::test]
async fn a_stage_can_not_be_run_twice_at_once() {
    let bench = Bench::new().await;
    let session = bench.session(&Script::new()).await;
    let result = session
        .stage("build", 1, async |_| {
            session.stage("build", 1, async |_| Ok(())).await
        })
        .await;
    assert!(matches!(result, Err(Stop::Misused { .. })), "{result:?}");
    session.stage("build", 1, async |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn runs_are_listed_found_and_finished() {
    let bench = Bench::new().await;
    let second = RunId::new("2026-11-23T00:00:00Z".parse().unwrap(), [9; 4]);
    bench
        .journal
        .begin(&second, json!({"template": "x"}))
        .await
        .unwrap();
    let again = bench.journal.begin(&second, json!(null)).await.unwrap_err();
    assert!(matches!(again, StoreError::RunExists { .. }), "{again:?}");
    bench
        .journal
        .finish(&bench.run, json!({"status": "SUCCESS"}))
        .await
        .unwrap();

    let other = bench.other().await;
    let runs = other.runs().await.unwrap();
    assert_eq!(
        runs.iter().map(|run| &run.run).collect::<Vec<_>>(),
        [&bench.run, &second]
    );
    assert_eq!(
        runs[0].finished.as_ref().unwrap().result["status"],
        "SUCCESS"
    );
    assert_eq!(runs[1].finished, None);
    assert_eq!(other.header(&second).await.unwrap()["template"], "x");

    assert_eq!(other.find("last").await.unwrap(), second);
    assert_eq!(other.find("261123").await.unwrap(), second);
    assert_eq!(other.find(bench.run.as_str()).await.unwrap(), bench.run);
    let several = other.find("2611").await.unwrap_err();
    assert!(
        matches!(&several, FindError::Several { candidates, .. } if candidates.len() == 2),
        "{several:?}"
    );
    assert!(several.to_string().contains(second.as_str()), "{several}");
    assert!(matches!(
        other.find("27").await,
        Err(FindError::None { .. })
    ));
    assert!(matches!(other.find("").await, Err(FindError::None { .. })));
}

#[tokio::test]
async fn a_run_that_is_not_there_is_named() {
    let bench = Bench::new().await;
    let unknown = RunId::new("2027-01-01T00:00:00Z".parse().unwrap(), [0; 4]);
    let errors = [
        bench.journal.cancel(&unknown).await.unwrap_err(),
        bench
            .journal
            .finish(&unknown, json!(null))
            .await
            .unwrap_err(),
        bench.journal.header(&unknown).await.unwrap_err(),
        {
            let lock = bench.journal.lock(&unknown).unwrap();
            bench
                .journal
                .session(lock, Script::new(), "1")
                .await
                .unwrap_err()
        },
    ];
    for error in errors {
        assert_eq!(
            error.to_string(),
            format!("there is no run {unknown} in the journal")
        );
    }
}

#[tokio::test]
async fn a_restarted_stage_is_told_again_what_it_was_told() {
    let bench = Bench::new().await;
    let world = Script::new();
    bench
        .journal
        .signal(&bench.run, "approve", json!("yes"))
        .await
        .unwrap();
    let session = bench.session(&world).await;
    for _ in 0..2 {
        let approval = session
            .stage("image", 1, async |scope| scope.signal("approve").await)
            .await;
        assert_eq!(approval.unwrap(), "yes");
        assert!(session.restart("image").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stage_whose_future_was_dropped_waits_for_what_that_left_in_flight() {
    let bench = Bench::new().await;
    let world = Script::new();
    let gate = world.gate("create");
    let session = bench.session(&world).await;
    let create = async |scope: Scope<Script>| scope.run(token("create")).await;
    tokio::select! {
        biased;
        result = session.stage("build", 1, create) => panic!("{result:?}"),
        () = world.begun(1) => {}
    }
    let (result, ()) = futures::join!(session.stage("build", 1, create), async {
        tokio::task::yield_now().await;
        gate.add_permits(1);
    });
    assert_eq!(result.unwrap(), "create");
    assert_eq!(world.done(), ["create"]);
}
