//! What a package is called: [`PackageName`] in templates, [`OciReference`] in a registry,
//! and [`Reference`], either of them as somebody wrote it.
//!
//! The command line and templates parse with these; `config` says in which registry a
//! name is found. Nothing here opens a connection or knows a configuration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::requirement::{Requirement, RequirementError};

/// Longest namespace or name: both are folders of repositories, and of caches.
const LONGEST_LABEL: usize = 64;
/// Longest repository ([distribution spec, pulling manifests]: 255 with the host).
///
/// [distribution spec, pulling manifests]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
const LONGEST_REPOSITORY: usize = 255;
/// Longest tag (distribution spec, same place).
const LONGEST_TAG: usize = 128;

/// The name of a package: `namespace:name`, both lower-case words joined by hyphens, as in
/// [WIT package names].
///
/// [WIT package names]: https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md#package-names
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName {
    namespace: String,
    name: String,
}

/// A place in a registry, with what is meant there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OciReference {
    /// Where.
    pub located: Located,
    /// Which.
    pub at: At,
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Located {
    /// Host, with a port where it isn't the usual one.
    pub registry: String,
    /// Path under it, such as `acme/hardening`.
    pub repository: String,
}

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// The one that a tag names now.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

/// What can be written where a package is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `acme:hardening` or `acme:hardening@1.2`.
    Package {
        /// Its name.
        name: PackageName,
        /// Which versions will do; any, without.
        requirement: Option<Requirement>,
    },
    /// `ghcr.io/acme/hardening:1.2.0` or `ghcr.io/acme/hardening@sha256:…`.
    Oci(OciReference),
}

/// What can't be a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A name without a namespace, or with odd characters.
    #[error("`{written}` is not the name of a package")]
    Package {
        /// What was there.
        written: String,
    },
    /// No registry, or one that isn't a host.
    #[error("`{written}` names no registry")]
    Registry {
        /// What was there.
        written: String,
    },
    /// Something that a registry has no repository for.
    #[error("`{written}` is not a repository")]
    Repository {
        /// What was there.
        written: String,
    },
    /// No tag or digest, or one that can't be.
    #[error("`{written}` has no tag or digest that can be used")]
    At {
        /// What was there.
        written: String,
    },
    /// What follows `@` in `ns:name@…`.
    #[error("`{written}` asks for no version")]
    Requirement {
        /// What was there.
        written: String,
        /// What is wrong with it.
        source: RequirementError,
    },
}

impl NameError {
    /// What to write.
    pub fn hint(&self) -> String {
        match self {
            Self::Package { .. } => {
                "write namespace:name, such as acme:hardening: lower-case letters, digits and \
                 hyphens, each a letter first"
                    .into()
            }
            Self::Registry { .. } => {
                "write the host first, such as ghcr.io/acme/hardening:1.2.0 or \
                 docker.io/acme/hardening:1.2.0"
                    .into()
            }
            Self::Repository { .. } => {
                "a repository is lower-case letters, digits, and . _ - / between them".into()
            }
            Self::At { .. } => {
                "end it with a tag or a digest, such as :1.2.0 or @sha256:… with 64 digits".into()
            }
            Self::Requirement { source, .. } => source.hint().into(),
        }
    }
}

impl PackageName {
    /// Before the colon.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// After it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Located {
    /// The manifest of this place under a tag.
    pub fn tagged(&self, tag: impl Into<String>) -> OciReference {
        OciReference {
            located: self.clone(),
            at: At::Tag(tag.into()),
        }
    }

    /// The manifest of this place with a digest.
    pub fn digested(&self, digest: Digest) -> OciReference {
        OciReference {
            located: self.clone(),
            at: At::Digest(digest),
        }
    }
}

/// A word, then others after single hyphens, the first beginning with a letter.
fn is_label(text: &str) -> bool {
    text.len() <= LONGEST_LABEL
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

impl FromStr for PackageName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once(':') {
            Some((namespace, name)) if is_label(namespace) && is_label(name) => Ok(Self {
                namespace: namespace.into(),
                name: name.into(),
            }),
            _ => Err(NameError::Package {
                written: shortened(text),
            }),
        }
    }
}

impl FromStr for Located {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (registry, repository) = text.split_once('/').ok_or_else(|| NameError::Registry {
            written: shortened(text),
        })?;
        if !is_registry(registry) {
            return Err(NameError::Registry {
                written: shortened(text),
            });
        }
        if !is_repository(repository) {
            return Err(NameError::Repository {
                written: shortened(repository),
            });
        }
        Ok(Self {
            registry: registry.into(),
            repository: repository.into(),
        })
    }
}

