//! Making a component out of what a compiler produced: `darkroom component build`.
//!
//! ```text
//! core module ─ embed ─> typed module ─ encode ─> component ─ describe ─> finish
//! ```
//!
//! A compiler with `wit-bindgen` for Rust embeds the type itself, so that `encode`
//! comes first; one for `wasm32-wasip2` makes a component itself, which `encode`
//! passes through. Nothing here runs a compiler or reads a file.

use std::borrow::Cow;

use wasm_encoder::{CustomSection, Encode as _, Section as _};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::assets::{self, AssetError, Assets};
use crate::failure::CallError;
use crate::load::LoadError;
use crate::runtime::Runtime;
use crate::sections::{self, Kind};

/// The contract that components are embedded against.
pub(crate) const WIT: &str = include_str!("../../../wit/component.wit");

/// Answers to the functions of WASI preview 1, which make nothing happen.
const NULL_ADAPTER: &str = include_str!("../../../wit/null/null-adapter.wat");

/// The import by which a module asks for preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// Why something can't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The input is not WebAssembly.
    #[error("it is not WebAssembly: {0}")]
    NotWebAssembly(String),
    /// The module says nothing of interfaces.
    #[error("the module has no component type")]
    NoType,
    /// There is no such world in the contract.
    #[error("there is no world `{world}`: {message}")]
    World {
        /// The name.
        world: String,
        /// What the parser of WIT says.
        message: String,
    },
    /// wit-component refused it.
    #[error("no component can be made of it: {0}")]
    Encode(String),
    /// A component was needed.
    #[error("it is a core module, not a component")]
    CoreModule,
    /// The component can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `describe` failed.
    #[error(transparent)]
    Describe(#[from] CallError),
    /// An asset can't be packed.
    #[error(transparent)]
    Assets(#[from] AssetError),
    /// A section is there twice.
    #[error("it has the section `{0}` twice")]
    Twice(String),
}

impl PackError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoType => Some(
                "build it with an SDK of Darkroom or with wit-bindgen, or name the world that it \
                 is for",
            ),
            Self::CoreModule => Some("encode it first"),
            Self::Load(error) => error.hint(),
            Self::Describe(error) => error.hint(),
            _ => None,
        }
    }
}

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
fn without_ours(component: &[u8]) -> Result<Vec<u8>, PackError> {
    let outline = sections::outline(component).map_err(PackError::NotWebAssembly)?;
    if outline.kind == Kind::Module {
        return Err(PackError::CoreModule);
    }
    let mut bare = Vec::with_capacity(component.len());
    let mut kept = 0;
    let ours = |name: &str| name == sections::DESCRIPTION || name == assets::SECTION;
    for section in outline.custom.iter().filter(|section| ours(section.name)) {
        bare.extend_from_slice(&component[kept..section.range.start]);
        kept = section.range.end;
    }
    bare.extend_from_slice(&component[kept..]);
    Ok(bare)
}

fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
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
    })
}

/// Runs `describe` of a component, packed or not; the answer is known to be a
/// description. It blocks.
///
/// # Errors
/// [`PackError::Load`] and [`PackError::Describe`].
pub fn describe(runtime: &Runtime, component: &[u8], origin: &str) -> Result<String, PackError> {
    let component = runtime.prepare(component, origin, false)?;
    Ok(runtime.describe_once(&component)?)
}

/// All of it: encode, describe, finish. It blocks.
///
/// # Errors
/// [`PackError`].
pub fn pack(
    runtime: &Runtime,
    module_or_component: &[u8],
    files: &[(String, Vec<u8>)],
    origin: &str,
) -> Result<Vec<u8>, PackError> {
    let encoded = encode(module_or_component, None)?;
    // A section of an earlier packing may be wrong, and is replaced anyway.
    let bare = without_ours(&encoded)?;
    let description = describe(runtime, &bare, origin)?;
    finish(&bare, &description, files)
}

/// What `component check` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The section is what `describe` answers.
    Same,
    /// It isn't.
    Differs {
        /// What the section says.
        section: String,
        /// What `describe` answers.
        answer: String,
    },
}

/// Compares the section of a packed component with what `describe` answers, as JSON
/// values. It blocks.
///
/// # Errors
/// [`PackError`].
pub fn check(runtime: &Runtime, packed: &[u8], origin: &str) -> Result<Check, PackError> {
    let component = runtime.load(packed, origin)?;
    let answer = runtime.describe_once(&component)?;
    let section = read_sections(packed)?.description.unwrap_or_default();
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if value(&section) == value(&answer) {
        Ok(Check::Same)
    } else {
        Ok(Check::Differs { section, answer })
    }
}

/// WebAssembly text becomes binary; binary passes through.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, PackError> {
    wat::parse_bytes(bytes).map_err(|error| PackError::NotWebAssembly(error.to_string()))
}
