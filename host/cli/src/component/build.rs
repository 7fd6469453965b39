//! From a crate to a component: compile, collect the assets, pack, write; each only where
//! something has changed.
//!
//! Cargo keeps its own modules fresh. Packing is skipped where a stamp beside the module
//! says that this output was made of this module and these assets. An output is replaced
//! in one move and is never half written.

use std::path::{Path, PathBuf};

use darkroom_runtime::pack::{self, PackError};
use darkroom_runtime::{Config, Runtime, RuntimeError};
use sha2::{Digest as _, Sha256};

use super::assets::{self, AssetsError};
use super::cargo::{self, Artifact, CargoError};
use super::toolchain::{self, Route, ToolchainError, Tools};

/// Part of every stamp: a new number makes all components anew. It must change whenever
/// packing the same module gives other bytes.
const PACKING: &str = "darkroom packing 1";

/// Where the components go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Beside the crate's Cargo.toml; of a workspace into `target/components` in it.
    Beside,
    /// The one component into this file.
    File(PathBuf),
    /// Each into this folder, as `<package>.wasm`.
    Folder(PathBuf),
}

/// What is to be built.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The folder of a crate or of a workspace of crates.
    pub(crate) folder: PathBuf,
    /// Where the components go.
    pub(crate) output: Output,
    /// Cargo's folder for what it compiles, where it is not cargo's own choice.
    pub(crate) target_dir: Option<PathBuf>,
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// The package's name.
    pub(crate) name: String,
    /// The component.
    pub(crate) file: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256.
    pub(crate) digest: String,
    /// Whether it was there already, of the same sources.
    pub(crate) fresh: bool,
}

/// Building failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// No way to compile.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// Cargo failed.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// Assets can't be read.
    #[error("the assets of `{component}` are refused")]
    Assets {
        /// The package.
        component: String,
        /// Why.
        #[source]
        source: AssetsError,
    },
    /// The module can't be packed.
    #[error("`{component}` can't be packed")]
    Pack {
        /// The package.
        component: String,
        /// Why.
        #[source]
        source: Box<PackError>,
    },
    /// The runtime can't be started.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A file can't be read or written.
    #[error("{path:?} can't be {verb}")]
    File {
        /// Which.
        path: PathBuf,
        /// What was to be done with it.
        verb: &'static str,
        /// Why it can't.
        #[source]
        source: std::io::Error,
    },
    /// One file for several components.
    #[error("{folder:?} holds {count} components, which can't go into one file")]
    Several {
        /// The workspace.
        folder: PathBuf,
        /// How many it holds.
        count: usize,
    },
}

impl BuildError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Toolchain(error) => Some(error.hint()),
            Self::Cargo(error) => error.hint(),
            Self::Assets { source, .. } => source.hint(),
            Self::Pack { source, .. } => source.hint(),
            Self::Several { .. } => Some("name a folder with --out-dir"),
            Self::Runtime(_) | Self::File { .. } => None,
        }
    }

    /// Whether the compiler refused the code, so that its words were progress already.
    pub(crate) fn is_compiler(&self) -> bool {
        matches!(self, Self::Cargo(CargoError::Compile(_)))
    }

    /// Whether the fault is the machine's set-up, rather than the crate's.
    pub(crate) fn is_setup(&self) -> bool {
        matches!(
            self,
            Self::Toolchain(_)
                | Self::Runtime(_)
                | Self::File { .. }
                | Self::Cargo(CargoError::Start(_))
        )
    }
}

