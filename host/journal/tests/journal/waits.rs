//! Sleep, wait and signal.

use std::time::Duration;

use darkroom_journal::{Failure, Poll, Scope, Stop};
use serde_json::{Value, json};

use crate::script::{Bench, Fault, Script, leave, text};

const MINUTE: Duration = Duration::from_mins(1);

fn pending(seconds: u64) -> Poll {
    Poll::Pending {
        again: Duration::from_secs(seconds),
    }
}

async fn ten_minutes(scope: Scope<Script>) -> Result<Option<Value>, Stop<Fault>> {
    let waited = scope.wait("ready".into(), 10 * MINUTE).await?;
    Ok(waited.ready())
}

#[tokio::test]
async fn a_sleep_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let world = Script::new();
    let sleep = async |scope: Scope<Script>| scope.sleep(10 * MINUTE).await;
    let session = bench.session(&world).await;
    tokio::select! {
        result = session.stage("build", 1, sleep) => panic!("{result:?}"),
        () = bench.clock.parked(1) => {}
    }
    drop(session);
    bench.clock.advance(9 * MINUTE);
    let session = bench.session(&world).await;
    tokio::select! {
        result = session.stage("build", 1, sleep) => panic!("{result:?}"),
        () = bench.clock.parked(1) => {}
    }
    bench.clock.advance(MINUTE);
    session.stage("build", 1, sleep).await.unwrap();
}

#[tokio::test]
async fn a_condition_is_asked_as_often_as_the_world_says() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.answer(
        "ready",
        [
            Ok(pending(5)),
            Ok(pending(7)),
            Ok(Poll::Ready(json!({"ip": "x"}))),
        ],
    );
    let session = bench.session(&world).await;
    let wait = session.stage("build", 1, async |scope| {
        assert_eq!(ten_minutes(scope).await?, Some(json!({"ip": "x"})));
        leave::<()>()
    });
    let drive = async {
        for (polls, seconds) in [(1, 5), (2, 7)] {
            world.asked(polls).await;
            bench.clock.parked(1).await;
            bench.clock.advance(Duration::from_secs(seconds - 1));
            tokio::task::yield_now().await;
            assert_eq!(world.polled().len(), polls);
            bench.clock.advance(Duration::from_secs(1));
        }
    };
    let (result, ()) = futures::join!(wait, drive);
    assert_eq!(text(result), "left open");
    assert_eq!(world.polled().len(), 3);

    drop(session);
    let replayed = bench
        .session(&world)
        .await
        .stage("build", 1, ten_minutes)
        .await
        .unwrap();
    assert_eq!(replayed, Some(json!({"ip": "x"})));
    assert_eq!(world.polled().len(), 3);
}

#[tokio::test]
async fn a_deadline_stands_when_the_run_is_resumed() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    tokio::select! {
        result = session.stage("build", 1, ten_minutes) => panic!("{result:?}"),
        () = bench.clock.parked(1) => {}
    }
    drop(session);
    bench.clock.advance(11 * MINUTE);
    let before = world.polled().len();
    for _ in 0..2 {
        let session = bench.session(&world).await;
        let result = session
            .stage("build", 1, async |scope| {
                assert_eq!(ten_minutes(scope).await?, None);
                leave::<()>()
            })
            .await;
        assert_eq!(text(result), "left open");
    }
    // Asked once more after the deadline, and not at replay.
    assert_eq!(world.polled().len(), before + 1);
}

#[tokio::test]
async fn what_became_true_while_nobody_looked_counts() {
    let bench = Bench::new().await;
    let world = Script::new();
    let session = bench.session(&world).await;
    tokio::select! {
        result = session.stage("build", 1, ten_minutes) => panic!("{result:?}"),
        () = bench.clock.parked(1) => {}
    }
    drop(session);
    bench.clock.advance(11 * MINUTE);
    world.answer("ready", [Ok(Poll::Ready(json!(true)))]);
    let waited = bench
        .session(&world)
        .await
        .stage("build", 1, ten_minutes)
        .await
        .unwrap();
    assert_eq!(waited, Some(json!(true)));
}

#[tokio::test]
async fn a_poll_may_fail_for_good_or_for_now() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.answer(
        "ready",
        [Err(Failure::Unavailable(Fault("no network".into())))],
    );
    world.answer("ready", [Err(Failure::Final(Fault("CreateFailed".into())))]);
    let mut stops = Vec::new();
    for _ in 0..3 {
        let session = bench.session(&world).await;
        stops.push(session.stage("build", 1, ten_minutes).await.unwrap_err());
    }
    assert!(matches!(stops[0], Stop::Unavailable(_)), "{stops:?}");
    assert!(
        matches!(&stops[1], Stop::Failed(fault) if fault.0 == "CreateFailed"),
        "{stops:?}"
    );
    assert!(
        matches!(&stops[2], Stop::Failed(fault) if fault.0 == "CreateFailed"),
        "{stops:?}"
    );
    assert_eq!(world.polled().len(), 2);
}

#[tokio::test]
async fn signals_are_taken_in_order_and_once() {
    let bench = Bench::new().await;
    let world = Script::new();
    bench
        .journal
        .signal(&bench.run, "approve", json!(1))
        .await
        .unwrap();
    bench
        .journal
        .signal(&bench.run, "other", json!("x"))
        .await
        .unwrap();
    let approvals = async |scope: Scope<Script>| {
        let first = scope.signal("approve").await?;
        let second = scope.signal("approve").await?;
        assert_eq!((first, second), (json!(1), json!(2)));
        leave::<()>()
    };
    let session = bench.session(&world).await;
    let other = bench.other().await;
    // The second comes from another process while it is awaited.
    let (result, sent) = futures::join!(session.stage("build", 1, approvals), async {
        while bench.journal.entries(&bench.run).await.unwrap().len() < 2 {}
        other.signal(&bench.run, "approve", json!(2)).await
    });
    sent.unwrap();
    assert_eq!(text(result), "left open");
    drop(session);
    let session = bench.session(&world).await;
    assert_eq!(
        text(session.stage("build", 1, approvals).await),
        "left open"
    );
    let misused = session
        .stage("next", 1, async |scope| scope.signal("cancel").await)
        .await;
    assert!(matches!(misused, Err(Stop::Misused { .. })), "{misused:?}");
}
