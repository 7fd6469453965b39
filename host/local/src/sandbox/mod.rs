//! The sandbox driver: an instance is a real Linux root file system in namespaces,
//! with the image's own systemd as its first process, where it has one.
//!
//! ```text
//! server ── Sandbox (driver.rs) ── instances/<id>/ ── supervisor (a process each)
//!             │                                          │ boots, commands, files
//!             └── layers/: regions/<region>/layers       └── init and all its processes
//! ```
//! - [`driver`]: what the server sees; folders and conversations.
//! - [`shell`]: a person's way into an instance.
//! - [`supervisor`]: the process that is an instance's power supply.
//! - [`child`]: what runs between clone and exec, in system calls only.
//! - [`root_fs`]: layers and writes as one overlay with mapped owners.
//! - [`network`]: a way out without touching the host's network.
//! - [`cgroup`]: limits, and killing what a command started.
//! - [`layers`]: content-addressed layers, commit, copy.
//! - [`rootless`]: how an ordinary user runs all of this.
//!
//! An instance is always in a user namespace, also when root runs it: its root is a
//! user of the host that owns nothing. On disk the files have their true owners;
//! mapped mounts show them so inside. (An ordinary user's files are shifted.)
//!
//! An image without an init is given one that only keeps order ([`child`]).
//!
//! No kernel and no boot loader run here, device nodes and inits other than systemd are
//! not supported, and `disk_gib` is not enforced.

pub mod accounts;
pub mod cgroup;
pub mod child;
pub mod driver;
mod enter;
pub mod folder;
pub mod layers;
pub mod network;
pub mod probe;
pub mod root_fs;
pub mod rootless;
mod spawn;
pub mod supervisor;
pub mod sys;
mod talk;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use driver::Sandbox;
pub use enter::shell;
pub use network::policy::Block;
pub use supervisor::supervise;

/// How long an orderly end may take before the power is cut.
const STOP_GRACE: Duration = Duration::from_mins(1);

/// The first of the host's ids that instances are mapped to, far above what
/// distributions give to users and containers.
const FIRST_ID: u32 = 0x4000_0000;

/// How many ranges of 65536 ids there are.
const RANGES: u32 = 0x4000;

/// Where things are and how the driver behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The local cloud's folder.
    pub root: PathBuf,
    /// The cache's folder, with the bases.
    pub cache: PathBuf,
    /// The executable of supervisors.
    pub executable: PathBuf,
    /// What stands between the executable and the instance's folder: a verb that
    /// calls [`supervise`].
    pub arguments: Vec<OsString>,
    /// The build that this is, for the log.
    pub build_id: String,
    /// Ranges that no instance may reach, besides those that are always refused.
    pub deny: Vec<Block>,
    /// How long an orderly end may take before the power is cut.
    pub stop_grace: Duration,
}

impl Settings {
    /// The usual behaviour.
    pub fn new(
        root: impl Into<PathBuf>,
        cache: impl Into<PathBuf>,
        executable: impl Into<PathBuf>,
        build_id: impl Into<String>,
    ) -> Self {
        Self {
            root: root.into(),
            cache: cache.into(),
            executable: executable.into(),
            arguments: driver::default_arguments(),
            build_id: build_id.into(),
            deny: Vec::new(),
            stop_grace: STOP_GRACE,
        }
    }
}

/// The host's id of an instance's root. Two instances rarely share a range, and
/// nothing but a second line of defence depends on that.
fn first_id(group: &str) -> u32 {
    let hash = blake3::hash(group.as_bytes());
    let [a, b, ..] = hash.as_bytes();
    FIRST_ID + (u32::from(u16::from_le_bytes([*a, *b])) % RANGES) * 65_536
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_positive_for_programs_that_use_signed_numbers() {
        for number in 0..1000 {
            let first = first_id(&format!("mark.i-{number}"));
            assert!(first >= FIRST_ID);
            assert!(i32::try_from(first + 65_535).is_ok());
        }
    }
}
