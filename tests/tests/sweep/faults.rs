//! Every call fails once, fails for ever, or loses its answer; and other ends of a process
//! than SIGKILL.

use std::time::{Duration, Instant};

use darkroom_chaos::{Call, Fate, Hindrance, How, Moment};
use darkroom_engine::{EngineError, Status};
use darkroom_tests::guests;

use crate::cells::each;
use crate::draw::{Draw, is_long};
use crate::scene::{Scene, is_as_before, is_clean, reference, scene};

/// Calls of each kind of fault that `make test` tries.
const SAMPLE: usize = 5;

/// All calls, or some, in a test of this name.
pub fn calls(test: &str, count: usize) -> Vec<Call> {
    let all = reference().calls.clone();
    if is_long() {
        all
    } else {
        Draw::new(test).take(all, count)
    }
}

pub fn report(what: &str, start: Instant, count: usize, failed: &[String]) {
    let of = reference().calls.len();
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {count} of {of} calls, {seconds:.1} s");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn refuse(call: &Call, times: Option<u32>, status: u16, code: &str) -> Vec<Hindrance> {
    vec![Hindrance {
        call: Some(call.clone()),
        times,
        how: How::Refuse {
            status,
            code: code.into(),
        },
    }]
}

#[test]
fn every_call_fails_once() {
    let (start, calls) = (Instant::now(), calls("fails once", SAMPLE));
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::None);
            life.hinder(refuse(call, Some(1), 503, "ServiceUnavailable"));
            let outcome = trial.resume_as(&life).await;
            trial.judge(outcome).await
        })
    });
    report("each fails once", start, calls.len(), &failed);
}

/// Each call is made twice: what the first one did, nobody was told.
#[test]
fn every_answer_is_lost_once() {
    let start = Instant::now();
    let judged = scene().play(async |trial| {
        let mut lives = 0;
        loop {
            let life = trial.site.life(Fate::None);
            life.hinder(vec![Hindrance {
                call: None,
                times: Some(1),
                how: How::LoseResponse,
            }]);
            match trial.resume_as(&life).await {
                // Nobody knows whether it was done: a call without a token is not
                // repeated at once, but by a resume, which looks first.
                Err(EngineError::Unavailable { .. }) if lives < 3 => {
                    lives += 1;
                    trial.site.clock().sleep(Duration::from_mins(1)).await;
                }
                outcome => return trial.judge(outcome).await,
            }
        }
    });
    let all = reference().calls.len();
    report(
        "each is executed twice",
        start,
        all,
        &judged.err().into_iter().collect::<Vec<_>>(),
    );
}

/// The undo stack leaves a clean world; where it is the undoing that fails, the run says
/// so, and ends when that works again.
#[test]
fn every_call_fails_for_ever() {
    let (start, calls) = (Instant::now(), calls("fails for ever", SAMPLE));
    let failed = each(&calls, |call| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::None);
            life.hinder(refuse(call, None, 403, "Forbidden.RAM"));
            let ended = match trial.resume_as(&life).await {
                Ok(outcome) => Ok(outcome),
                Err(EngineError::Left { .. }) => trial.resume().await.1,
                Err(error) => {
                    return Err(format!("neither ended nor said what is left: {error:?}"));
                }
            };
            let outcome = ended.map_err(|error| format!("{error:?}"))?;
            is_clean(trial, &outcome.manifest).await
        })
    });
    report("each fails for ever", start, calls.len(), &failed);
}

/// Each call with one of the moments, in turn.
fn with_moments(calls: &[Call]) -> Vec<(Call, Moment)> {
    calls
        .iter()
        .cloned()
        .zip(Moment::ALL.into_iter().cycle())
        .collect()
}

/// SIGTERM: the run is cancelled and cleans up behind itself. What was asked too late has
/// succeeded.
#[test]
fn a_polite_end_anywhere_leaves_nothing() {
    let (start, calls) = (Instant::now(), calls("polite end", SAMPLE));
    let cells = with_moments(&calls);
    let failed = each(&cells, |(call, moment)| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::Cut(call.clone(), *moment));
            life.ask_to_end();
            let outcome = trial.resume_as(&life).await;
            if life.awaits_its_fate() {
                return Err("it was not asked to end".to_owned());
            }
            match outcome {
                Ok(outcome) if outcome.manifest.status == Status::Success => {
                    trial.judge(Ok(outcome)).await
                }
                Ok(outcome) if outcome.manifest.status == Status::Cancelled => {
                    is_clean(trial, &outcome.manifest).await
                }
                other => Err(format!("it ended as {other:?}")),
            }
        })
    });
    report("a polite end around each", start, calls.len(), &failed);
}

#[test]
fn a_panic_anywhere_is_a_crash() {
    let (start, calls) = (Instant::now(), calls("panic", SAMPLE));
    let cells = with_moments(&calls);
    let failed = each(&cells, |(call, moment)| {
        scene().play(async |trial| {
            let life = trial.site.life(Fate::Cut(call.clone(), *moment));
            life.panic();
            trial.crash(&life).await?;
            let (_, outcome) = trial.resume().await;
            trial.judge(outcome).await
        })
    });
    report("a panic around each", start, calls.len(), &failed);
}

#[test]
fn a_trap_in_a_component_leaves_nothing() {
    let scene = Scene::with(guests::trapping);
    scene.play(async |trial| {
        let (_, outcome) = trial.resume().await;
        let status = outcome.unwrap().manifest.status;
        assert_eq!(status, Status::Failed);
        is_as_before(trial).await.unwrap();
    });
}
