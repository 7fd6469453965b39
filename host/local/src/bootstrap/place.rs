//! Puts a finished tree into the cache as a base, whole or not at all.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::driver::{Agent, Base};
use crate::sandbox::folder::{make_private, sync_parent, write_json};
use crate::sandbox::layers::{manifest, remove, tree as trees};

/// What is known of a base but its content.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) os_name: String,
    pub(super) platform: String,
    pub(super) agent: Agent,
}

/// Copies `made` into the folder `bases`, in the place of a base of that name. The
/// caller holds the cache's lock.
pub(super) fn place(facts: Facts, made: &Path, bases: &Path) -> io::Result<Base> {
    let place = bases.join(&facts.name);
    let draft = bases.join(format!(".making-{}", facts.name));
    let doomed = bases.join(format!(".removing-{}", facts.name));
    remove(&draft)?;
    remove(&doomed)?;
    make_private(&draft)?;
    let rootfs = draft.join("rootfs");
    trees::copy(made, &rootfs)?;
    let content = manifest::digest(&rootfs)?;
    let base = Base {
        name: facts.name,
        os_name: facts.os_name,
        platform: facts.platform,
        architecture: architecture().into(),
        digest: content.digest,
        size_bytes: content.size_bytes,
        agent: facts.agent,
        made_at: Timestamp::now(),
    };
    write_json(&draft.join("base.json"), &base)?;
    trees::sync(&draft)?;
    match fs::rename(&place, &doomed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(&draft, &place)?;
    sync_parent(&place)?;
    remove(&doomed)?;
    Ok(base)
}

/// As ECS names it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}
