//! When to look again: pure functions.
//!
//! A look has a price, in seconds of waiting that it must be worth. The next one is made
//! when the delay that is to be expected by then, that of a transition which has happened
//! unseen, has grown to that price:
//!
//! ```text
//! ∫ P(done within s more seconds | not done yet) ds, from 0 to the next look  =  price
//! ```
//! With a steady chance `h` of the transition in a second that is `sqrt(2 price / h)`, the
//! best interval there is. Where nothing is known intervals grow with the root of the time
//! waited. A call that many share costs each of them its part. Where every earlier one took
//! 3.0 seconds it is looked at then ([`super::alike`]).

use std::time::Duration;

use jiff::Timestamp;

use super::alike::Sure;
use super::history::Span;
use crate::cloud::Pace;

/// What is known of something that is waited for.
pub(crate) struct View<'a> {
    /// Since when.
    pub(crate) elapsed: Duration,
    /// When it will have happened, as far as that is sure.
    pub(crate) sure: Option<Sure>,
    /// How long such transitions take.
    pub(crate) spans: &'a [Span],
    /// How many share the calls, itself included.
    pub(crate) waiting: usize,
    /// The longest time between two looks, since more can go wrong than was seen.
    pub(crate) longest: Duration,
    /// The cloud's.
    pub(crate) pace: &'a Pace,
}

/// How long to leave it.
pub(crate) fn next_look(view: &View<'_>) -> Duration {
    let least = view.pace.first / 2;
    let longest = view.longest.max(least);
    let sharing = u32::try_from(view.waiting.clamp(1, 1000)).unwrap_or(1);
    let price = view.pace.price.as_secs_f64() / f64::from(sharing);
    let elapsed = view.elapsed.as_secs_f64();
    if let Some(at) = view.sure.and_then(|sure| sure.next(elapsed)) {
        // In equal parts, so that the last look is not just before it.
        let left = at - elapsed;
        let parts = (left / longest.as_secs_f64()).ceil().max(1.0);
        return Duration::from_secs_f64(left / parts).clamp(least, longest);
    }
    let (mut low, mut high) = (least.as_secs_f64(), longest.as_secs_f64());
    if delay(view.spans, elapsed, high) <= price {
        return longest;
    }
    // It grows with time: halving finds the moment.
    for _ in 0..24 {
        let middle = f64::midpoint(low, high);
        if delay(view.spans, elapsed, middle) < price {
            low = middle;
        } else {
            high = middle;
        }
    }
    Duration::from_secs_f64(high).clamp(least, longest)
}

/// The delay to be expected of a look `wait` seconds from now, of something that was not
/// done after `elapsed` seconds.
fn delay(spans: &[Span], elapsed: f64, wait: f64) -> f64 {
    let until = elapsed + wait;
    let (mut total, mut delayed) = (0.0, 0.0);
    for span in spans {
        if span.to <= elapsed {
            continue;
        }
        let from = span.from.max(elapsed);
        let weight = if span.to > span.from {
            span.weight * (span.to - from) / (span.to - span.from)
        } else {
            span.weight
        };
        total += weight;
        let length = span.to - from;
        delayed += weight
            * if until <= from {
                0.0
            } else if until < span.to {
                (until - from).powi(2) / (2.0 * length)
            } else {
                until - span.to + length / 2.0
            };
    }
    if total > 0.0 {
        delayed / total
    } else {
        // Longer than anything: as likely in this second as in the last one.
        wait * wait / (2.0 * elapsed.max(1.0))
    }
}

/// The grid on which the looks of an account fall. Alone there is none; else it is as
/// coarse as `calls` a round and the account's rate demand, in powers of two so that those
/// who came at different times meet.
pub(crate) fn grid(waiting: usize, calls: usize, pace: &Pace) -> Duration {
    if waiting <= 1 {
        return Duration::ZERO;
    }
    let calls = u32::try_from(calls).unwrap_or(u32::MAX);
    let wanted = Duration::from_secs(1) * calls / pace.rate.max(1);
    let mut grid = pace.first / 4;
    while grid < wanted {
        grid *= 2;
    }
    grid
}

/// The first moment of the grid at `at` or after it.
pub(crate) fn align(at: Timestamp, grid: Duration) -> Timestamp {
    let Ok(grid) = i128::try_from(grid.as_nanos()) else {
        return at;
    };
    if grid == 0 {
        return at;
    }
    let nanos = at.as_nanosecond();
    let aligned = nanos + (grid - nanos.rem_euclid(grid)) % grid;
    Timestamp::from_nanosecond(aligned).unwrap_or(at)
}

/// Polls that an account may make: `rate` a second, and ten seconds' worth at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// Seconds' worth of polls that may be made at once.
const BURST: f64 = 10.0;

impl Bucket {
    /// One that nobody has taken from.
    pub(crate) fn full(now: Timestamp, pace: &Pace) -> Self {
        Self {
            tokens: BURST * f64::from(pace.rate),
            at: now,
        }
    }

