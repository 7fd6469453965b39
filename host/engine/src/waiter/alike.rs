//! What is sure of how long something takes: it took as long time after time.
//!
//! A transition that was waited for is known as a window, in seconds since the wait's
//! begin: not yet at its begin, done at its end. Windows that one length fits into are
//! alike; what the last of them have in common is where the next one is looked for, and
//! nowhere else. That would never notice a cloud that has become faster, so every few
//! times it is looked at a moment earlier too.
//!
//! Pure functions over [`History`](super::history::History), for [`policy`](super::policy).

/// Not yet at the first, done at the second, in seconds.
pub(crate) type Window = (f64, f64);

/// So many alike make sure.
const ENOUGH: usize = 3;
/// So many of the last ones are compared.
const COMPARED: usize = 8;
/// Part of a length by which two windows may miss each other and be alike still.
const APART: f64 = 0.05;
/// A window up to this part of its end is not looked into, only at its end.
const NARROW: f64 = 0.03;
/// A window from this part of its end on says too little.
const WIDE: f64 = 0.25;
/// Of so many waits one is to show that it isn't done much earlier.
const CHECKED: usize = 3;
/// The part of its length at which it is looked at earlier. What is done then is not alike.
const EARLY: f64 = 1.0 - 1.6 * APART;

/// Seconds that are no time: what times are rounded by.
const INSTANT: f64 = 1e-6;

/// When something will have happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sure {
    from: f64,
    to: f64,
    /// Whether it is looked at earlier.
    check: bool,
}

impl Sure {
    /// What the last ones of a kind make sure, oldest first. Two are enough where there
    /// never was another one.
    pub(crate) fn of<'a>(
        seen: impl ExactSizeIterator<Item = &'a Window> + DoubleEndedIterator + Clone,
    ) -> Option<Self> {
        let lately = seen.clone().rev().take(CHECKED - 1);
        let narrow = |(from, to): &Window| *from >= (1.0 - WIDE / 2.0) * to;
        let check = !lately.clone().any(narrow);
        let count = seen.len();
        let mut last = seen.rev().take(COMPARED);
        let mut common = *last.next()?;
        let mut alike = 1;
        for window in last {
            match meet(common, *window) {
                Some(both) => common = both,
                None => break,
            }
            alike += 1;
        }
        let enough = alike >= ENOUGH || (alike >= 2 && alike == count);
        let (from, to) = common;
        (enough && to - from <= WIDE * to).then_some(Self { from, to, check })
    }

    /// What one makes sure of the next one beside it.
    pub(crate) fn of_one((from, to): Window) -> Option<Self> {
        (to - from <= WIDE * to).then_some(Self {
            from,
            to,
            check: false,
        })
    }

    /// The next moment to look after `elapsed` seconds; none when it should have happened.
    pub(crate) fn next(&self, elapsed: f64) -> Option<f64> {
        let Self { from, to, check } = *self;
        let wide = to - from > NARROW * to;
        let moments = [
            check.then_some(EARLY * from),
            wide.then_some(f64::midpoint(from, to)),
            Some(to),
        ];
        let mut moments = moments.into_iter().flatten();
        moments.find(|at| *at > elapsed + INSTANT)
    }

    /// When it should have happened.
    pub(crate) fn to(&self) -> f64 {
        self.to
    }
}

/// What two windows have in common, or what is between two that hardly miss each other.
fn meet(one: Window, other: Window) -> Option<Window> {
    let (from, to) = (one.0.max(other.0), one.1.min(other.1));
    if from <= to {
        Some((from, to))
    } else {
        (from - to <= APART * from).then_some((to, from))
    }
}

/// Whether one length fits into both, more or less.
pub(crate) fn alike(one: Window, other: Window) -> bool {
    meet(one, other).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(seen: &[Window]) -> Option<Sure> {
        Sure::of(seen.iter())
    }

    #[test]
    fn what_was_alike_is_sure_until_it_changes() {
        let mut seen = vec![(2.8, 3.1)];
        assert_eq!(sure(&seen), None);
        seen.push((2.95, 3.01));
        let two = sure(&seen).unwrap();
        assert_eq!((two.from, two.to, two.check), (2.95, 3.01, false));
        seen.push((5.0, 5.1));
        assert_eq!(sure(&seen), None);
        // Now that it has changed once two are not enough.
        seen.push((5.0, 5.1));
        assert_eq!(sure(&seen), None);
        seen.push((4.99, 5.02));
        assert_eq!(sure(&seen).map(|one| (one.from, one.to)), Some((5.0, 5.02)));
        assert_eq!(sure(&[]), None);
    }

    #[test]
    fn lengths_that_differ_a_little_are_alike() {
        let found = sure(&[(2.9, 2.95), (3.0, 3.05), (2.96, 2.98)]).unwrap();
        assert!(found.from >= 2.9 && found.to <= 3.05, "{found:?}");
        assert!(alike((2.9, 2.95), (3.0, 3.05)));
        assert!(!alike((2.0, 2.1), (3.0, 3.1)));
    }

    #[test]
    fn a_window_that_says_little_makes_nothing_sure() {
        assert_eq!(sure(&[(0.0, 3.0), (0.0, 3.0), (1.0, 3.0)]), None);
        assert_eq!(Sure::of_one((1.0, 3.0)), None);
        assert!(Sure::of_one((2.8, 3.0)).is_some());
    }

    #[test]
    fn it_is_looked_at_earlier_every_few_times() {
        let narrow = (2.95, 3.0);
        let blind = (0.0, 3.0);
        let looks = |seen: &[Window]| {
            let sure = sure(seen).unwrap();
            let mut looks = Vec::new();
            let mut at = 0.0;
            while let Some(next) = sure.next(at) {
                looks.push(next);
                at = next;
            }
            looks
        };
        assert_eq!(looks(&[narrow, narrow]), [3.0]);
        assert_eq!(looks(&[narrow, narrow, blind]), [3.0]);
        let checked = looks(&[narrow, narrow, blind, blind]);
        assert_eq!(checked.len(), 2, "{checked:?}");
        assert!(checked[0] < 2.95, "{checked:?}");
        // And where the window is worth it, into it.
        assert_eq!(looks(&[(2.8, 3.0), (2.8, 3.0)]).len(), 2);
    }
}