impl FromStr for OciReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let wrong = || NameError::At {
            written: shortened(text),
        };
        let (place, at) = if let Some((place, digest)) = text.split_once('@') {
            // `name:tag@digest` means the digest; the tag may have moved on.
            let end = place.rfind('/').unwrap_or(0);
            let end = place[end..].find(':').map_or(place.len(), |at| end + at);
            (
                &place[..end],
                At::Digest(digest.parse().map_err(|_| wrong())?),
            )
        } else {
            let (place, tag) = text.rsplit_once(':').ok_or_else(wrong)?;
            if tag.contains('/') || !is_tag(tag) {
                return Err(wrong());
            }
            (place, At::Tag(tag.into()))
        };
        Ok(Self {
            located: place.parse()?,
            at,
        })
    }
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains('/') {
            return text.parse().map(Self::Oci);
        }
        let (name, requirement) = match text.split_once('@') {
            Some((name, requirement)) => (name, Some(requirement)),
            None => (text, None),
        };
        let requirement = requirement
            .map(|asked| {
                asked.parse().map_err(|source| NameError::Requirement {
                    written: shortened(text),
                    source,
                })
            })
            .transpose()?;
        Ok(Self::Package {
            name: name.parse()?,
            requirement,
        })
    }
}

/// A host that can't be taken for a folder: with a dot, a port, or `localhost`.
pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let labels = host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    labels
        && port.is_none_or(is_port)
        && (host.contains('.') || port.is_some() || host == "localhost")
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The grammar of the distribution spec: words of `a-z0-9`, joined by `.`, `_`, `__` or
/// hyphens, in folders.
pub(crate) fn is_repository(text: &str) -> bool {
    let word = |text: &str| {
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        ends(text.bytes().next())
            && ends(text.bytes().last())
            && text
                .bytes()
                .all(|byte| plain(byte) || b"._-".contains(&byte))
            && text
                .split(|one: char| one.is_ascii_alphanumeric())
                .all(|gap| {
                    matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-')
                })
    };
    text.len() <= LONGEST_REPOSITORY && text.split('/').all(word)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(crate) fn is_tag(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(first)
        && text
            .bytes()
            .all(|byte| first(byte) || b".-".contains(&byte))
}

/// What somebody wrote, for a message: not longer than a line.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let plain = text.chars().filter(|one| !one.is_control());
    if text.chars().count() <= MOST {
        return plain.collect();
    }
    plain.take(MOST).chain(['…']).collect()
}

impl TryFrom<String> for PackageName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.at {
            At::Tag(_) => ':',
            At::Digest(_) => '@',
        };
        write!(f, "{}{mark}{}", self.located, self.at)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package {
                name,
                requirement: None,
            } => name.fmt(f),
            Self::Package {
                name,
                requirement: Some(requirement),
            } => write!(f, "{name}@{requirement}"),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages() {
        for good in ["acme:hardening", "a:b", "my-org2:http-server2", "wasi:io"] {
            let name: PackageName = good.parse().expect(good);
            assert_eq!(name.to_string(), good);
        }
        let long = "a".repeat(65);
        for wrong in [
            "acme",
            "acme:",
            ":x",
            "Acme:x",
            "acme:x_y",
            "acme:-x",
            "acme:x-",
            "acme:x--y",
            "1acme:x",
            "acme:x:y",
            "acme:../x",
            "acme:x/y",
            &format!("{long}:x"),
        ] {
            let error = wrong.parse::<PackageName>().expect_err(wrong);
            assert!(error.hint().contains("acme:hardening"), "{error}");
        }
    }

    #[test]
    fn references_are_read_and_written_alike() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "acme:hardening",
            "acme:hardening@^1.2",
            "ghcr.io/acme/hardening:1.2.0",
            "localhost/x:1.0.0",
            "127.0.0.1:5000/a/b/c:1.0.0_build.5",
            "[::1]:5000/a:1.0.0",
            &format!("ghcr.io/acme/hardening@{digest}"),
        ] {
            let reference: Reference = good.parse().expect(good);
            assert_eq!(reference.to_string(), good);
        }
        let both: OciReference = format!("localhost:5000/a/b:1.0.0@{digest}")
            .parse()
            .expect("a tag and a digest");
        assert_eq!(both.to_string(), format!("localhost:5000/a/b@{digest}"));
        let schemed: Reference = "oci://ghcr.io/a/b:1.0.0".parse().expect("a scheme");
        assert_eq!(schemed.to_string(), "ghcr.io/a/b:1.0.0");
    }

    #[test]
    fn what_is_wrong_with_a_reference_says_what_to_write() {
        let said = |text: &str| {
            let error = text.parse::<Reference>().expect_err(text);
            format!("{error}\nhint: {}", error.hint())
        };
        for (text, part) in [
            ("hardening", "acme:hardening"),
            ("acme/hardening:1.0.0", "write the host first"),
            ("ghcr.io/acme/hardening", "end it with a tag"),
            ("ghcr.io/Acme/hardening:1.0.0", "lower-case"),
            ("ghcr.io/acme/../x:1.0.0", "lower-case"),
            ("ghcr.io/acme/x@sha256:12", "64 digits"),
            ("ghcr.io/acme/x:1.0.0+b", "end it with a tag"),
            ("localhost:99999/x:1.0.0", "write the host first"),
            ("acme:x@banana", "1.2"),
        ] {
            assert!(said(text).contains(part), "{text}: {}", said(text));
        }
    }
}