/// Builds; `progress` gets lines of the tools as they come. It blocks.
pub(crate) fn build(
    request: &Request,
    tools: &Tools,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Built>, BuildError> {
    let folder = &request.folder;
    if !folder.join("Cargo.toml").is_file() {
        return Err(CargoError::NoCrate(folder.clone()).into());
    }
    let from_source = from_source_dir(request);
    let route = toolchain::choose(tools, folder, from_source.is_dir())?;
    // Modules of two compilers in one folder would make each other stale, so the library
    // that is compiled from source has a folder of its own.
    let target_dir = match &route {
        Route::Installed => request.target_dir.as_deref(),
        Route::Added => {
            progress("rustup added the target wasm32-unknown-unknown");
            request.target_dir.as_deref()
        }
        Route::FromSource { rustc, .. } => {
            if !from_source.is_dir() {
                progress(&format!(
                    "rustup can't add the target wasm32-unknown-unknown; {} compiles the standard \
                     library, which takes a minute or two, once",
                    rustc.display()
                ));
            }
            Some(from_source.as_path())
        }
    };
    let mut artifacts = cargo::compile(tools, &route, folder, target_dir, progress)?;
    // Cargo tells of them as they are done, in any order.
    artifacts.sort_by(|one, other| one.package.cmp(&other.package));
    let mut packer = Packer { runtime: None };
    let count = artifacts.len();
    artifacts
        .iter()
        .map(|artifact| packer.pack(artifact, &place(request, artifact, count)?))
        .collect()
}

/// Cargo's folder where the standard library is compiled too.
fn from_source_dir(request: &Request) -> PathBuf {
    let target = request.target_dir.clone();
    target
        .unwrap_or_else(|| request.folder.join("target"))
        .join("from-source")
}

/// The output of an artifact.
fn place(request: &Request, artifact: &Artifact, count: usize) -> Result<PathBuf, BuildError> {
    let name = format!("{}.wasm", artifact.package);
    match &request.output {
        Output::Folder(folder) => Ok(folder.join(name)),
        Output::File(file) if count == 1 => Ok(file.clone()),
        Output::File(_) => Err(BuildError::Several {
            folder: request.folder.clone(),
            count,
        }),
        // One crate, and not the only member of a workspace.
        Output::Beside if count == 1 && same_folder(&artifact.folder, &request.folder) => {
            Ok(request.folder.join(name))
        }
        Output::Beside => Ok(request.folder.join("target/components").join(name)),
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

/// Packs; its runtime is started with the first component that is not fresh.
struct Packer {
    runtime: Option<Runtime>,
}

impl Packer {
    fn pack(&mut self, artifact: &Artifact, file: &Path) -> Result<Built, BuildError> {
        let module = read(&artifact.module)?;
        let assets = assets::read(&artifact.folder).map_err(|source| BuildError::Assets {
            component: artifact.package.clone(),
            source,
        })?;
        let stamp_file = artifact.module.with_extension("packed");
        let key = key(&module, &assets);
        let built = |bytes: &[u8], fresh| Built {
            name: artifact.package.clone(),
            file: file.to_owned(),
            bytes: bytes.len() as u64,
            digest: digest(bytes),
            fresh,
        };
        if let Ok(there) = std::fs::read(file) {
            let stamp = std::fs::read_to_string(&stamp_file).unwrap_or_default();
            if stamp == format!("{key} {}\n", digest(&there)) {
                return Ok(built(&there, true));
            }
        }
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(Runtime::new(Config::default())?),
        };
        let origin = file.display().to_string();
        let packed =
            pack::pack(runtime, &module, &assets, &origin).map_err(|source| BuildError::Pack {
                component: artifact.package.clone(),
                source: Box::new(source),
            })?;
        write(file, &packed)?;
        write(
            &stamp_file,
            format!("{key} {}\n", digest(&packed)).as_bytes(),
        )?;
        Ok(built(&packed, false))
    }
}

/// What an output depends on, as one digest. Lengths keep two lists of files apart.
fn key(module: &[u8], assets: &[(String, Vec<u8>)]) -> String {
    let mut hash = Sha256::new();
    hash.update(PACKING);
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(module);
    for (name, content) in assets {
        part(name.as_bytes());
        part(content);
    }
    hex(&hash.finalize())
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File {
        path: path.to_owned(),
        verb: "read",
        source,
    })
}

/// Replaces a file in one move; makes its folder.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(|source| BuildError::File {
        path: path.to_owned(),
        verb: "written",
        source,
    })
}

#[cfg(test)]
mod tests;
