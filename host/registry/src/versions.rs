//! Versions: which there are of a package, and which of them a requirement means.
//!
//! They are the tags that are versions; other tags (`latest`, those of signatures) are
//! passed over. `resolve` and the command line use it. Nothing here pulls.

use semver::Version;

use crate::client::{Client, RegistryError};
use crate::layout;
use crate::name::{Located, PackageName};
use crate::requirement::Requirement;

/// Versions that a message lists; of more, the newest.
const SHOWN: usize = 12;

/// No version will do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct NoVersion {
    /// The package.
    pub name: PackageName,
    /// Where it was looked for.
    pub located: Located,
    /// What was asked for.
    pub requirement: Option<Requirement>,
    /// What there is, oldest first.
    pub versions: Vec<Version>,
    /// Those that would have done but are yanked.
    pub yanked: Vec<Version>,
}

impl NoVersion {
    fn text(&self) -> String {
        let (name, located) = (&self.name, &self.located);
        match &self.requirement {
            _ if self.versions.is_empty() => format!("{name} has no version in {located}"),
            Some(requirement) if self.yanked.is_empty() => {
                format!("no version of {name} in {located} is {requirement}")
            }
            Some(requirement) => {
                format!("every version of {name} in {located} that is {requirement} is yanked")
            }
            None if self.yanked.is_empty() => format!("{name} has only pre-releases in {located}"),
            None => format!("every version of {name} in {located} is yanked"),
        }
    }

    /// What there is.
    pub fn hint(&self) -> String {
        if self.versions.is_empty() {
            return format!(
                "is {} the right name? `darkroom component search` finds names",
                self.name
            );
        }
        let mut shown: Vec<String> = self
            .versions
            .iter()
            .rev()
            .take(SHOWN)
            .map(|version| {
                let mark = if self.yanked.contains(version) {
                    " (yanked)"
                } else {
                    ""
                };
                format!("{version}{mark}")
            })
            .collect();
        if self.versions.len() > SHOWN {
            shown.push(format!("and {} older ones", self.versions.len() - SHOWN));
        }
        let asks = match (&self.requirement, self.yanked.is_empty()) {
            (None, true) => "; a pre-release is taken only if its version is asked for",
            (_, false) => "; a yanked version is used only where a lock pins it",
            (Some(_), true) => "",
        };
        format!("there are: {}{asks}", shown.join(", "))
    }
}

impl Client {
    /// All versions of a package, oldest first, yanked ones included.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault). A repository that isn't there has none.
    pub async fn versions(&self, located: &Located) -> Result<Vec<Version>, RegistryError> {
        let tags = match self.tags(located).await {
            Ok(tags) => tags,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut versions: Vec<Version> =
            tags.iter().filter_map(|tag| layout::version(tag)).collect();
        versions.sort();
        versions.dedup();
        Ok(versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_not_there_lists_those_that_are() {
        let versions = |texts: &[&str]| -> Vec<Version> {
            texts.iter().map(|text| text.parse().expect(text)).collect()
        };
        let of = |requirement: Option<&str>, all: &[&str], yanked: &[&str]| {
            let error = NoVersion {
                name: "acme:hardening".parse().expect("a name"),
                located: "ghcr.io/acme/hardening".parse().expect("a place"),
                requirement: requirement.map(|text| text.parse().expect(text)),
                versions: versions(all),
                yanked: versions(yanked),
            };
            format!("{error}\n{}", error.hint())
        };
        insta::assert_snapshot!(of(Some("2"), &["1.0.0", "1.2.0-rc.1"], &[]), @r"
        no version of acme:hardening in ghcr.io/acme/hardening is 2
        there are: 1.2.0-rc.1, 1.0.0
        ");
        insta::assert_snapshot!(of(None, &["1.2.0-rc.1"], &[]), @r"
        acme:hardening has only pre-releases in ghcr.io/acme/hardening
        there are: 1.2.0-rc.1; a pre-release is taken only if its version is asked for
        ");
        insta::assert_snapshot!(of(Some("1"), &["1.0.0", "2.0.0"], &["1.0.0"]), @r"
        every version of acme:hardening in ghcr.io/acme/hardening that is 1 is yanked
        there are: 2.0.0, 1.0.0 (yanked); a yanked version is used only where a lock pins it
        ");
        insta::assert_snapshot!(of(None, &[], &[]), @r"
        acme:hardening has no version in ghcr.io/acme/hardening
        is acme:hardening the right name? `darkroom component search` finds names
        ");
        let many: Vec<String> = (0..20).map(|minor| format!("1.{minor}.0")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(of(Some("2"), &many, &[]).ends_with("1.8.0, and 8 older ones"));
    }
}
