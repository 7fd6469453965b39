//! What a refusal is, and so what is done about it: the one table of the house.
//!
//! [`retry`](super::retry) repeats calls by it, [`CallError`](super::CallError) says by it
//! whether a run can be resumed, and the engine waits for states and takes alternatives by
//! it. A code that isn't in it is the caller's own mistake. Nothing here waits or calls.

use crate::error::{ApiError, ErrorCode};

/// What a failed call is.
///
/// | class | what was done | what is repeated | `ClientToken` | by whom, how long |
/// |---|---|---|---|---|
/// | `Throttling` | nothing | every call | the same | client: jitter, `x-acs-retry-after`, 2 min |
/// | `Busy` | the same request is at work | every call | the same | client: jitter, 2 min |
/// | `Fault` | perhaps all of it | what does no more twice than once | the same | client: 7 attempts, 15 s |
/// | `Lost` | perhaps all of it | what does no more twice than once | the same | client: 7 attempts, 15 s |
/// | `Passing` | nothing | every call | the same | engine: pace of the cloud, 40 s, a deletion 4 min |
/// | `NoStock` | nothing | another instance type or zone | one of its own | engine: 6 alternatives |
/// | `Mistake` | nothing | nothing | | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It came too soon.
    Throttling,
    /// A request with its token, or one about the same thing, is at work.
    Busy,
    /// The service failed.
    Fault,
    /// No answer came, or none of ECS.
    Lost,
    /// What it is about is in a state that passes by itself.
    Passing,
    /// There is none of this type left in this zone.
    NoStock,
    /// It was refused for a reason that stays.
    Mistake,
}

/// One row: a code and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The code; one that ends in `.*` is also every code that goes on after a dot.
    pub code: &'static str,
    /// What it means.
    pub class: Class,
    /// The actions for which it means that; empty for all.
    pub actions: &'static [&'static str],
}

const fn row(code: &'static str, class: Class) -> Row {
    row_of(code, class, &[])
}

