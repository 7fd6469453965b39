//! All and race.

use std::time::Duration;

use darkroom_journal::{Branch, Scope, Stop, Waited, branch};
use serde_json::json;

use crate::script::{Bench, Fault, Script, away, broken, leave, state, text, token};

const HOUR: Duration = Duration::from_hours(1);

/// Two steps in a scope of its own.
fn region(name: &'static str) -> Branch<'static, Script, String> {
    branch(name, move |scope: Scope<Script>| async move {
        scope.run(token(name)).await?;
        let value = scope.run(state(&format!("share {name}"))).await?;
        Ok(value.as_str().unwrap().to_owned())
    })
}

#[tokio::test]
async fn branches_may_finish_in_another_order_at_replay() {
    let bench = Bench::new().await;
    for order in [["beijing", "shanghai"], ["shanghai", "beijing"]] {
        // A world in which the branches get on in this order.
        let world = Script::new();
        let gates = order.map(|name| world.gate(name));
        let session = bench.session(&world).await;
        let stage = session.stage("distribute", 1, async |scope| {
            let results = scope.all(vec![region("beijing"), region("shanghai")]).await;
            let values: Vec<_> = results.into_iter().collect::<Result<_, _>>()?;
            assert_eq!(values, ["share beijing", "share shanghai"]);
            scope.run(token("after")).await?;
            leave::<()>()
        });
        let drive = async {
            if order[0] == "beijing" {
                world.begun(2).await;
            }
            gates[0].add_permits(1);
            if order[0] == "beijing" {
                world.begun(3).await;
            }
            gates[1].add_permits(1);
        };
        let (result, ()) = futures::join!(stage, drive);
        assert_eq!(text(result), "left open");
        let done = world.done();
        if order[0] == "beijing" {
            assert_eq!(done[2..], ["share beijing", "share shanghai", "after"]);
        } else {
            assert!(done.is_empty(), "{done:?}");
        }
    }
}

#[tokio::test]
async fn a_half_done_branch_goes_on_while_the_other_replays() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("share shanghai", [away("no network")]);
    let run = async || {
        let session = bench.session(&world).await;
        session
            .stage("distribute", 1, async |scope| {
                // The order in which they are given doesn't matter either.
                let mut branches = vec![region("beijing"), region("shanghai")];
                if world.done().len() > 4 {
                    branches.reverse();
                }
                scope
                    .all(branches)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()
            })
            .await
    };
    assert!(matches!(run().await, Err(Stop::Unavailable(_))));
    assert_eq!(run().await.unwrap().len(), 2);
    let shares = world
        .done()
        .iter()
        .filter(|name| *name == "share beijing")
        .count();
    assert_eq!(shares, 1);
    assert_eq!(world.done().len(), 5);
}

