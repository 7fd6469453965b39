//! Why something can't be packed.

use super::metadata::MetadataMistake;
use crate::assets::AssetError;
use crate::failure::CallError;
use crate::load::LoadError;

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
    /// A world was named for something that has its interfaces already.
    #[error("it is a component already, and can't be given the world `{0}`")]
    WorldOfComponent(String),
    /// What it is to say of itself is wrong.
    #[error("its metadata is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Metadata(Vec<MetadataMistake>),
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
                 is for: `--world builder-only`",
            ),
            Self::CoreModule => Some("encode it first"),
            Self::WorldOfComponent(_) => Some("leave out `--world`"),
            Self::Metadata(mistakes) => mistakes.first().map(MetadataMistake::hint),
            Self::Load(error) => error.hint(),
            Self::Describe(error) => error.hint(),
            _ => None,
        }
    }
}
