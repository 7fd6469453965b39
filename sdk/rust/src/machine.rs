//! The machine that is worked on, as far as the host knows it before the first step.
//!
//! Nothing here is a question, and unknown texts are empty. A component that must know
//! more asks by a step.

use crate::calls::machine;

/// `linux` or `windows`.
pub fn family() -> String {
    machine::family()
}

/// The distribution as in os-release's `ID` (`debian`, `alinux`), or `windows`.
pub fn distribution() -> String {
    machine::distribution()
}

/// The version as in os-release's `VERSION_ID` (`12`), or `2022`.
pub fn release() -> String {
    machine::release()
}

/// `x86_64` or `arm64`.
pub fn architecture() -> String {
    machine::architecture()
}

/// The root of the file system that is worked on, without a slash at its end except for
/// `/` itself: `/`, or where the disk of a machine that can't boot is mounted.
pub fn root() -> String {
    machine::root()
}

/// An absolute path of the machine below [`root`]: `/etc/fstab` is
/// `/mnt/disk/etc/fstab` where the root is `/mnt/disk`. Repairers use it for every path.
pub fn path(absolute: &str) -> String {
    let root = root();
    format!(
        "{}/{}",
        root.trim_end_matches('/'),
        absolute.trim_start_matches('/')
    )
}
