//! A module or component that any toolchain made, to a package.
//!
//! What Cargo.toml says for a crate, the command line and `component.toml` beside the file
//! say here. Nothing is compiled, and nothing is kept: packing a file anew is a matter of
//! `describe`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::build::{BuildError, Built, Output, Request};
use super::packer::{Job, Packer, name};
use super::{assets, attest, beside, output};

/// Packs the file.
pub(super) fn build(request: &Request) -> Result<Built, BuildError> {
    let path = &request.path;
    let given = [
        ("--target-dir", request.target_dir.is_some()),
        ("--namespace", request.namespace.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let (path, fits) = (path.clone(), "a crate");
        return Err(BuildError::Flag { flag, fits, path });
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let beside = beside::read(folder)?;
    let mut job = Job::new(&stem, output::read(path)?, place(request, &stem));
    let files = match &request.assets {
        Some(folder) => assets::read(folder).map(Some),
        None => assets::find(folder),
    };
    job.recipe.files = files.map_err(|source| BuildError::Assets {
        component: stem.clone().into_owned(),
        source,
    })?;
    job.recipe.metadata = request.says.clone().or(beside.says);
    job.recipe.world = request.world.clone().or(beside.world);
    job.asked
        .extend(job.recipe.world.clone().map(|world| ("world", world)));
    if request.attest {
        job.came_from(attest::commit(folder).as_deref());
        job.bill = attest::of_lists(folder)?;
    }
    let input = output::read(path)?;
    job.went_in(&name(path), &input);
    if let Some(adapter) = &request.adapter {
        let bytes = output::read(adapter)?;
        job.went_in(&name(adapter), &bytes);
        job.recipe.adapter = Some(bytes);
    }
    for list in attest::lists(folder) {
        job.went_in(list, &output::read(&folder.join(list))?);
    }
    Packer::new(request).pack(job)
}

/// The output: never the input itself, unless somebody names it.
fn place(request: &Request, stem: &str) -> PathBuf {
    let is_wasm = request.path.extension() == Some(OsStr::new("wasm"));
    let end = if is_wasm { "component.wasm" } else { "wasm" };
    match &request.output {
        Output::File(file) => file.clone(),
        Output::Folder(folder) => folder.join(format!("{stem}.wasm")),
        Output::Beside => request.path.with_file_name(format!("{stem}.{end}")),
    }
}

#[cfg(test)]
mod tests;
