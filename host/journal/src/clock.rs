//! Time for runs: the present moment and waiting for a later one.
//!
//! Everything a run does goes through [`Clock`], so that thousands of runs can share
//! one simulated clock. Only the store's own thread uses real time: how long an
//! outcome may stay unwritten and how often other processes are looked for are
//! matters of the disk, not of a run.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// What time it is, and waiting.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Completes when `now()` is `at` or later.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// The machine's clock. Needs a tokio runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A suspended laptop's timers stand still while its clock goes on; looking again
/// this often notices.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        async move {
            loop {
                let left = until(Timestamp::now(), at);
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        }
        .boxed()
    }
}

/// The time from `now` to `at`, none when `at` has passed.
fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// `now` plus `wait`, or the end of time where that can't be written.
pub(crate) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_out_of_its_type() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(after(now, Duration::MAX), Timestamp::MAX);
        assert_eq!(until(now, after(now, Duration::from_secs(3))).as_secs(), 3);
        assert_eq!(
            until(after(now, Duration::from_secs(3)), now),
            Duration::ZERO
        );
    }

    #[tokio::test]
    async fn the_system_clock_waits_until_the_moment() {
        let at = after(SystemClock.now(), Duration::from_millis(20));
        SystemClock.sleep_until(at).await;
        assert!(SystemClock.now() >= at);
    }
}
