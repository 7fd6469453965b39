//! What the client repeats, and how long it waits in between.
//!
//! What a failure is, is [`class`](super::class)'s to say. Two questions decide then. Did
//! the attempt surely have no effect (throttling, "still at work")? Then every call is
//! repeated, patiently. If that is not known (timeout, broken connection, a fault of the
//! service), only a call is repeated that does no more twice than once, and not for long:
//! whoever is told looks before it is made again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::class::Class;
use crate::action::{self, IDEMPOTENT};
use crate::params::Params;

/// How often, and how long in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all where each may have had its effect, at least 1.
    pub attempts: usize,
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait between these attempts.
    pub longest: Duration,
    /// How long a call is repeated that was refused without effect: one that came too
    /// soon, or while another with its token is at work. Waits grow to 20 s then.
    pub patience: Duration,
    /// Whether waits are lengthened at random, so that many clients don't come back at
    /// the same moment.
    pub jitter: bool,
}

/// The longest wait of a patient call, unless the server asks for more.
const LONGEST_PATIENT: Duration = Duration::from_secs(20);

impl Default for Retry {
    /// 7 attempts within about 15 seconds: long enough for a local cloud to be started
    /// again, short enough for one operation of a build. And two minutes where the cloud
    /// is busy: the window of its limits is one.
    fn default() -> Self {
        Self {
            attempts: 7,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
            patience: Duration::from_mins(2),
            jitter: true,
        }
    }
}

impl Retry {
    /// One attempt.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            patience: Duration::ZERO,
            ..Self::default()
        }
    }

    /// The waits of one call.
    pub(super) fn waits(self) -> Waits {
        let builder = ExponentialBuilder::new().with_min_delay(self.first);
        let builder = if self.jitter {
            builder.with_jitter()
        } else {
            builder
        };
        Waits {
            retry: self,
            brief: builder
                .with_max_delay(self.longest)
                .with_max_times(self.attempts.saturating_sub(1))
                .build(),
            patient: builder
                .with_max_delay(LONGEST_PATIENT)
                .without_max_times()
                .build(),
            waited: Duration::ZERO,
        }
    }
}

/// The waits of one call, as far as they have been made.
pub(super) struct Waits {
    retry: Retry,
    brief: ExponentialBackoff,
    patient: ExponentialBackoff,
    /// Patiently.
    waited: Duration,
}

impl Waits {
    /// How long to wait after a failure that may be repeated; none where it is enough.
    /// The server's own wish is kept to.
    pub(super) fn next(&mut self, class: Class, asked: Option<Duration>) -> Option<Duration> {
        if !matches!(class, Class::Throttling | Class::Busy) {
            return self.brief.next();
        }
        if self.waited >= self.retry.patience {
            return None;
        }
        let own = self.patient.next()?;
        let wait = match asked {
            // Those who were told the same time must not come back together either.
            Some(asked) if self.retry.jitter => asked + own,
            Some(asked) => asked.max(own),
            None => own,
        };
        self.waited += wait;
        Some(wait)
    }
}

/// Whether a call that may have taken effect can be made again. `RebootInstance` can't: it
/// would reboot twice. Of an unknown action it is taken to be safe when it has a
/// `ClientToken` or its name says that it reads.
pub fn may_repeat(name: &str, params: &Params) -> bool {
    let reads = match action::info(name) {
        Some(info) => !info.mutating,
        None => ["Describe", "List", "Get"]
            .iter()
            .any(|verb| name.starts_with(verb)),
    };
    let has_token = params
        .get("ClientToken")
        .is_some_and(|token| !token.is_empty());
    reads || has_token || IDEMPOTENT.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_no_more_twice_is_repeated() {
        let none = Params::new();
        let token: Params = [("ClientToken", "t")].into_iter().collect();
        for info in action::ACTIONS {
            let known = !info.mutating || IDEMPOTENT.contains(&info.name);
            assert_eq!(may_repeat(info.name, &none), known, "{}", info.name);
            assert!(may_repeat(info.name, &token), "{}", info.name);
        }
        assert!(!may_repeat("RebootInstance", &none));
        assert!(!may_repeat(
            "RunInstances",
            &[("ClientToken", "")].into_iter().collect()
        ));
        assert!(may_repeat("DescribeVpcs", &none));
        assert!(!may_repeat("CreateVpc", &none));
    }

    #[test]
    fn a_busy_cloud_is_waited_for_longer_than_a_broken_one() {
        let retry = Retry {
            jitter: false,
            ..Retry::default()
        };
        let mut waits = retry.waits();
        let brief: Duration = std::iter::from_fn(|| waits.next(Class::Fault, None)).sum();
        assert!(brief <= Duration::from_secs(15), "{brief:?}");
        let mut waits = retry.waits();
        let soon = Some(Duration::from_secs(3));
        assert_eq!(waits.next(Class::Throttling, soon), soon);
        let patient: Duration = std::iter::from_fn(|| waits.next(Class::Busy, None)).sum();
        assert!(patient >= Duration::from_secs(115), "{patient:?}");
        assert!(patient <= Duration::from_secs(140), "{patient:?}");
        let mut never = Retry::never().waits();
        assert_eq!(never.next(Class::Throttling, None), None);
        assert_eq!(never.next(Class::Lost, None), None);
        // What many were told at once is spread.
        let mut spread = Retry::default().waits();
        assert!(spread.next(Class::Throttling, soon) > soon);
    }
}
