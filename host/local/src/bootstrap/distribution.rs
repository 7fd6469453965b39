//! The distributions whose bases can be made: a flat table.
//!
//! `tests/distributions.rs` makes and boots each in the long tier. A mirror can be given
//! instead of the archives, never instead of the keys.

use std::fmt::Write as _;

/// The base of the examples.
pub const DEBIAN_12: &str = "debian-12";

/// A distribution in one release, made from archives of Debian's kind.
#[derive(Debug)]
pub struct Distribution {
    /// The base's name, which is also its image family.
    pub name: &'static str,
    /// The image's `OSName`.
    pub os_name: &'static str,
    /// The image's Platform.
    pub platform: &'static str,
    /// The release's code name.
    pub(super) suite: &'static str,
    /// Where its packages are: an address, and suites at it.
    pub(super) archives: &'static [(&'static str, &'static [&'static str])],
    /// The parts of the archives.
    pub(super) components: &'static [&'static str],
    /// Whose keys sign it.
    pub(super) keyring: Keyring,
}

/// Where the keys of an archive come from.
#[derive(Debug)]
pub(super) struct Keyring {
    /// The file in which a package of the host brings them.
    pub(super) file: &'static str,
    /// That package, for an error's hint.
    pub(super) package: &'static str,
    /// The distribution's own package of it with its SHA-256, where the host's
    /// distribution has none.
    pub(super) fetched: Option<(&'static str, &'static str)>,
}

const DEBIAN_KEYS: Keyring = Keyring {
    file: "/usr/share/keyrings/debian-archive-keyring.gpg",
    package: "debian-archive-keyring",
    fetched: None,
};

/// The package holds the keys 790BC7277767219C42C86F933B4FE6ACC0B21F32 and
/// F6ECB3762474EDA9D21B7022871920D1991BC93C. Its address has no encryption, which
/// the digest makes up for.
const UBUNTU_KEYS: Keyring = Keyring {
    file: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    package: "ubuntu-keyring",
    fetched: Some((
        "http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
        "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
    )),
};

macro_rules! debian {
    ($name:literal, $os_name:literal, $suite:literal) => {
        Distribution {
            name: $name,
            os_name: $os_name,
            platform: "Debian",
            suite: $suite,
            archives: &[
                (
                    "http://deb.debian.org/debian",
                    &[$suite, concat!($suite, "-updates")],
                ),
                (
                    "http://deb.debian.org/debian-security",
                    &[concat!($suite, "-security")],
                ),
            ],
            components: &["main"],
            keyring: DEBIAN_KEYS,
        }
    };
}

macro_rules! ubuntu {
    ($name:literal, $os_name:literal, $suite:literal) => {
        Distribution {
            name: $name,
            os_name: $os_name,
            platform: "Ubuntu",
            suite: $suite,
            archives: &[(
                "http://archive.ubuntu.com/ubuntu",
                &[
                    $suite,
                    concat!($suite, "-updates"),
                    concat!($suite, "-security"),
                ],
            )],
            components: &["main", "universe"],
            keyring: UBUNTU_KEYS,
        }
    };
}

/// All of them.
pub const DISTRIBUTIONS: &[Distribution] = &[
    debian!("debian-12", "Debian 12", "bookworm"),
    debian!("debian-13", "Debian 13", "trixie"),
    ubuntu!("ubuntu-22.04", "Ubuntu 22.04", "jammy"),
    ubuntu!("ubuntu-24.04", "Ubuntu 24.04", "noble"),
];

/// Finds one by its name.
pub fn distribution(name: &str) -> Option<&'static Distribution> {
    DISTRIBUTIONS.iter().find(|one| one.name == name)
}

/// The names, for messages.
pub(super) fn names() -> String {
    let names: Vec<&str> = DISTRIBUTIONS.iter().map(|one| one.name).collect();
    names.join(", ")
}

impl Distribution {
    /// The suites of all archives.
    pub(super) fn suites(&self) -> impl Iterator<Item = &'static str> {
        self.archives
            .iter()
            .flat_map(|(_, suites)| suites.iter().copied())
    }

    /// The lines of a `sources.list`, all archives at `mirror` if one is given.
    pub(super) fn sources(&self, mirror: Option<&str>, keyring: &str) -> String {
        let components = self.components.join(" ");
        let mut lines = String::new();
        for (address, suites) in self.archives {
            // Debian's mirrors seldom have the archive of security updates.
            if mirror.is_some() && *address != self.archives.first().map_or("", |one| one.0) {
                continue;
            }
            let address = mirror.unwrap_or(address);
            for suite in *suites {
                // Writing to a text can't fail.
                let _ = writeln!(
                    lines,
                    "deb [signed-by={keyring}] {address} {suite} {components}"
                );
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_takes_the_place_of_the_first_archive() {
        let debian = distribution("debian-13").unwrap();
        assert_eq!(
            debian.sources(Some("http://mirror/debian"), "/k"),
            "deb [signed-by=/k] http://mirror/debian trixie main\n\
             deb [signed-by=/k] http://mirror/debian trixie-updates main\n"
        );
        let ubuntu = distribution("ubuntu-24.04").unwrap().sources(None, "/k");
        assert_eq!(ubuntu.lines().count(), 3);
        assert!(ubuntu.contains("noble-security main universe"), "{ubuntu}");
    }
}
