//! What is in a component: its dependencies, as far as a lock file or a tool tells.

use std::collections::BTreeMap;

/// The hash of a dependency's archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash {
    /// As `CycloneDX` names it: `SHA-256`.
    pub(crate) algorithm: &'static str,
    /// Lower-case hexadecimal digits.
    pub(crate) content: String,
}

impl Hash {
    /// As in-toto names the algorithm: `sha256`.
    pub(crate) fn in_toto(&self) -> String {
        self.algorithm.replace('-', "").to_lowercase()
    }
}

/// A dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its package URL; with no host, user or path in it.
    pub(crate) purl: String,
    /// What its author says; not always an SPDX expression.
    pub(crate) licence: Option<String>,
    pub(crate) hash: Option<Hash>,
}

/// All dependencies of a component, by their package URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    /// The dependencies.
    pub(crate) all: BTreeMap<String, Dependency>,
    /// The URLs of what each needs itself; of the component itself under "". Empty where
    /// the list doesn't tell who needs what.
    pub(crate) needs: BTreeMap<String, Vec<String>>,
    /// Whether the list is known to be complete.
    pub(crate) complete: bool,
}

impl Bill {
    /// Adds one.
    pub(crate) fn add(&mut self, dependency: Dependency) {
        self.all.insert(dependency.purl.clone(), dependency);
    }
}

/// A part of a package URL: everything but letters, digits and `-._~` is percent-encoded.
pub(crate) fn encoded(part: &str) -> String {
    part.bytes().fold(String::new(), |url, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            url + &char::from(byte).to_string()
        }
        _ => url + &format!("%{byte:02X}"),
    })
}

/// A package URL of these parts; a name's slashes stay.
pub(crate) fn purl(kind: &str, name: &str, version: &str) -> String {
    let name: Vec<_> = name.split('/').map(encoded).collect();
    format!("pkg:{kind}/{}@{}", name.join("/"), encoded(version))
}
