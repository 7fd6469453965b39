//! Many schedules, on as many threads as wanted, and the least of a plan that fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::plan::Plan;
use crate::schedule::{Played, Stage};
use crate::site::SiteError;

/// How many schedules, from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Many {
    /// How many.
    pub schedules: u64,
    /// Where seeds begin; each schedule has the next one.
    pub seed: u64,
    /// How many at once.
    pub threads: usize,
}

/// What came of many schedules.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many were played.
    pub schedules: u64,
    /// Lives of processes.
    pub lives: u64,
    /// Those that ended by a crash.
    pub crashes: u64,
    /// Requests.
    pub requests: u64,
    /// How many runs ended how.
    pub endings: BTreeMap<String, u64>,
    /// What went wrong, by kind.
    pub mishaps: BTreeMap<&'static str, u64>,
    /// The first plan under which something was not as it must be.
    pub failing: Option<Failing>,
}

/// A plan under which something is not as it must be.
#[derive(Clone, Debug)]
pub struct Failing {
    /// As it was drawn.
    pub drawn: Plan,
    /// The least of it that fails.
    pub least: Plan,
    /// What is wrong then.
    pub problem: String,
}

/// Plays schedules until all are played or one fails, and tells how many are.
///
/// # Errors
/// When there can't be a simulation.
pub fn play(stage: &Stage, many: Many, told: &(dyn Fn(u64) + Sync)) -> Result<Summary, SiteError> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let work = || -> Result<(), SiteError> {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= many.schedules {
                return Ok(());
            }
            let plan = Plan::draw(many.seed.wrapping_add(number));
            let played = stage.play(&plan)?;
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(&plan, &played);
            told(summary.schedules);
            if let Some(problem) = played.problem
                && summary.failing.is_none()
            {
                stop.store(true, Ordering::Relaxed);
                summary.failing = Some(Failing {
                    least: plan.clone(),
                    drawn: plan,
                    problem,
                });
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..many.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failing) = &mut summary.failing {
        shrink(stage, failing)?;
    }
    Ok(summary)
}

impl Summary {
    fn add(&mut self, plan: &Plan, played: &Played) {
        self.schedules += 1;
        self.lives += played.lives;
        self.crashes += played.crashes;
        self.requests += played.requests;
        for status in &played.endings {
            *self.endings.entry(status.word().to_owned()).or_default() += 1;
        }
        for (kind, count) in plan.kinds() {
            *self.mishaps.entry(kind).or_default() += count;
        }
    }
}

/// Leaves out what a plan fails without.
fn shrink(stage: &Stage, failing: &mut Failing) -> Result<(), SiteError> {
    let mut smaller = true;
    while smaller {
        smaller = false;
        let least = failing.least.clone();
        let fewer = (least.builds > 1).then(|| Plan {
            builds: 1,
            ..least.clone()
        });
        let without = (0..least.mishaps.len()).map(|index| {
            let mut plan = least.clone();
            plan.mishaps.remove(index);
            plan
        });
        for plan in fewer.into_iter().chain(without) {
            if let Some(problem) = stage.play(&plan)?.problem {
                failing.problem = problem;
                failing.least = plan;
                smaller = true;
                break;
            }
        }
    }
    Ok(())
}
