//! What the client repeats, and how long it waits in between.
//!
//! Two questions decide. Did the attempt surely have no effect (refused connection,
//! throttling, "still at work")? Then every call is repeated. If that is not known
//! (timeout, broken connection, a fault of the service), only a call is repeated that
//! does no more twice than once.

use std::time::Duration;

use backon::ExponentialBuilder;

use crate::action;
use crate::params::Params;

/// How often, and how long in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: usize,
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait, unless the server asks for more.
    pub longest: Duration,
    /// Whether waits are lengthened at random, so that many clients don't come back at
    /// the same moment.
    pub jitter: bool,
}

impl Default for Retry {
    /// 7 attempts within about 15 seconds: long enough for a local cloud to be started
    /// again, short enough for one operation of a build.
    fn default() -> Self {
        Self {
            attempts: 7,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(5),
            jitter: true,
        }
    }
}

impl Retry {
    /// One attempt.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    pub(super) fn backoff(self) -> ExponentialBuilder {
        let builder = ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1));
        if self.jitter {
            builder.with_jitter()
        } else {
            builder
        }
    }
}

/// Actions that change something and that do no more twice than once, although they take
/// no `ClientToken`: they set a state or remove a thing.
const IDEMPOTENT: &[&str] = &[
    "CancelCopyImage",
    "DeleteImage",
    "DeleteInstance",
    "DeleteSecurityGroup",
    "DeleteSnapshot",
    "DeleteVSwitch",
    "DeleteVpc",
    "InstallCloudAssistant",
    "ModifyImageAttribute",
    "ModifyImageSharePermission",
    "ModifyInstanceAutoReleaseTime",
    "ModifySecurityGroupPolicy",
    "StartInstance",
    "StopInstance",
    "StopInvocation",
    "TagResources",
    "UntagResources",
];

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
    fn every_listed_action_exists() {
        for name in IDEMPOTENT {
            assert!(
                action::info(name).is_some_and(|info| info.mutating),
                "{name}"
            );
        }
    }
}
