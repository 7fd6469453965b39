//! The house's edges: which crate may depend on which.
//!
//! Read over `cargo metadata`, so that a new edge, even one that only a test of
//! the crate uses, fails here before anybody builds on it. ARCHITECTURE.md draws
//! the same picture for people.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand};

/// For each crate, the crates of the house that it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("failpoint", &[]),
    ("ecs", &[]),
    ("contract", &[]),
    ("journal", &["failpoint"]),
    ("registry", &["contract", "failpoint"]),
    ("runtime", &["contract", "failpoint"]),
    ("template", &["contract", "ecs"]),
    ("local", &["ecs", "failpoint"]),
    (
        "engine",
        &[
            "contract",
            "ecs",
            "failpoint",
            "journal",
            "runtime",
            "template",
        ],
    ),
    (
        "chaos",
        &["ecs", "engine", "failpoint", "journal", "local", "runtime"],
    ),
    (
        "cli",
        &[
            "chaos",
            "contract",
            "ecs",
            "engine",
            "failpoint",
            "journal",
            "local",
            "registry",
            "runtime",
            "template",
        ],
    ),
    (
        "tests",
        &[
            "chaos",
            "contract",
            "ecs",
            "engine",
            "failpoint",
            "journal",
            "local",
            "registry",
            "runtime",
            "template",
        ],
    ),
];

fn metadata(manifest: &Path) -> Metadata {
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata of {}: {error}", manifest.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn every_edge_between_crates_is_allowed() {
    let mut wrong = Vec::new();
    for package in metadata(&root().join("Cargo.toml")).workspace_packages() {
        let Some(name) = package.name.strip_prefix("darkroom-") else {
            panic!("{} is not named darkroom-…", package.name);
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == name) else {
            panic!("{name} has no place in the layers: give it one, here and in ARCHITECTURE.md");
        };
        for dependency in &package.dependencies {
            if let Some(used) = dependency.name.strip_prefix("darkroom-")
                && !allowed.contains(&used)
            {
                wrong.push(format!("{name} -> {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that must not exist: {wrong:?}");
}

#[test]
fn every_folder_of_the_host_is_a_crate_with_a_place() {
    let places: BTreeSet<_> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in std::fs::read_dir(root().join("host")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            places.contains(&name),
            "host/{name} has no place in the layers"
        );
    }
}

#[test]
fn components_depend_on_the_sdk_and_never_on_the_host() {
    let manifest = root().join("components/Cargo.toml");
    if !manifest.exists() {
        // Nothing can be wrong with what isn't there.
        return;
    }
    let host = root().join("host");
    for package in metadata(&manifest).workspace_packages() {
        for dependency in &package.dependencies {
            if let Some(path) = &dependency.path {
                assert!(
                    !path.as_std_path().starts_with(&host),
                    "{} -> {path}: a component may not use the host",
                    package.name
                );
            }
        }
    }
}
