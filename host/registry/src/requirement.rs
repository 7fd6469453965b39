//! Choosing the newest of a package's versions. Which will do is
//! [`darkroom_contract::Requirement`]'s rule, which templates and locks follow as well.
//!
//! `versions` and `resolve` choose here. Nothing here knows where versions come from.

use semver::Version;

pub use darkroom_contract::{Requirement, RequirementError};

/// The newest version of those that will do; without a requirement the newest that is
/// no pre-release.
pub fn newest<'a>(
    requirement: Option<&Requirement>,
    versions: &'a [Version],
) -> Option<&'a Version> {
    match requirement {
        Some(requirement) => requirement.newest(versions),
        None => versions
            .iter()
            .filter(|version| version.pre.is_empty())
            .max(),
    }
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

    #[test]
    fn without_a_requirement_no_pre_release_is_chosen() {
        let versions: Vec<Version> = ALL
            .iter()
            .map(|one| one.parse().expect("a version"))
            .collect();
        assert_eq!(
            newest(None, &versions).map(ToString::to_string).as_deref(),
            Some("1.10.0")
        );
        let only: Vec<Version> = vec!["1.0.0-rc.1".parse().expect("a version")];
        assert_eq!(newest(None, &only), None);
    }
}
