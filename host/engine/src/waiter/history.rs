//! How long transitions took: what was seen, and what is expected before anything was.
//!
//! A transition is known to lie between the last look that didn't see it and the first
//! that did. The last few of each kind and region are kept, also for later processes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cloud::Pace;

/// How many are kept of each kind and region.
const MOST: usize = 32;
/// How many kinds and regions are kept.
const MOST_NAMES: usize = 500;
/// The end of what is expected of something that nobody has seen yet, in first intervals
/// of the pace: a minute on this machine, most of an hour in the cloud.
const LONGEST: f64 = 3000.0;
/// What is expected without anything seen weighs as much as this many that were.
const PRIOR: f64 = 1.0;
/// The step of what is expected: as likely from 1 to 1.5 seconds as from 10 to 15.
const STEP: f64 = 1.5;
/// So many alike make sure.
const ALIKE: usize = 3;
/// How much of the longest they may differ by.
const APART: f64 = 0.25;
/// What is expected beside what is sure.
const DOUBT: f64 = 0.1;

/// A transition takes `from` to `to` seconds with this weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) weight: f64,
}

/// What was seen.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    /// The last ones, by name: seconds from, seconds to.
    seen: BTreeMap<String, VecDeque<(f64, f64)>>,
    #[serde(skip)]
    changed: bool,
}

impl History {
    /// What an earlier process has kept; nothing if that can't be read.
    pub(crate) fn read(text: &[u8]) -> Self {
        let mut read: Self = serde_json::from_slice(text).unwrap_or_default();
        for seen in read.seen.values_mut() {
            seen.retain(|(from, to)| {
                from.is_finite() && to.is_finite() && 0.0 <= *from && from <= to
            });
        }
        read
    }

    /// What is to be kept, if it has changed since it was last asked for.
    pub(crate) fn changed(&mut self) -> Option<Vec<u8>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| serde_json::to_vec(self).unwrap_or_default())
    }

    /// Takes note of one.
    pub(crate) fn note(&mut self, name: &str, lo: Duration, hi: Duration) {
        if self.seen.len() >= MOST_NAMES && !self.seen.contains_key(name) {
            return;
        }
        let seen = self.seen.entry(name.into()).or_default();
        seen.push_back((lo.as_secs_f64(), hi.as_secs_f64()));
        while seen.len() > MOST {
            seen.pop_front();
        }
        self.changed = true;
    }

    /// The last ones, when they were alike: then it is sure how long the next one takes.
    fn alike(&self, name: &str) -> Option<Vec<(f64, f64)>> {
        let seen = self.seen.get(name)?;
        let last: Vec<_> = seen.iter().rev().take(ALIKE).rev().copied().collect();
        let from = last.iter().map(|one| one.0).fold(f64::MAX, f64::min);
        let to = last.iter().map(|one| one.1).fold(0.0, f64::max);
        (last.len() > 1 && to - from <= APART * to).then_some(last)
    }

    /// Whether it is sure how long a transition of this name takes.
    pub(crate) fn is_sure(&self, name: &str) -> bool {
        self.alike(name).is_some()
    }

    /// What is expected of a transition of this name.
    pub(crate) fn spans(&self, name: &str, pace: &Pace) -> Vec<Span> {
        let mut spans = prior(pace);
        if let Some(last) = self.alike(name) {
            for span in &mut spans {
                span.weight *= DOUBT;
            }
            // Each was met more closely than the one before.
            let mut weight = 1.0;
            for (from, to) in last {
                spans.push(Span { from, to, weight });
                weight *= 4.0;
            }
            return spans;
        }
        let seen = self.seen.get(name).into_iter().flatten();
        spans.extend(seen.map(|(from, to)| Span {
            from: *from,
            to: *to,
            weight: 1.0,
        }));
        spans
    }
}

/// What is expected of a transition that nobody has seen: every order of magnitude is as
/// likely as the other.
fn prior(pace: &Pace) -> Vec<Span> {
    let mut from = pace.first.as_secs_f64().max(1e-3);
    let mut spans = Vec::new();
    let longest = LONGEST * from;
    while from < longest {
        let to = from * STEP;
        spans.push(Span {
            from,
            to,
            weight: 1.0,
        });
        from = to;
    }
    let total: f64 = spans.iter().map(|span| span.weight).sum();
    for span in &mut spans {
        span.weight *= PRIOR / total;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_are_kept_for_the_next_process() {
        let mut history = History::default();
        assert_eq!(history.changed(), None);
        for second in 0..100 {
            // Not alike, until the last.
            let from = Duration::from_secs(if second < 99 { second % 10 } else { 99 });
            history.note("image", from, from + Duration::from_secs(1));
        }
        let text = history.changed().unwrap();
        assert_eq!(history.changed(), None);
        let read = History::read(&text);
        let spans = read.spans("image", &Pace::LOCAL);
        let seen = spans.len() - prior(&Pace::LOCAL).len();
        assert_eq!(seen, MOST);
        assert!((spans.last().unwrap().to - 100.0).abs() < 1e-9);
        assert!(!read.is_sure("image"));
        assert_eq!(read.spans("up", &Pace::LOCAL), prior(&Pace::LOCAL));
        // What is damaged is as good as nothing.
        for damaged in [&b"{"[..], br#"{"seen":{"up":[[3.0,1.0],[-1.0,2.0]]}}"#] {
            let spans = History::read(damaged).spans("up", &Pace::LOCAL);
            assert_eq!(spans, prior(&Pace::LOCAL));
        }
    }

    #[test]
    fn what_was_alike_is_sure_until_it_changes() {
        let mut history = History::default();
        let mut note = |from: u64, to: u64| {
            let [from, to] = [from, to].map(Duration::from_millis);
            history.note("stop", from, to);
            history.is_sure("stop")
        };
        assert!(!note(1900, 2100));
        assert!(note(1990, 2010));
        assert!(note(2000, 2010));
        assert!(!note(3900, 4100));
        assert!(!note(3990, 4010));
        assert!(note(3990, 4000));
    }
}
