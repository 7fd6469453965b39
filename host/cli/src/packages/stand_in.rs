//! `[override]` of darkroom.toml: a file that stands for a package while its author tries
//! it. It is read as a component by path is, told each time, and never pinned; what must
//! be what the lock says (`--locked`, bundles) refuses it.

use std::path::{Path, PathBuf};

use darkroom_engine::components::{Package as Shelved, ShelfError, beside};

use crate::settings::Config;

/// The file that stands for a package in this project.
pub(super) fn of<'a>(config: &'a Config, name: &str) -> Option<&'a str> {
    let mut all = config.overrides();
    all.find_map(|(one, path)| (one == name).then_some(path))
}

/// Reads it. Its path is the project's, and may lead anywhere: an author's components lie
/// beside each other.
pub(super) fn read(folder: &Path, name: &str, path: &str) -> Result<Shelved, ShelfError> {
    let file: PathBuf = folder.join(path);
    let bytes = beside(&file).map_err(|error| ShelfError {
        message: format!("{path}, which stands for {name}, can't be read: {error}"),
        hint: Some("build it, or remove the line from [override] in darkroom.toml".into()),
    })?;
    Ok(Shelved {
        bytes,
        pinned: None,
    })
}

/// What is said where nothing may stand for a package.
pub(super) fn refused(name: &str, path: &str) -> ShelfError {
    ShelfError {
        message: format!("{name} is {path} here, which darkroom.lock doesn't pin"),
        hint: Some(format!(
            "remove `\"{name}\" = \"{path}\"` from [override] in darkroom.toml, or leave `--locked` out"
        )),
    }
}
