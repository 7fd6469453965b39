//! Time as the local cloud sees it.
//!
//! Everything in this crate that waits for a moment, or says when something was,
//! asks a [`Clock`], so that a test or a simulation can put its own time in place.
//! Waiting for an event is not the clock's business.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells the time and waits for a moment.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns when `moment` has come; at once when it has passed.
    async fn sleep_until(&self, moment: Timestamp);
}

/// The machine's own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // A wall clock may be set while this sleeps, hence pieces.
        const PIECE: Duration = Duration::from_secs(5);
        loop {
            let left = until(self.now(), moment);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(PIECE)).await;
        }
    }
}

/// How long it is from `now` to `moment`, nothing when it has passed.
pub(crate) fn until(now: Timestamp, moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default()
}

/// `moment` and `span` later, or the end of time.
pub(crate) fn after(moment: Timestamp, span: Duration) -> Timestamp {
    moment.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moment_that_has_passed_is_not_waited_for() {
        let clock = SystemClock;
        clock
            .sleep_until(clock.now() - Duration::from_mins(1))
            .await;
        let begin = clock.now();
        clock
            .sleep_until(after(begin, Duration::from_millis(20)))
            .await;
        assert!(clock.now().duration_since(begin).as_millis() >= 20);
        assert_eq!(
            until(after(begin, Duration::from_secs(1)), begin),
            Duration::ZERO
        );
    }
}