#[tokio::test]
async fn a_failing_branch_leaves_the_others_alone() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("beijing", [broken("no such region")]);
    let session = bench.session(&world).await;
    let failed = session
        .stage("distribute", 1, async |scope| {
            let results = scope.all(vec![region("beijing"), region("shanghai")]).await;
            Ok(results.iter().map(Result::is_err).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(failed, [true, false]);
}

#[tokio::test]
async fn a_scope_can_not_be_used_beside_its_branches() {
    let bench = Bench::new().await;
    let session = bench.session(&Script::new()).await;
    let result = session
        .stage("distribute", 1, async |scope| {
            let outer = scope.clone();
            let uses_outer = branch("a", move |_| async move { outer.run(token("x")).await });
            scope.all(vec![uses_outer]).await.pop().unwrap()
        })
        .await;
    assert!(matches!(result, Err(Stop::Misused { .. })), "{result:?}");
}

/// Whether a step is done before a deadline.
async fn step_or_deadline(scope: Scope<Script>) -> Result<(usize, String), Stop<Fault>> {
    let step = branch("step", |scope: Scope<Script>| async move {
        scope.run(token("begin")).await?;
        scope
            .wait("finished".into(), 24 * HOUR)
            .await
            .map(|waited| format!("{waited:?}"))
    });
    let deadline = branch("deadline", |scope: Scope<Script>| async move {
        scope.sleep(HOUR).await?;
        scope.run(token("give up")).await?;
        Ok("late".to_owned())
    });
    scope.race(vec![step, deadline]).await
}

#[tokio::test]
async fn a_race_is_won_once_and_for_all() {
    let bench = Bench::new().await;
    let world = Script::new();
    let body = async |scope: Scope<Script>| {
        let outcome = step_or_deadline(scope.clone()).await?;
        scope.run(token("after")).await?;
        assert_eq!(outcome, (1, "late".to_owned()));
        leave::<()>()
    };
    let session = bench.session(&world).await;
    let (result, ()) = futures::join!(session.stage("build", 1, body), async {
        // The step's poll and the deadline's sleep.
        bench.clock.parked(2).await;
        bench.clock.advance(HOUR);
    });
    assert_eq!(text(result), "left open");
    assert_eq!(world.done(), ["begin", "give up", "after"]);
    drop(session);
    // Now the step would win, but the race is decided, and the loser isn't even run.
    let polled = world.polled().len();
    world.answer("finished", [Ok(darkroom_journal::Poll::Ready(json!(0)))]);
    let session = bench.session(&world).await;
    assert_eq!(text(session.stage("build", 1, body).await), "left open");
    assert_eq!(world.done().len(), 3);
    assert_eq!(world.polled().len(), polled);
}

#[tokio::test]
async fn a_loser_in_flight_is_finished_and_recorded() {
    let bench = Bench::new().await;
    let world = Script::new();
    let gate = world.gate("slow");
    let session = bench.session(&world).await;
    let slow = branch("slow", |scope: Scope<Script>| async move {
        scope
            .run_undoable(token("slow"), state("undo slow"))
            .await
            .map(|_| ())
    });
    let seen = &world;
    let quick = branch("quick", move |scope: Scope<Script>| async move {
        seen.begun(1).await;
        scope.run(token("quick")).await.map(|_| ())
    });
    let (stage, ()) = futures::join!(
        session.stage("build", 1, async |scope| Ok(scope
            .race(vec![slow, quick])
            .await?
            .0)),
        async {
            world.begun(2).await;
            gate.add_permits(1);
        }
    );
    assert_eq!(stage.unwrap(), 1);
    let entries = bench.journal.entries(&bench.run).await.unwrap();
    let slow = entries
        .iter()
        .find(|entry| entry.key == "build/slow/1")
        .unwrap();
    assert!(slow.answered.is_some(), "{entries:?}");
    // What it did is undone with what it returned at hand.
    assert!(session.unwind().await.unwrap().is_empty());
    let undo = world.attempts().pop().unwrap();
    assert_eq!(undo.undoes.unwrap().outcome, Some(json!("slow")));
}

#[tokio::test]
async fn a_failing_winner_wins_and_an_unavailable_one_does_not() {
    let bench = Bench::new().await;
    let world = Script::new();
    world.tell("a", [away("no network"), broken("refused")]);
    let body = async |scope: Scope<Script>| {
        let a = branch("a", |scope: Scope<Script>| async move {
            scope.run(token("a")).await.map(|_| Waited::TimedOut)
        });
        let b = branch("b", |scope: Scope<Script>| async move {
            scope.wait("never".into(), HOUR).await
        });
        scope.race(vec![a, b]).await.map(|(winner, _)| winner)
    };
    let mut stops = Vec::new();
    for _ in 0..3 {
        let session = bench.session(&world).await;
        stops.push(session.stage("build", 1, body).await.unwrap_err());
    }
    assert!(matches!(stops[0], Stop::Unavailable(_)), "{stops:?}");
    assert!(matches!(stops[1], Stop::Failed(_)), "{stops:?}");
    assert!(matches!(stops[2], Stop::Failed(_)), "{stops:?}");
    assert_eq!(world.done(), ["a", "a"]);
}
