//! [`Requirement`]: which versions of a package will do.
//!
//! Templates write them after `@`, locks answer them, registries are asked by them: here
//! is the one rule that all of them follow. Nothing here knows where versions come from.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};

/// Which versions will do, in the words of [Semantic Versioning].
///
/// | written | means |
/// |---|---|
/// | `1`, `1.2` | `1.x.x`, `1.2.x`: what is written, and anything behind it |
/// | `1.0.*` | the same with a star |
/// | `1.2.3`, `=1.2.3` | this one |
/// | `^1.2` | from 1.2.0 on, below 2.0.0 (`^0.2`: below 0.3.0) |
/// | `~1.2` | from 1.2.0 on, below 1.3.0 |
/// | `>=1.2, <1.5` | both |
///
/// A pre-release such as `1.3.0-rc.1` is chosen only by a requirement that itself names a
/// pre-release of 1.3.0.
///
/// [Semantic Versioning]: https://semver.org/
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    written: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Three parts bare: this version, with its build metadata if it names some.
    Exact(Version),
    Range(VersionReq),
}

/// What asks for no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is not a requirement of a version")]
pub struct RequirementError {
    /// What was there.
    pub written: String,
}

impl RequirementError {
    /// What to write.
    pub fn hint(&self) -> &'static str {
        "write 1 or 1.2 for any version that begins so, 1.2.3 for exactly that one, or ^1.2, \
         ~1.2, 1.0.*, >=1.2, <1.5"
    }
}

impl Requirement {
    /// Exactly this version.
    pub fn exact(version: &Version) -> Self {
        Self {
            written: version.to_string(),
            rule: Rule::Exact(version.clone()),
        }
    }

    /// Whether a version will do.
    pub fn matches(&self, version: &Version) -> bool {
        match &self.rule {
            Rule::Exact(exact) if exact.build.is_empty() => exact.cmp_precedence(version).is_eq(),
            Rule::Exact(exact) => exact == version,
            Rule::Range(range) => range.matches(version),
        }
    }

    /// The newest version that will do.
    pub fn newest<'a>(&self, versions: &'a [Version]) -> Option<&'a Version> {
        versions
            .iter()
            .filter(|version| self.matches(version))
            .max()
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let wrong = || RequirementError {
            written: shortened(text),
        };
        let bare = text.bytes().next().is_some_and(|one| one.is_ascii_digit());
        let rule = match text.strip_prefix('=').unwrap_or(text).parse() {
            Ok(version) => Rule::Exact(version),
            // The library takes a bare `1.2` for `^1.2`; here it is a prefix, as in the lock.
            Err(_) if bare && !text.contains([',', '*']) => {
                Rule::Range(format!("~{text}").parse().map_err(|_| wrong())?)
            }
            Err(_) if text.is_empty() => return Err(wrong()),
            Err(_) => Rule::Range(text.parse().map_err(|_| wrong())?),
        };
        Ok(Self {
            written: text.into(),
            rule,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What somebody wrote, for a message: not longer than a line.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let mut plain = text.chars().filter(|one| !one.is_control());
    let mut short: String = plain.by_ref().take(MOST).collect();
    short.extend(plain.next().map(|_| '…'));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 10] = [
        "0.1.0",
        "0.1.9",
        "0.2.0",
        "1.0.0",
        "1.0.7",
        "1.2.0",
        "1.2.3",
        "1.10.0-rc.1",
        "1.10.0",
        "2.0.0-beta.2",
    ];

    fn chosen(requirement: &str) -> Option<String> {
        let versions: Vec<Version> = ALL
            .iter()
            .map(|one| one.parse().expect("a version"))
            .collect();
        let requirement: Requirement = requirement.parse().expect(requirement);
        requirement.newest(&versions).map(ToString::to_string)
    }

    #[test]
    fn the_newest_that_will_do() {
        for (requirement, expected) in [
            ("0", Some("0.2.0")),
            ("0.1", Some("0.1.9")),
            ("1", Some("1.10.0")),
            ("1.2", Some("1.2.3")),
            ("1.2.0", Some("1.2.0")),
            ("=1.2.0", Some("1.2.0")),
            ("=1.2", Some("1.2.3")),
            ("^0.1", Some("0.1.9")),
            ("^1.2", Some("1.10.0")),
            ("~1.2", Some("1.2.3")),
            ("1.0.*", Some("1.0.7")),
            ("1.*", Some("1.10.0")),
            ("*", Some("1.10.0")),
            (">=1, <1.2", Some("1.0.7")),
            ("2", None),
            ("1.1", None),
            ("1.10.0-rc.1", Some("1.10.0-rc.1")),
            ("^2.0.0-beta.1", Some("2.0.0-beta.2")),
            ("3.0.0", None),
        ] {
            assert_eq!(chosen(requirement).as_deref(), expected, "{requirement}");
        }
    }

    #[test]
    fn build_metadata_is_looked_at_when_it_is_asked_for() {
        let with: Version = "1.0.0+b.2".parse().expect("a version");
        let bare: Requirement = "1.0.0".parse().expect("a requirement");
        let same: Requirement = "1.0.0+b.2".parse().expect("a requirement");
        let other: Requirement = "1.0.0+b.3".parse().expect("a requirement");
        assert!(bare.matches(&with) && same.matches(&with) && !other.matches(&with));
    }

    #[test]
    fn what_asks_for_nothing_is_refused() {
        for wrong in [
            "", "banana", "1.2.3.4", "v1", "latest", "01.2", "1..2", "1.2.3,",
        ] {
            let error = wrong.parse::<Requirement>().expect_err(wrong);
            assert!(error.hint().contains("1.2.3 for exactly"));
        }
    }
}
