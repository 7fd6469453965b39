//! Runs mmdebstrap, which makes a root file system from a distribution's packages.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::distribution::Distribution;
use super::{BootstrapError, PATH, Progress, at, keyring, sources};

/// Packages beyond the smallest system: an init, what ECS images have, and what
/// builds need at once.
const PACKAGES: &str = "systemd-sysv,dbus,ca-certificates,curl,iproute2,procps";

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
    let lines = if let Some(lines) = own {
        lines
    } else {
        let keys = keyring::find(&distribution.keyring, workshop)?;
        distribution.sources(mirror, &keys.to_string_lossy())
    };
    let mut command = Command::new("mmdebstrap");
    command
        .arg("--variant=minbase")
        .arg("--format=directory")
        .arg(format!("--include={PACKAGES}"));
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
        return Ok(());
    }
    Err(BootstrapError::Failed {
        status: status.to_string(),
        said: last.into_iter().collect::<Vec<_>>().join("\n"),
    })
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
    fn lines_of_mmdebstrap_are_phases() {
        let (name, percent) =
            phase_of("I: installing remaining packages inside the chroot...").unwrap();
        assert_eq!((name, percent), ("installing the other packages", 45));
        assert_eq!(phase_of("I: success in 54 seconds"), None);
    }
}
