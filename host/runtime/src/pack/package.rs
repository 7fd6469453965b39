//! All of it, from what a compiler made to a package; and whether a package still says
//! what its code says.
//!
//! `darkroom component` is the user. Nothing here reads a file.

use darkroom_contract::{Description, Role, sha256};

use super::PackError;
use super::attach::{append, finish, read_sections, without, without_ours};
use super::encode::{binary, embed, encode};
use super::metadata::{self, Metadata};
use super::strip::{Strip, strip};
use crate::assets::Assets;
use crate::imports;
use crate::load::{self, LoadError, Seen};
use crate::runtime::Runtime;
use crate::sections::{self, Outline};

/// What [`package`] is to make of an input beside what is in it. By default: nothing is
/// said of it, files stay, debug information goes.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// The world of a core module that has no type.
    pub world: Option<String>,
    /// What translates WASI preview 1, in place of the null adapter.
    pub adapter: Option<Vec<u8>>,
    /// What is left out.
    pub strip: Strip,
    /// What the package says of itself; what is not given stays as it was.
    pub metadata: Metadata,
    /// Its assets; without them those of the input stay.
    pub files: Option<Vec<(String, Vec<u8>)>>,
}

/// Makes a package: type, encode, strip, describe, say what it is, add the assets. The
/// same input and recipe give the same bytes; a package made again is the same. It blocks.
///
/// # Errors
/// [`PackError`].
pub fn package(
    runtime: &Runtime,
    input: &[u8],
    recipe: &Recipe,
    origin: &str,
) -> Result<Vec<u8>, PackError> {
    let mut bytes = binary(input)?.into_owned();
    if let Some(world) = &recipe.world {
        let outline = sections::outline(&bytes).map_err(PackError::NotWebAssembly)?;
        if outline.kind == sections::Kind::Component {
            return Err(PackError::WorldOfComponent(world.clone()));
        }
        bytes = embed(&bytes, world)?;
    }
    let encoded = encode(&bytes, recipe.adapter.as_deref())?;
    let before = sections::outline(&encoded).map_err(PackError::NotWebAssembly)?;
    let mut says = recipe.metadata.clone().or(Metadata::read(&before));
    says.contract = contract(&before).map(str::to_owned);
    let files = match &recipe.files {
        Some(files) => files.clone(),
        None => kept(&read_sections(&encoded)?.assets),
    };
    let ours = |name: &str| name == metadata::CONTRACT || metadata::is_text(name);
    let bare = without(&without_ours(&encoded)?, ours)?;
    let small = strip(&bare, recipe.strip).map_err(PackError::NotWebAssembly)?;
    let description = describe(runtime, &small, origin)?;
    if says.description.is_none() {
        says.description = Description::parse(&description)
            .ok()
            .map(|known| known.summary);
    }
    let mut said = says.write(&small)?;
    if let Some(version) = &says.contract {
        append(&mut said, metadata::CONTRACT, version.as_bytes());
    }
    finish(&said, &description, &files)
}

/// The newest version of the contract that an import or export names.
pub(crate) fn contract<'a>(outline: &'a Outline<'_>) -> Option<&'a str> {
    let names = outline.imports.iter().chain(&outline.exports);
    let versions = names.filter_map(|name| Some(imports::interface(name)?.1));
    versions.max_by_key(|version| semver::Version::parse(version).ok())
}

fn kept(assets: &Assets) -> Vec<(String, Vec<u8>)> {
    let file = |name: &str| Some((name.to_owned(), assets.get(name)?.to_vec()));
    assets.names().filter_map(file).collect()
}

/// What can be told of a package without running it.
#[derive(Debug, Clone)]
pub struct Look {
    /// The SHA-256 of all its bytes, in lower-case hexadecimal digits.
    pub digest: String,
    /// Its roles; at least one.
    pub roles: Vec<Role>,
    /// The interfaces that it imports, as they stand in it.
    pub imports: Vec<String>,
    /// What it says that it does.
    pub description: Description,
    /// The same as the JSON text that it is.
    pub description_text: String,
    /// Its assets.
    pub assets: Assets,
    /// What it says of itself.
    pub metadata: Metadata,
    /// The newest version of the contract that it names.
    pub contract: Option<String>,
}

/// Looks at a package; nothing is compiled or run.
///
/// # Errors
/// [`LoadError`], where no host could load it.
pub fn look(bytes: &[u8], origin: &str) -> Result<Look, LoadError> {
    load::look(bytes, true)
        .and_then(|seen| looked(bytes, seen))
        .map_err(|problem| LoadError {
            origin: origin.into(),
            problem,
        })
}

fn looked(bytes: &[u8], seen: Seen) -> Result<Look, load::LoadProblem> {
    let outline = sections::outline(bytes).map_err(load::LoadProblem::Damaged)?;
    let text = outline.section(sections::DESCRIPTION)?.unwrap_or_default();
    Ok(Look {
        digest: sha256(bytes),
        roles: seen.roles,
        description: seen.description.ok_or(load::LoadProblem::NoDescription)?,
        description_text: String::from_utf8_lossy(text).into_owned(),
        assets: seen.assets,
        metadata: Metadata::read(&outline),
        contract: contract(&outline).map(str::to_owned),
        imports: outline.imports,
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

/// The least of it: encode, describe, finish; nothing is said of it or left out. It
/// blocks.
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
