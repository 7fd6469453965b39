//! From a core module to a component: the type of a world, WASI preview 1, the encoding.
//!
//! `package` is the main user. Nothing here knows descriptions, assets or metadata.

use std::borrow::Cow;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::PackError;
use super::contract::WIT;
use crate::sections::{self, Kind};

/// Answers to the functions of WASI preview 1, which make nothing happen.
const NULL_ADAPTER: &str = include_str!("../../../../wit/null/null-adapter.wat");

/// The import by which a module asks for preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Puts the type of a world of the contract (`builder-only`) into a core module of
/// a language whose generator doesn't: Go, C, or WebAssembly text, which is
/// accepted here as everywhere in this module.
///
/// # Errors
/// [`PackError`].
pub fn embed(module: &[u8], world: &str) -> Result<Vec<u8>, PackError> {
    let mut module = binary(module)?.into_owned();
    let wrong = |error: String| PackError::World {
        world: world.into(),
        message: error,
    };
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve
        .push_str("component.wit", WIT)
        .map_err(|error| wrong(format!("{error:#}")))?;
    let id = resolve
        .select_world(&[package], Some(world))
        .map_err(|error| wrong(format!("{error:#}")))?;
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8, true)
        .map_err(refused)?;
    Ok(module)
}

/// Makes a component of a core module; a component passes through. Where the module
/// imports WASI preview 1, `adapter` translates it; without one a null adapter
/// answers that there is nothing, so that the component needs no WASI at all.
///
/// # Errors
/// [`PackError`].
pub fn encode(module_or_component: &[u8], adapter: Option<&[u8]>) -> Result<Vec<u8>, PackError> {
    let bytes = binary(module_or_component)?;
    let outline = sections::outline(&bytes).map_err(PackError::NotWebAssembly)?;
    if outline.kind == Kind::Component {
        return Ok(bytes.into_owned());
    }
    if !outline
        .custom
        .iter()
        .any(|section| section.name.starts_with("component-type"))
    {
        return Err(PackError::NoType);
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&bytes).map_err(refused)?;
    if outline.imports.iter().any(|module| module == PREVIEW1) {
        let adapter = binary(adapter.unwrap_or(NULL_ADAPTER.as_bytes()))?;
        encoder.adapter(PREVIEW1, &adapter).map_err(refused)?;
    }
    encoder.encode().map_err(refused)
}

/// wit-component's error with its causes.
fn refused(error: impl std::fmt::Display) -> PackError {
    PackError::Encode(format!("{error:#}"))
}

/// WebAssembly text becomes binary; binary passes through.
pub(super) fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, PackError> {
    wat::parse_bytes(bytes).map_err(|error| PackError::NotWebAssembly(error.to_string()))
}
