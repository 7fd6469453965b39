//! Components of the namespace `darkroom`: those that come with this program, or their
//! packages.
//!
//! ```text
//! locked? ── no ──> the user has a place for it? ── yes ──> the newest package there
//!    │                        └─ no ──> as it ships
//!   yes
//!    └─> the shipped file is what is locked ── yes ──> as it ships
//!              └─ no ──> the lock, or the user, has a place ── yes ──> that package
//!                                └─ no ──> as it ships, which the lock refuses
//! ```
//!
//! Only the user's own file, not a project's, moves what nothing pins: otherwise whoever
//! writes a template could say what `darkroom:shell` is.

use std::path::Path;

use darkroom_template::lock::LockedComponent;

use crate::settings::Config;

/// The namespace.
const NAMESPACE: &str = "darkroom";

/// Whether a package is used for a component, and not the file that ships.
pub(super) fn is_package(
    name: &str,
    pinned: Option<&LockedComponent>,
    config: &Config,
    folder: Option<&Path>,
) -> bool {
    let full = full(name);
    let mut places = config.registries_of_user();
    let is_mapped = places.any(|(key, _)| key == NAMESPACE || key == full);
    match pinned {
        None => is_mapped,
        Some(pinned) => {
            let has_place = is_mapped || pinned.registry.is_some();
            has_place && !folder.is_some_and(|folder| ships(folder, name, pinned))
        }
    }
}

/// `darkroom:NAME`.
pub(super) fn full(name: &str) -> String {
    format!("{NAMESPACE}:{name}")
}

/// Whether the file that ships is what is pinned.
fn ships(folder: &Path, name: &str, pinned: &LockedComponent) -> bool {
    pinned.version == env!("CARGO_PKG_VERSION")
        && std::fs::read(folder.join(format!("{name}.wasm"))).is_ok_and(|bytes| {
            pinned.digest.strip_prefix("sha256:") == Some(&darkroom_contract::sha256(&bytes))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_used_where_it_is_what_is_pinned() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("files.wasm"), "files").unwrap();
        let mut pinned = LockedComponent {
            name: "darkroom:files".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            digest: format!("sha256:{}", darkroom_contract::sha256(b"files")),
            registry: Some("ghcr.io/darkroom/files".into()),
            signer: None,
        };
        let config = Config::default();
        let is_package = |pinned: &LockedComponent| {
            is_package("files", Some(pinned), &config, Some(folder.path()))
        };
        assert!(!is_package(&pinned));
        pinned.version = "0.0.9".into();
        assert!(is_package(&pinned));
        pinned.digest = format!("sha256:{}", darkroom_contract::sha256(b"others"));
        assert!(is_package(&pinned));
        // Nobody says where it is.
        pinned.registry = None;
        assert!(!is_package(&pinned));
    }
}
