//! The roles of a component and how the contract names them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a component can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Changes a machine into what the image should hold.
    Builder,
    /// Looks at a machine started from the finished image.
    Tester,
    /// Makes a foreign image fit for the cloud.
    Repairer,
}

impl Role {
    /// All roles, in the order in which people read them.
    pub const ALL: [Self; 3] = [Self::Builder, Self::Tester, Self::Repairer];

    /// The name of the role, which is that of its interface: `builder`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Tester => "tester",
            Self::Repairer => "repairer",
        }
    }

    /// The one function of the role's interface: `build`.
    pub fn function(self) -> &'static str {
        match self {
            Self::Builder => "build",
            Self::Tester => "test",
            Self::Repairer => "repair",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
