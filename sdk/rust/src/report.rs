//! Messages and results for people and programs.
//!
//! Messages show when they first come. Results count only in the call that returns, so a
//! component simply reports in straight-line code.

use crate::{Json, calls::report};

/// A message for the component's author.
pub fn debug(message: impl AsRef<str>) {
    report::debug(message.as_ref());
}

/// A message for everybody.
pub fn info(message: impl AsRef<str>) {
    report::info(message.as_ref());
}

/// Something may be wrong.
pub fn warning(message: impl AsRef<str>) {
    report::warning(message.as_ref());
}

/// Builders: an output for the template and later components. The name is a lower-case
/// letter, then lower-case letters, digits and dashes. The last value of a name counts.
pub fn publish(name: impl AsRef<str>, value: impl Into<Json>) {
    report::publish(name.as_ref(), &value.into().to_string());
}

/// Testers: a case that is as it should be.
pub fn passed(case: impl AsRef<str>) {
    report::passed(case.as_ref());
}

/// Testers: a case that is not as it should be; the image fails its test.
pub fn failed(case: impl AsRef<str>, message: impl AsRef<str>) {
    report::failed(case.as_ref(), message.as_ref());
}

/// Testers: a case that does not apply, or can't be told, here.
pub fn skipped(case: impl AsRef<str>, message: impl AsRef<str>) {
    report::skipped(case.as_ref(), message.as_ref());
}

/// How much an item that could not be repaired endangers the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// The image will probably not start.
    High,
    /// Something will not work.
    Medium,
    /// Worth knowing.
    Low,
}

impl Risk {
    /// The word of the contract: `high`, `medium` or `low`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Repairers: an item that was wrong and has been put right, named as Alibaba Cloud's
/// image check names it (`GUESTOS.Fstab`), or freely.
pub fn repaired(item: impl AsRef<str>, message: impl AsRef<str>) {
    report::repaired(item.as_ref(), message.as_ref());
}

/// Repairers: an item that is wrong and can't be put right here.
pub fn unrepaired(item: impl AsRef<str>, risk: Risk, message: impl AsRef<str>) {
    report::unrepaired(item.as_ref(), risk.as_str(), message.as_ref());
}

/// Repairers: an item that was looked at and is in order.
pub fn intact(item: impl AsRef<str>) {
    report::intact(item.as_ref());
}
