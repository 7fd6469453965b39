//! Simulated time, one for the runs and for the local cloud: it moves only when every
//! task of the runtime waits and no thread beside it is at work, and then to the next
//! moment that somebody waits for. So hours of builds pass in the time that they
//! compute, and nothing depends on how fast this machine is.
//!
//! It needs a runtime of one thread of its own, which tells it when it has nothing to
//! do. Timers of the runtime itself must not be waited for; the client's pauses go
//! through [`SimulatedClock::sleep`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use darkroom_failpoint::elsewhere;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

/// The clock. Handles share one time.
#[derive(Clone)]
pub struct SimulatedClock(Arc<Mutex<State>>);

struct State {
    now: Timestamp,
    /// Who waits for which moment, in the order of moments and then of coming.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    come: u64,
}

impl SimulatedClock {
    /// Runs `work` in a runtime of its own, whose time is this clock's, from `begin` on.
    ///
    /// # Panics
    /// Never: a runtime without input and output asks nothing of the system.
    pub fn run<T>(begin: Timestamp, work: impl AsyncFnOnce(Self) -> T) -> T {
        let clock = Self(Arc::new(Mutex::new(State {
            now: begin,
            sleepers: BTreeMap::new(),
            come: 0,
        })));
        let idle = Arc::new(Notify::new());
        let told = Arc::clone(&idle);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(move || {
                // What wakes a task comes before the work is done, so that there is
                // something to do when this returns.
                elsewhere::wait();
                told.notify_one();
            })
            .build()
            .expect("a runtime without a driver can be made");
        runtime.block_on(async {
            let moving = tokio::spawn(clock.clone().go(idle));
            let result = work(clock).await;
            moving.abort();
            result
        })
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Waits for a moment.
    pub fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        if state.now >= at {
            return futures::future::ready(()).boxed();
        }
        let (wake, woken) = oneshot::channel();
        state.come += 1;
        let place = (at, state.come);
        state.sleepers.insert(place, wake);
        drop(state);
        woken.map(drop).boxed()
    }

    /// Waits for a time.
    pub fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now().checked_add(time).unwrap_or(Timestamp::MAX))
    }

    /// Lets this much time pass at once: whoever waits for a moment in it is late.
    pub fn jump(&self, time: Duration) {
        let mut state = self.state();
        state.now = state.now.checked_add(time).unwrap_or(Timestamp::MAX);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the time on whenever everybody waits for it.
    async fn go(self, idle: Arc<Notify>) {
        let mut quiet_before = None;
        loop {
            // No task could go on a moment ago.
            idle.notified().await;
            let quiet = elsewhere::quiet();
            // A task that was answered a moment ago has had its turn only if the same is
            // seen twice.
            if quiet.is_some() && quiet == quiet_before {
                self.next();
            }
            quiet_before = quiet;
        }
    }

    /// Lets go on who waits for the next moment; those who have gone away wait no more.
    fn next(&self) {
        let mut state = self.state();
        while let Some((place, wake)) = state.sleepers.pop_first() {
            if wake.is_closed() {
                continue;
            }
            state.now = state.now.max(place.0);
            // Whoever it was may have gone away meanwhile.
            let _ = wake.send(());
            return;
        }
    }
}

impl darkroom_journal::Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.sleep_until(at)
    }
}

#[async_trait]
impl darkroom_local::clock::Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        self.sleep_until(moment).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_year_passes_at_once_and_in_order() {
        let begin = Instant::now();
        let day = |number: u64| Duration::from_hours(24 * number);
        let seen = SimulatedClock::run(Timestamp::UNIX_EPOCH, async |clock| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let tasks = [365_u64, 7, 30].map(|days| {
                let (clock, seen) = (clock.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    clock.sleep(day(days)).await;
                    // What is done elsewhere takes no time at all.
                    let work = elsewhere::Work::begin();
                    let (tell, told) = oneshot::channel();
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(20));
                        tell.send(()).unwrap();
                        drop(work);
                    });
                    told.await.unwrap();
                    seen.lock().unwrap().push((days, clock.now()));
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            std::mem::take(&mut *seen.lock().unwrap())
        });
        let at = |days| (days, Timestamp::UNIX_EPOCH + day(days));
        assert_eq!(seen, [at(7), at(30), at(365)]);
        assert!(begin.elapsed() < Duration::from_mins(1));
    }
}
