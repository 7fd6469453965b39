//! The keys that a distribution's archive is signed with.
//!
//! They come from a package of this host, else from the distribution's own package,
//! which is fetched by apt's own helper and must have the digest that is known here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::distribution::Keyring;
use super::{BootstrapError, PATH, at};

/// Fetches a file and checks its digest.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// The file of keys, unpacked below `workshop` if it has to be fetched.
pub(super) fn find(keyring: &Keyring, workshop: &Path) -> Result<PathBuf, BootstrapError> {
    let installed = Path::new(keyring.file);
    if installed.exists() {
        return Ok(installed.to_owned());
    }
    let missing = |reason: String| BootstrapError::NoKeyring {
        package: keyring.package,
        reason,
    };
    let Some((address, digest)) = keyring.fetched else {
        return Err(missing(format!("{} isn't there", keyring.file)));
    };
    let package = workshop.join("keyring.deb");
    let unpacked = workshop.join("keyring");
    let mut fetch = Command::new(HELPER);
    fetch
        .args(["download-file", address])
        .arg(&package)
        .arg(format!("SHA256:{digest}"));
    run(fetch).map_err(&missing)?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(&package).arg(&unpacked);
    run(unpack).map_err(&missing)?;
    let file = unpacked.join(keyring.file.trim_start_matches('/'));
    if !file.exists() {
        return Err(missing(format!("{address} doesn't hold it")));
    }
    // apt reads it as a user of its own.
    let inside = file.ancestors().take_while(|one| *one != workshop);
    for path in inside.chain([workshop]) {
        let mode = if path == file { 0o644 } else { 0o755 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(at("opening the keyring to apt"))?;
    }
    Ok(file)
}

fn run(mut command: Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("PATH", PATH)
        .current_dir("/")
        .output()
        .map_err(|error| format!("{name} can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_keyring_names_its_package() {
        let place = tempfile::tempdir().unwrap();
        let keyring = Keyring {
            file: "/nowhere/keyring.gpg",
            package: "some-keyring",
            fetched: None,
        };
        let error = find(&keyring, place.path()).unwrap_err();
        assert!(error.hint().unwrap().contains("some-keyring"), "{error}");
    }
}
