//! The sections of ours at a component's end, and reading them.
//!
//! `package` writes with it; `inspect` and `schema` of the command line read with it.
//! Nothing here compiles or runs a component.

use std::borrow::Cow;

use wasm_encoder::{CustomSection, Encode as _, Section as _};

use super::PackError;
use super::metadata::Metadata;
use crate::assets::{self, Assets};
use crate::sections::{self, Kind};

/// Appends the description and the assets as custom sections, last, in place of
/// those that it has.
///
/// # Errors
/// [`PackError`].
pub fn finish(
    component: &[u8],
    description: &str,
    files: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, PackError> {
    let mut packed = without_ours(component)?;
    append(&mut packed, sections::DESCRIPTION, description.as_bytes());
    if !files.is_empty() {
        append(&mut packed, assets::SECTION, &Assets::write(files)?);
    }
    Ok(packed)
}

/// The component without the sections of ours.
pub(super) fn without_ours(component: &[u8]) -> Result<Vec<u8>, PackError> {
    without(component, |name| {
        name == sections::DESCRIPTION || name == assets::SECTION
    })
}

/// The component without the outer sections of these names.
pub(super) fn without(component: &[u8], drop: impl Fn(&str) -> bool) -> Result<Vec<u8>, PackError> {
    let outline = sections::outline(component).map_err(PackError::NotWebAssembly)?;
    if outline.kind == Kind::Module {
        return Err(PackError::CoreModule);
    }
    let mut bare = Vec::with_capacity(component.len());
    let mut kept = 0;
    for section in outline.custom.iter().filter(|section| drop(section.name)) {
        bare.extend_from_slice(&component[kept..section.range.start]);
        kept = section.range.end;
    }
    bare.extend_from_slice(&component[kept..]);
    Ok(bare)
}

pub(super) fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let section = CustomSection {
        name: Cow::Borrowed(name),
        data: Cow::Borrowed(data),
    };
    component.push(section.id());
    section.encode(component);
}

/// The sections of ours that a component has.
#[derive(Debug, Clone)]
pub struct Sections {
    /// What `describe` answered when it was packed; `None` where it wasn't.
    pub description: Option<String>,
    /// Its assets.
    pub assets: Assets,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// Reads the sections of ours; nothing is compiled.
///
/// # Errors
/// [`PackError`].
pub fn read_sections(component: &[u8]) -> Result<Sections, PackError> {
    let outline = sections::outline(component).map_err(PackError::NotWebAssembly)?;
    let twice = |error: sections::Twice| PackError::Twice(error.0);
    let description = outline.section(sections::DESCRIPTION).map_err(twice)?;
    let assets = outline.section(assets::SECTION).map_err(twice)?;
    Ok(Sections {
        description: description.map(|text| String::from_utf8_lossy(text).into_owned()),
        assets: assets.map(Assets::read).transpose()?.unwrap_or_default(),
        metadata: Metadata::read(&outline),
    })
}
