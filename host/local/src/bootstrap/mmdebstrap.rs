//! Runs mmdebstrap, which makes a root file system from a distribution's packages.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::distribution::Distribution;
use super::{BootstrapError, PATH, Progress, at, keyring, sources};

/// Packages beyond the smallest system: apt, which Ubuntu doesn't require, an init, what
/// ECS images have, and what builds need at once.
const PACKAGES: &str = "apt,systemd-sysv,dbus,ca-certificates,curl,iproute2,procps";

/// Documentation in packages isn't unpacked: a quarter of the size.
const EXCLUDED: [&str; 4] = [
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/doc/*",
];

/// Licences stay.
const INCLUDED: &str = "/usr/share/doc/*/copyright";

/// File times in the base, so that the same packages make the same files.
const EPOCH: &str = "1700000000";

/// The last lines of mmdebstrap that an error shows.
const LAST_LINES: usize = 12;

/// Makes the tree `target` inside of `workshop`.
pub(super) fn run(
    distribution: &Distribution,
    target: &Path,
    workshop: &Path,
    mirror: Option<&str>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), BootstrapError> {
    let own = mirror
        .is_none()
        .then(|| sources::of_this_host(distribution))
        .flatten();
    let (lines, keys) = if let Some(lines) = own {
        (lines, None)
    } else {
        let keys = keyring::find(&distribution.keyring, workshop)?;
        let keys = keys.to_string_lossy().into_owned();
        (distribution.sources(mirror, &keys), Some(keys))
    };
    let mut command = Command::new("mmdebstrap");
    command
        .arg("--variant=minbase")
        .arg("--format=directory")
        // Ubuntu's apt doesn't bring the keys of its archive, as Debian's does.
        .arg(format!(
            "--include={PACKAGES},{}",
            distribution.keyring.package
        ));
    for path in EXCLUDED {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command
        .arg(format!("--dpkgopt=path-include={INCLUDED}"))
        .arg(distribution.suite)
        .arg(target)
        // The sources come by its input.
        .arg("-");
    command
        .env("PATH", PATH)
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .env("TMPDIR", workshop)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(at("starting mmdebstrap"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends early says why.
        let _ = stdin.write_all(lines.as_bytes());
    }
    let mut last = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some((name, percent)) = phase_of(&line) {
                progress(Progress::Phase {
                    name: name.into(),
                    percent,
                });
            }
            progress(Progress::Line(line.clone()));
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
    }
    let status = child.wait().map_err(at("waiting for mmdebstrap"))?;
    if status.success() {
        return match keys {
            Some(keys) => name_own_keys(target, &keys, distribution.keyring.file)
                .map_err(at("writing sources.list")),
            None => Ok(()),
        };
    }
    Err(BootstrapError::Failed {
        status: status.to_string(),
        said: last.into_iter().collect::<Vec<_>>().join("\n"),
    })
}

/// The sources of the base name its own copy of the keys, not the host's.
fn name_own_keys(target: &Path, keys: &str, own: &str) -> io::Result<()> {
    const SOURCES: &str = "etc/apt/sources.list";
    let root = Dir::open_ambient_dir(target, ambient_authority())?;
    let sources = root.read_to_string(SOURCES)?;
    root.write(SOURCES, sources.replace(keys, own))
}

/// What a line of mmdebstrap begins, and how much of its time has passed then.
fn phase_of(line: &str) -> Option<(&'static str, u8)> {
    const PHASES: [(&str, &str, u8); 6] = [
        ("running apt-get update", "reading package lists", 2),
        (
            "downloading packages",
            "downloading the essential packages",
            10,
        ),
        (
            "extracting archives",
            "unpacking the essential packages",
            20,
        ),
        (
            "installing essential packages",
            "installing the essential packages",
            30,
        ),
        (
            "installing remaining packages",
            "installing the other packages",
            45,
        ),
        ("cleaning package lists", "cleaning up", 80),
    ];
    PHASES
        .iter()
        .find(|(text, _, _)| line.contains(text))
        .map(|(_, name, percent)| (*name, *percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_names_its_own_keys() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("etc/apt")).unwrap();
        let file = base.path().join("etc/apt/sources.list");
        std::fs::write(&file, "deb [signed-by=/tmp/w/k.gpg] http://a b c\n").unwrap();
        name_own_keys(base.path(), "/tmp/w/k.gpg", "/usr/share/keyrings/k.gpg").unwrap();
        let sources = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            sources,
            "deb [signed-by=/usr/share/keyrings/k.gpg] http://a b c\n"
        );
    }

    #[test]
    fn lines_of_mmdebstrap_are_phases() {
        let (name, percent) =
            phase_of("I: installing remaining packages inside the chroot...").unwrap();
        assert_eq!((name, percent), ("installing the other packages", 45));
        assert_eq!(phase_of("I: success in 54 seconds"), None);
    }
}
