//! Cancelling: what waits ends at once, what is in flight is finished first.

use std::time::Duration;

use darkroom_journal::{Scope, Stop};

use crate::script::{Bench, Fault, Script, state, token};

const HOUR: Duration = Duration::from_hours(1);

async fn sleeps(scope: Scope<Script>) -> Result<(), Stop<Fault>> {
    scope.sleep(HOUR).await
}

async fn waits(scope: Scope<Script>) -> Result<(), Stop<Fault>> {
    scope.wait("never".into(), HOUR).await.map(drop)
}

async fn listens(scope: Scope<Script>) -> Result<(), Stop<Fault>> {
    scope.signal("approve").await.map(drop)
}

#[tokio::test]
async fn every_wait_ends_at_once() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    let other = bench.other().await;
    let (a, b, c, ()) = futures::join!(
        session.stage("a", 1, sleeps),
        session.stage("b", 1, waits),
        session.stage("c", 1, listens),
        async {
            bench.clock.parked(2).await;
            while bench.journal.entries(&bench.run).await.unwrap().len() < 3 {}
            other.cancel(&bench.run).await.unwrap();
        }
    );
    for result in [a, b, c] {
        assert!(matches!(result, Err(Stop::Cancelled)), "{result:?}");
    }
    session.cancelled().await;
    assert!(session.is_cancelled());
}

#[tokio::test]
async fn an_operation_in_flight_is_finished_and_recorded_first() {
    let bench = Bench::new().await;
    let world = Script::new();
    let gate = world.gate("create");
    let session = bench.session(&world).await;
    let stage = session.stage("build", 1, async |scope| {
        let (value, _) = scope.run_undoable(token("create"), state("delete")).await?;
        assert_eq!(value, "create");
        scope.run(token("next")).await
    });
    let drive = async {
        world.begun(1).await;
        bench.journal.cancel(&bench.run).await.unwrap();
        session.cancelled().await;
        gate.add_permits(1);
    };
    let (result, ()) = futures::join!(stage, drive);
    assert!(matches!(result, Err(Stop::Cancelled)), "{result:?}");
    assert_eq!(world.done(), ["create"]);
    let entries = bench.journal.entries(&bench.run).await.unwrap();
    assert!(
        entries.len() == 1 && entries[0].answered.is_some(),
        "{entries:?}"
    );

    assert!(session.unwind().await.unwrap().is_empty());
    assert_eq!(world.done(), ["create", "delete"]);
}

#[tokio::test]
async fn an_operation_whose_caller_is_dropped_is_awaited_by_the_unwind() {
    let bench = Bench::new().await;
    let world = Script::new();
    let gate = world.gate("create");
    let session = bench.session(&world).await;
    tokio::select! {
        biased;
        result = session.stage("build", 1, async |scope| {
            scope.run_undoable(token("create"), state("delete")).await.map(|(value, _)| value)
        }) => panic!("{result:?}"),
        () = world.begun(1) => {}
    }
    let (failures, ()) = futures::join!(session.unwind(), async {
        // The unwind has been polled before this, and waits.
        assert_eq!(world.done(), ["create"]);
        gate.add_permits(1);
    });
    assert!(failures.unwrap().is_empty());
    assert_eq!(world.done(), ["create", "delete"]);
    let undo = world.attempts().pop().unwrap();
    assert_eq!(undo.undoes.unwrap().outcome.unwrap(), "create");
}

#[tokio::test]
async fn a_cancelled_run_stays_cancelled() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    session
        .stage("first", 1, async |scope| scope.run(token("a")).await)
        .await
        .unwrap();
    drop(session);
    bench.journal.cancel(&bench.run).await.unwrap();

    let session = bench.session(&world).await;
    assert!(session.is_cancelled());
    // A finished stage still says what it knows, so that cleaning up can use it.
    let first = session
        .stage("first", 1, async |scope| scope.run(token("a")).await)
        .await;
    assert_eq!(first.unwrap(), "a");
    for body in [sleeps(Scope::clone(&scope_of(&session).await)).await, {
        let scope = scope_of(&session).await;
        scope.run(token("b")).await.map(drop)
    }] {
        assert!(matches!(body, Err(Stop::Cancelled)), "{body:?}");
    }
    assert_eq!(world.done(), ["a"]);
}

/// A scope that outlives its stage's body.
async fn scope_of(session: &darkroom_journal::Session<Script>) -> Scope<Script> {
    let mut kept = None;
    let _stopped: Result<(), _> = session
        .stage("second", 1, async |scope| {
            kept = Some(scope);
            Err(Stop::Cancelled)
        })
        .await;
    kept.unwrap()
}
