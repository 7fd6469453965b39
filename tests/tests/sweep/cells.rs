//! The cells: each call of the undisturbed run that changes something, times each moment
//! around it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use darkroom_chaos::{Call, Fate, Moment};

use crate::draw::{Draw, is_long};
use crate::scene::{Kept, reference, scene};

/// Cells that `make test` plays, drawn by a seed.
const SAMPLE: usize = 6;

/// What of a cell is played.
#[derive(Clone, Debug)]
struct Cell {
    call: Call,
    moment: Moment,
}

/// What a cell came to.
#[derive(Default)]
struct Count {
    plain: AtomicUsize,
    second: AtomicUsize,
    /// Second crashes around a session's first mark.
    marks: AtomicUsize,
    /// Cells whose resume asks for nothing more.
    without: AtomicUsize,
}

#[test]
fn a_crash_around_every_call_leaves_what_no_crash_leaves() {
    let start = Instant::now();
    let calls = &reference().calls;
    assert!(calls.len() >= 40, "{} calls", calls.len());
    let mut cells: Vec<Cell> = calls
        .iter()
        .flat_map(|call| {
            let cell = |moment| Cell {
                call: call.clone(),
                moment,
            };
            Moment::ALL.map(cell)
        })
        .collect();
    let product = calls.len() * Moment::ALL.len();
    assert_eq!(cells.len(), product);
    if !is_long() {
        cells = Draw::new("sweep").take(cells, SAMPLE);
    }
    let count = Count::default();
    let failed = each(&cells, |cell| play(cell, &count));
    let (plain, second, without) = (
        count.plain.into_inner(),
        count.second.into_inner(),
        count.without.into_inner(),
    );
    let marks = count.marks.into_inner();
    println!(
        "crash sweep: {} calls x {} moments = {product} cells, {plain} played; second crashes: {second} ({without} resumes had no call), and {marks} around marks; {:.1} s",
        calls.len(),
        Moment::ALL.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(plain, cells.len());
    assert_eq!(second, (cells.len() - without) * Moment::ALL.len());
}

/// Plays all on as many threads as there are processors, and gives what failed.
pub fn each<T: Sync + std::fmt::Debug>(
    all: &[T],
    play: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(problem) = play(one) {
                    failed.push(format!("{one:?}: {problem}"));
                }
            }
            failed
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap())
            .collect()
    })
}

/// The operations that make calls.
fn places() -> Arc<HashSet<String>> {
    let calls = reference().calls.iter();
    Arc::new(calls.map(|call| call.place.clone()).collect())
}

fn play(cell: &Cell, count: &Count) -> Result<(), String> {
    // The first life is the same in all that follows.
    let kept = scene().play(async |trial| {
        trial.cut(&cell.call, cell.moment).await?;
        Ok::<_, String>(trial.keep().await)
    })?;
    let first = scene().go_on(&kept, async |trial| {
        let (life, outcome) = trial.resume().await;
        trial.judge(outcome).await?;
        Ok::<_, String>(life.calls())
    })?;
    count.plain.fetch_add(1, Ordering::Relaxed);
    let (marks, mut calls): (Vec<_>, Vec<_>) =
        first.into_iter().partition(|call| call.place.is_empty());
    if let Some(mark) = marks.first() {
        // A session's marks are no operation: they have no moments in the journal.
        for moment in [Moment::BeforeCall, Moment::AfterEffect] {
            again(&kept, Fate::Cut(mark.clone(), moment))
                .map_err(|problem| format!("then {moment:?} of {mark:?}: {problem}"))?;
            count.marks.fetch_add(1, Ordering::Relaxed);
        }
    }
    let first = (!calls.is_empty()).then(|| calls.swap_remove(0));
    let Some(first) = first else {
        count.without.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    };
    for moment in Moment::ALL {
        again(&kept, Fate::First(moment, places()))
            .map_err(|problem| format!("then {moment:?} of {first:?}: {problem}"))?;
        count.second.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Crashes a second time, while it resumes, and resumes then.
fn again(kept: &Kept, fate: Fate) -> Result<(), String> {
    scene().go_on(kept, async |trial| {
        let life = trial.site.life(fate);
        trial.crash(&life).await?;
        let (_, outcome) = trial.resume().await;
        trial.judge(outcome).await
    })
}
