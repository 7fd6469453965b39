//! What an imported tree says of itself in its os-release file (os-release(5)), in
//! ECS's words.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// Bytes of an os-release that are looked at; a tree may hold a huge one.
const LIMIT: u64 = 64 * 1024;

/// The image's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// `OSName`, such as `Alpine 3.20.1`.
    pub(super) os_name: String,
    /// `Platform`, such as `Alpine`.
    pub(super) platform: String,
}

/// os-release's ID and ECS's Platform, where the one isn't the other's capitals.
const PLATFORMS: &[(&str, &str)] = &[
    ("alinux", "Aliyun"),
    ("almalinux", "AlmaLinux"),
    ("anolis", "Anolis"),
    ("centos", "CentOS"),
    ("debian", "Debian"),
    ("fedora", "Fedora"),
    ("opensuse-leap", "OpenSUSE"),
    ("rhel", "RedHat"),
    ("rocky", "Rocky Linux"),
    ("sles", "SUSE"),
    ("ubuntu", "Ubuntu"),
];

/// Reads it; a tree without one is some Linux.
pub(super) fn read(rootfs: &Path) -> Release {
    let text = Dir::open_ambient_dir(rootfs, ambient_authority())
        .ok()
        .and_then(|root| {
            ["etc/os-release", "usr/lib/os-release"]
                .iter()
                .find_map(|path| {
                    let file = root.open(path).ok()?;
                    let mut text = String::new();
                    std::io::Read::read_to_string(&mut std::io::Read::take(file, LIMIT), &mut text)
                        .ok()?;
                    Some(text)
                })
        })
        .unwrap_or_default();
    of_text(&text)
}

fn of_text(text: &str) -> Release {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let value = line.trim().strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        })
    };
    let Some(id) = value("ID").filter(|id| !id.is_empty()) else {
        return Release {
            os_name: "Linux".into(),
            platform: "Others Linux".into(),
        };
    };
    let platform = PLATFORMS
        .iter()
        .find(|(ours, _)| *ours == id)
        .map_or_else(|| capital(&id), |(_, theirs)| (*theirs).to_owned());
    let os_name = match value("VERSION_ID") {
        Some(version) if !version.is_empty() => format!("{platform} {version}"),
        _ => platform.clone(),
    };
    Release { os_name, platform }
}

fn capital(id: &str) -> String {
    let mut letters = id.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ecs_names() {
        let release = |text| {
            let Release { os_name, platform } = of_text(text);
            (os_name, platform)
        };
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(
            release("NAME=x\nID=alpine\nVERSION_ID=3.20.1\n"),
            pair("Alpine 3.20.1", "Alpine")
        );
        assert_eq!(
            release("ID=\"rocky\"\nVERSION_ID=\"9.4\"\n"),
            pair("Rocky Linux 9.4", "Rocky Linux")
        );
        assert_eq!(release("ID=arch\n"), pair("Arch", "Arch"));
        assert_eq!(release(""), pair("Linux", "Others Linux"));
    }
}