const fn row_of(code: &'static str, class: Class, actions: &'static [&'static str]) -> Row {
    Row {
        code,
        class,
        actions,
    }
}

/// Not those that send something into an instance: there such a state means that the
/// instance went away, and whoever sends brings it back.
const OF_INSTANCE: &[&str] = &[
    "CreateImage",
    "CreateSnapshot",
    "DeleteInstance",
    "StartInstance",
    "StopInstance",
];
const MAKE_IMAGE: &[&str] = &["CreateImage", "CreateSnapshot"];
const IN_NETWORK: &[&str] = &[
    "CreateSecurityGroup",
    "CreateVSwitch",
    "DeleteSecurityGroup",
    "DeleteVSwitch",
    "DeleteVpc",
];
const DELETE: &[&str] = &[
    "DeleteImage",
    "DeleteInstance",
    "DeleteSecurityGroup",
    "DeleteSnapshot",
    "DeleteVSwitch",
    "DeleteVpc",
];
const MAKE_INSTANCE: &[&str] = &["RunInstances"];

/// Every code that is not a mistake. The first row that fits counts.
pub const TABLE: &[Row] = &[
    row("Throttling.*", Class::Throttling),
    row("IdempotentProcessing", Class::Busy),
    row("LastTokenProcessing", Class::Busy),
    row("OperationConflict", Class::Busy),
    row("InvalidOperation.Conflict", Class::Busy),
    row("TaskConflict.*", Class::Busy),
    // The next attempt is signed with another one.
    row("SignatureNonceUsed", Class::Busy),
    row("InternalError.*", Class::Fault),
    row("ServiceUnavailable.*", Class::Fault),
    row_of(
        "IncorrectInstanceStatus.Initializing",
        Class::Passing,
        OF_INSTANCE,
    ),
    row_of("IncorrectInstanceStatus", Class::Passing, OF_INSTANCE),
    row_of(
        "IncorrectDiskStatus.CreatingSnapshot",
        Class::Passing,
        MAKE_IMAGE,
    ),
    row_of(
        "QuotaExceed.ConcurrentSnapshotQuota",
        Class::Passing,
        MAKE_IMAGE,
    ),
    row_of(
        "InvalidSnapshotId.NotReady",
        Class::Passing,
        &["CreateImage", "DeleteSnapshot"],
    ),
    row_of(
        "SnapshotNotReady",
        Class::Passing,
        &["CreateImage", "DeleteSnapshot"],
    ),
    row_of("SnapshotCreatedImage", Class::Passing, &["DeleteSnapshot"]),
    row_of(
        "OperationDenied.ImageCopyConflict",
        Class::Passing,
        &["CopyImage"],
    ),
    row_of(
        "OperationDenied.ImageCopying",
        Class::Passing,
        &["DeleteImage"],
    ),
    row_of(
        "IncorrectImageStatus",
        Class::Passing,
        &["DeleteImage", "CopyImage"],
    ),
    row_of("ImageUseShared", Class::Passing, &["DeleteImage"]),
    row_of("DependencyViolation.*", Class::Passing, DELETE),
    row_of("IncorrectVpcStatus.*", Class::Passing, IN_NETWORK),
    row_of("IncorrectVSwitchStatus.*", Class::Passing, IN_NETWORK),
    row_of("OperationDenied.NoStock", Class::NoStock, MAKE_INSTANCE),
    row_of("Zone.NotOnSale", Class::NoStock, MAKE_INSTANCE),
    row_of("Zone.NotOpen", Class::NoStock, MAKE_INSTANCE),
    row_of(
        "InvalidInstanceType.NotSupported",
        Class::NoStock,
        MAKE_INSTANCE,
    ),
    row_of(
        "InvalidInstanceType.ZoneNotSupported",
        Class::NoStock,
        MAKE_INSTANCE,
    ),
    row_of(
        "InvalidResourceType.NotSupported",
        Class::NoStock,
        MAKE_INSTANCE,
    ),
    row_of("ImageNotSupportInstanceType", Class::NoStock, MAKE_INSTANCE),
];

impl Row {
    fn fits(&self, action: &str, code: &str) -> bool {
        let named = match self.code.strip_suffix(".*") {
            None => code == self.code,
            Some(family) => code
                .strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        };
        named && (self.actions.is_empty() || self.actions.contains(&action))
    }
}

impl Class {
    /// What a code means in the answer of an action.
    pub fn of_code(action: &str, code: &ErrorCode) -> Self {
        let found = TABLE.iter().find(|row| row.fits(action, code.as_str()));
        found.map_or(Self::Mistake, |row| row.class)
    }

    /// What an error of ECS means in the answer of an action. An unknown code with a
    /// server's status is a fault.
    pub fn of_error(action: &str, error: &ApiError) -> Self {
        match Self::of_code(action, &error.code) {
            Self::Mistake if error.http_status >= 500 => Self::Fault,
            class => class,
        }
    }

    /// Whether the very same call may succeed a while later, in another process too.
    pub fn is_unavailable(self) -> bool {
        matches!(
            self,
            Self::Throttling | Self::Busy | Self::Fault | Self::Lost
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::action;

    #[test]
    fn every_row_can_be_reached_and_names_actions_that_exist() {
        let mut seen = BTreeSet::new();
        for row in TABLE {
            let code = row.code.trim_end_matches(".*");
            assert!(seen.insert(code), "{code} is listed twice");
            let actions = match row.actions {
                [] => vec!["RunInstances"],
                named => named.to_vec(),
            };
            for name in actions {
                assert!(action::info(name).is_some(), "{name} is no action");
                assert_eq!(
                    Class::of_code(name, &code.into()),
                    row.class,
                    "{name} {code}"
                );
            }
        }
    }

    #[test]
    fn families_are_meant_with_their_members_and_nothing_else() {
        let class = |action: &str, code: &str| Class::of_code(action, &code.into());
        assert_eq!(class("StopInstance", "Throttling.Api"), Class::Throttling);
        assert_eq!(class("StopInstance", "ThrottlingX"), Class::Mistake);
        let violated = "DependencyViolation.VSwitch";
        assert_eq!(class("DeleteVpc", violated), Class::Passing);
        assert_eq!(class("CreateVpc", violated), Class::Mistake);
        // The instance went away: that is not waited for, it is mended.
        let status = "IncorrectInstanceStatus";
        assert_eq!(class("StopInstance", status), Class::Passing);
        assert_eq!(class("RunCommand", status), Class::Mistake);
        let restart = "IncorrectInstanceStatus.NeedRestart";
        assert_eq!(class("CreateImage", restart), Class::Mistake);
    }

    #[test]
    fn what_is_not_in_the_table_is_a_mistake_or_a_fault_of_the_server() {
        let listed = |code: &ErrorCode| {
            let mut rows = TABLE.iter();
            rows.any(|row| row.fits(row.actions.first().unwrap_or(&""), code.as_str()))
        };
        for code in ErrorCode::ALL.iter().filter(|code| !listed(code)) {
            for info in action::ACTIONS {
                let error = |status| ApiError::new(status, code.clone(), "");
                assert_eq!(Class::of_error(info.name, &error(403)), Class::Mistake);
                assert_eq!(Class::of_error(info.name, &error(503)), Class::Fault);
            }
        }
    }
}
