//! How long transitions took: what was seen, and what is expected before anything was.
//!
//! A transition is known to lie between the last look that didn't see it and the first
//! that did. The last few of each kind and region are kept, also for later processes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alike::{Sure, Window, alike};
use crate::cloud::Pace;

/// How many are kept of each kind and region.
const MOST: usize = 32;
/// How many kinds and regions are kept.
const MOST_NAMES: usize = 500;
/// How many are counted before the older ones count for half.
const MOST_COUNTED: u32 = 32;
/// The end of what is expected of something that nobody has seen yet, in first intervals
/// of the pace: a minute on this machine, most of an hour in the cloud.
const LONGEST: f64 = 3000.0;
/// What is expected without anything seen weighs as much as this many that were.
const PRIOR: f64 = 1.0;
/// The step of what is expected: as likely from 1 to 1.5 seconds as from 10 to 15.
const STEP: f64 = 1.5;
/// What is expected of something that took longer than was sure: as much longer, as a
/// part of that, with this weight, and then anything.
const LATE: (f64, f64) = (0.03, 0.3);
/// Where nothing is sure each one that was seen stands for those around it, shorter and
/// longer by this factor.
const AROUND: f64 = 1.5;
/// And what the last one weighs by itself: it may be the same again.
const SAME: f64 = 0.5;
/// How many of one run's later transitions must be like its first to make sure.
const LIKELY: f64 = 0.7;
/// What that is taken to be, of how many, when nothing was seen: they mostly are.
const AT_FIRST: (f64, f64) = (3.0, 4.0);

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
    seen: BTreeMap<String, VecDeque<Window>>,
    /// How often a later one of a run was like the run's first, and how often not.
    #[serde(default)]
    again: BTreeMap<String, (u32, u32)>,
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

    /// Takes note of a later one of a run: whether it was like the run's first.
    pub(crate) fn note_again(&mut self, name: &str, first: Window, later: Window) {
        if self.again.len() >= MOST_NAMES && !self.again.contains_key(name) {
            return;
        }
        let (like, unlike) = self.again.entry(name.into()).or_default();
        *if alike(first, later) {
            &mut *like
        } else {
            &mut *unlike
        } += 1;
        if *like + *unlike > MOST_COUNTED {
            *like /= 2;
            *unlike /= 2;
        }
        self.changed = true;
    }

    /// What is sure of a transition of this name, where the same run's first one was
    /// `first`.
    pub(crate) fn sure(&self, name: &str, first: Option<Window>) -> Option<Sure> {
        let seen = self.seen.get(name);
        if let Some(sure) = seen.and_then(|seen| Sure::of(seen.iter())) {
            return Some(sure);
        }
        let (like, unlike) = self.again.get(name).copied().unwrap_or_default();
        let (like, all) = (f64::from(like), f64::from(like + unlike));
        let likely = (like + AT_FIRST.0) / (all + AT_FIRST.1) >= LIKELY;
        first.filter(|_| likely).and_then(Sure::of_one)
    }

    /// What is expected of a transition of this name.
    pub(crate) fn spans(&self, name: &str, sure: Option<Sure>, pace: &Pace) -> Vec<Span> {
        let mut spans = prior(pace);
        if let Some(sure) = sure {
            let (part, weight) = LATE;
            spans.push(Span {
                from: sure.to(),
                to: sure.to() * (1.0 + part),
                weight,
            });
            return spans;
        }
        let seen = self.seen.get(name).into_iter().flatten();
        spans.extend(seen.clone().map(|(from, to)| Span {
            from: from / AROUND,
            to: to * AROUND,
            weight: 1.0,
        }));
        spans.extend(seen.last().map(|(from, to)| Span {
            from: *from,
            to: *to,
            weight: SAME,
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
        let spans = read.spans("image", None, &Pace::LOCAL);
        let seen = spans.len() - prior(&Pace::LOCAL).len();
        // And the last one by itself.
        assert_eq!(seen, MOST + 1);
        assert!((spans.last().unwrap().to - 100.0).abs() < 1e-9);
        assert_eq!(read.sure("image", None), None);
        assert_eq!(read.spans("up", None, &Pace::LOCAL), prior(&Pace::LOCAL));
        // What is damaged is as good as nothing.
        for damaged in [&b"{"[..], br#"{"seen":{"up":[[3.0,1.0],[-1.0,2.0]]}}"#] {
            let spans = History::read(damaged).spans("up", None, &Pace::LOCAL);
            assert_eq!(spans, prior(&Pace::LOCAL));
        }
    }

    #[test]
    fn a_run_s_second_is_expected_to_be_like_its_first_while_they_are() {
        let mut history = History::default();
        let first = Some((2.95, 3.0));
        assert_eq!(history.sure("start", None), None);
        assert!(history.sure("start", first).is_some());
        for _ in 0..3 {
            history.note_again("start", (2.95, 3.0), (8.0, 8.1));
        }
        assert_eq!(history.sure("start", first), None);
        for _ in 0..30 {
            history.note_again("start", (2.95, 3.0), (2.9, 3.1));
        }
        let read = History::read(&history.changed().unwrap());
        assert!(read.sure("start", first).is_some());
        // What an earlier version has kept.
        let text = br#"{"seen":{"start":[[2.95,3.0],[2.95,3.0]]}}"#;
        assert!(History::read(text).sure("start", None).is_some());
    }
}
