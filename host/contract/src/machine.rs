//! The machine that is worked on, as far as it is known before the first step.

use serde::{Deserialize, Serialize};

/// What the `machine` interface answers. It is the source image's record, the same
/// in plan and build, and never read from an instance. Unknown texts are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux` or `windows`.
    pub family: String,
    /// The distribution as in os-release's ID (`debian`), or `windows`.
    pub distribution: String,
    /// The version as in os-release's `VERSION_ID` (`12`), or `2022`.
    pub release: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The root of the file system that is worked on: `/`, or a mount point
    /// without a slash at its end.
    pub root: String,
}

impl Default for Machine {
    /// An unknown Linux at `/`.
    fn default() -> Self {
        Self {
            family: "linux".into(),
            distribution: String::new(),
            release: String::new(),
            architecture: String::new(),
            root: "/".into(),
        }
    }
}