    /// Takes one poll; or says how long to wait for it.
    pub(crate) fn take(&mut self, now: Timestamp, pace: &Pace) -> Option<Duration> {
        let rate = f64::from(pace.rate.max(1));
        let passed = super::between(self.at, now).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(BURST * rate);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        // Never nothing: the waiter would go round.
        let wait = (1.0 - self.tokens) / rate;
        Some(Duration::from_secs_f64(wait).max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::waiter::history::History;

    fn view(sure: Option<Sure>, spans: &[Span], elapsed: f64) -> View<'_> {
        View {
            elapsed: Duration::from_secs_f64(elapsed),
            sure,
            spans,
            waiting: 1,
            longest: Pace::LOCAL.longest,
            pace: &Pace::LOCAL,
        }
    }

    /// Waits for something that takes `length` seconds, as often as it is said: the looks
    /// of each time, and how late it was seen.
    fn waits(history: &mut History, lengths: impl IntoIterator<Item = f64>) -> Vec<(u32, f64)> {
        let wait = |length: f64| {
            let sure = history.sure("it", None);
            let spans = history.spans("it", sure, &Pace::LOCAL);
            let (mut elapsed, mut before, mut looks) = (0.0, 0.0, 0);
            while elapsed < length {
                before = elapsed;
                elapsed += next_look(&view(sure, &spans, elapsed)).as_secs_f64();
                looks += 1;
            }
            let [lo, hi] = [before, elapsed].map(Duration::from_secs_f64);
            history.note("it", lo, hi);
            (looks, elapsed - length)
        };
        lengths.into_iter().map(wait).collect()
    }

    #[test]
    fn what_was_seen_a_few_times_is_met_with_hardly_a_look() {
        for length in [1.0, 2.0, 3.0, 5.0, 12.0, 60.0] {
            let met = waits(&mut History::default(), [length; 20]);
            let least = (length / Pace::LOCAL.longest.as_secs_f64()).ceil();
            for (looks, late) in &met[3..] {
                assert!(*late <= 0.03 * length, "{length}: {met:?}");
                assert!(f64::from(*looks) <= least + 3.0, "{length}: {met:?}");
            }
            let looks: u32 = met[3..].iter().map(|(looks, _)| looks).sum();
            assert!(
                f64::from(looks) <= 17.0 * (least + 1.5),
                "{length}: {met:?}"
            );
        }
    }

    #[test]
    fn a_cloud_that_changes_is_learned_anew() {
        for other in [0.5, 1.0, 2.5, 4.0, 9.0] {
            let mut history = History::default();
            waits(&mut history, [3.0; 10]);
            let met = waits(&mut history, [other; 12]);
            for (_, late) in &met[8..] {
                assert!(*late <= 0.05 * other, "{other}: {met:?}");
            }
        }
    }

    #[test]
    fn what_is_never_the_same_is_met_all_the_same() {
        // From 1 to 12, in an order without order.
        let lengths = (0..200_u32).map(|number| 1.0 + 11.0 * f64::from(number * 83 % 200) / 200.0);
        let met = waits(&mut History::default(), lengths);
        let late: f64 = met.iter().map(|(_, late)| late).sum();
        assert!(late / 200.0 < 0.1, "{}", late / 200.0);
    }

    #[test]
    fn what_nobody_has_seen_is_looked_at_ever_less_often() {
        for length in [0.05, 0.3, 1.0, 4.0, 12.0] {
            let met = waits(&mut History::default(), [length]);
            let (looks, late) = met[0];
            assert!(late <= 0.03 + 0.3 * length, "{length}: {late}");
            assert!(looks < 100, "{length}: {looks}");
        }
    }

    #[test]
    fn a_grid_is_as_coarse_as_the_rate_demands() {
        let pace = Pace::REMOTE;
        assert_eq!(grid(1, 1, &pace), Duration::ZERO);
        assert_eq!(grid(2, 1, &pace), pace.first / 2);
        let coarse = grid(1000, 20, &pace);
        assert!(coarse >= Duration::from_secs(1) * 20 / pace.rate);
        let at = Timestamp::new(1_000_001, 7).unwrap();
        let aligned = align(at, coarse);
        assert!(aligned >= at && super::super::between(at, aligned) < coarse);
        assert_eq!(align(aligned, coarse), aligned);
        assert_eq!(align(at, Duration::ZERO), at);
    }

    proptest! {
        #[test]
        fn a_look_is_neither_too_soon_nor_too_late(
            seen in proptest::collection::vec((0.0..50.0_f64, 0.0..20.0_f64), 0..40),
            elapsed in 0.0..100.0_f64,
            waiting in 1..2000_usize,
        ) {
            let mut history = History::default();
            for (from, more) in seen {
                let from = Duration::from_secs_f64(from);
                history.note("it", from, from + Duration::from_secs_f64(more));
            }
            for pace in [Pace::LOCAL, Pace::REMOTE] {
                let sure = history.sure("it", None);
                let spans = history.spans("it", sure, &pace);
                let look = |waiting, longest| next_look(&View {
                    elapsed: Duration::from_secs_f64(elapsed),
                    sure,
                    spans: &spans,
                    waiting,
                    longest,
                    pace: &pace,
                });
                let wait = look(waiting, pace.longest);
                prop_assert!(wait >= pace.first / 2 && wait <= pace.longest);
                // Who shares the calls doesn't look less often, and nobody waits longer than
                // he may.
                prop_assert!(wait <= look(1, pace.longest));
                prop_assert!(look(1, pace.first) <= pace.first);
            }
        }

        #[test]
        fn no_more_is_taken_than_the_rate(gaps in proptest::collection::vec(0..2000_u64, 1..300)) {
            let pace = Pace::REMOTE;
            let begin = Timestamp::UNIX_EPOCH;
            let mut now = begin;
            let mut bucket = Bucket::full(now, &pace);
            let mut taken = 0;
            for gap in gaps {
                now += Duration::from_millis(gap);
                match bucket.take(now, &pace) {
                    None => taken += 1,
                    Some(wait) => {
                        prop_assert!(bucket.take(now + wait + Duration::from_millis(1), &pace).is_none());
                        now += wait + Duration::from_millis(1);
                        taken += 1;
                    }
                }
                let seconds = super::super::between(begin, now).as_secs_f64();
                let most = f64::from(pace.rate) * (BURST + seconds) + 1.0;
                prop_assert!(f64::from(taken) <= most);
            }
        }
    }
}
