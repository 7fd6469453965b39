//! Trust: which packages may be used, said in `trust.yaml` and judged by signatures.
//!
//! ```yaml
//! version: 1
//! rules:                        # the first that fits a package decides
//!   - package: 'acme:*'         # 'ns:*', 'ns:name' or '*'
//!     require: signed           # or `warn`, or `none`
//!     keys:
//!       - keys/acme.pub         # in the folder of this file
//!       - |
//!         -----BEGIN PUBLIC KEY-----
//!         …
//!         -----END PUBLIC KEY-----
//!   - package: '*'
//!     require: none
//! ```
//!
//! A package that no rule fits is refused: whoever writes a policy has to say so when
//! anything goes. Without a file, [`Policy::unchecked`], nothing is looked at.
//!
//! `resolve` judges at every pull and each time that a package comes from the cache.
//! `parse.rs` reads the file, `judge.rs` decides. Nothing here opens anything but the key
//! files in the folder that it is given.

mod judge;
mod mistake;
mod parse;

use std::fmt;

use crate::name::PackageName;
use crate::sign::PublicKey;

pub use judge::{Candidate, Refusal, Signer, Verdict, Why};
pub use mistake::{Mistake, Mistakes};

/// The version of the file's format.
pub const VERSION: i64 = 1;

/// The name of the file.
pub const FILE_NAME: &str = "trust.yaml";

/// A policy: rules in the order of the file.
#[derive(Clone, Debug)]
pub struct Policy {
    file: String,
    /// `None` when there is no file.
    rules: Option<Vec<Rule>>,
}

/// What is asked of the packages that a pattern fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The packages.
    pub pattern: Pattern,
    /// What is asked.
    pub require: Require,
    /// Whose signatures count.
    pub keys: Vec<TrustedKey>,
    /// The line of the file on which it begins.
    pub line: usize,
}

/// Which packages a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`: each.
    All,
    /// `acme:*`: each of a namespace.
    Namespace(String),
    /// `acme:hardening`: this one.
    Package(PackageName),
}

/// What a rule asks of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// A signature by one of the keys; without it the package is refused.
    Signed,
    /// The same, but without it there is only a warning.
    Warn,
    /// Nothing.
    None,
}

/// A key, and how people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// Its path as the file has it, or `the key on line 7`.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

impl Policy {
    /// The policy of somebody who has none: nothing is checked.
    pub fn unchecked() -> Self {
        Self {
            file: FILE_NAME.into(),
            rules: None,
        }
    }

    /// Reads the file. `file` is how messages call it; `folder` is the one it lies in, for
    /// the keys that it names. A path can't lead out of that folder, not by links either.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn parse(
        text: &str,
        file: &str,
        folder: Option<&cap_std::fs::Dir>,
    ) -> Result<Self, Mistakes> {
        Ok(Self {
            file: file.into(),
            rules: Some(parse::parse(text, file, folder)?),
        })
    }

    /// The rules, in order; none where there is no file.
    pub fn rules(&self) -> &[Rule] {
        self.rules.as_deref().unwrap_or_default()
    }

    /// Whether there is a file at all.
    pub fn is_checked(&self) -> bool {
        self.rules.is_some()
    }
}

impl Pattern {
    /// Whether it fits a package; `None` is one without a name.
    pub fn fits(&self, package: Option<&PackageName>) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => {
                package.is_some_and(|package| package.namespace() == namespace)
            }
            Self::Package(name) => package == Some(name),
        }
    }

    /// Whether it fits whatever `other` fits.
    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::All => *self == Self::All,
            Self::Namespace(_) => *self == Self::All || self == other,
            Self::Package(name) => self.fits(Some(name)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Namespace(namespace) => write!(f, "{namespace}:*"),
            Self::Package(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signed => "signed",
            Self::Warn => "warn",
            Self::None => "none",
        })
    }
}
