//! From a crate, or from what another compiler made, to packages: compile, collect the
//! assets, pack, attest, write; each only where something has changed.
//!
//! Cargo keeps its own modules fresh. Packing is skipped where a stamp beside the module
//! says that this output was made of this module, recipe and assets.

use std::path::{Path, PathBuf};

use darkroom_runtime::RuntimeError;
use darkroom_runtime::pack::{Metadata, PackError, Strip};

use super::assets::{self, AssetsError};
use super::attest::ListError;
use super::beside::BesideError;
use super::cargo::{self, Artifact, CargoError};
use super::crates::{self, Crates};
use super::output::{self, FileError};
use super::packer::{Job, Packer};
use super::toolchain::{self, Compiler, Route, ToolchainError, Tools};
use super::{attest, file};

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
    /// The folder of a crate or of a workspace of crates, or a module or component.
    pub(crate) path: PathBuf,
    /// Where the components go.
    pub(crate) output: Output,
    /// Cargo's folder for what it compiles, where it is not cargo's own choice.
    pub(crate) target_dir: Option<PathBuf>,
    /// What the command line says of the component; it counts before all files.
    pub(crate) says: Metadata,
    /// The namespace of crates that don't say their own.
    pub(crate) namespace: Option<String>,
    /// The world of a module that has no type.
    pub(crate) world: Option<String>,
    /// What translates WASI preview 1.
    pub(crate) adapter: Option<PathBuf>,
    /// The folder of the assets, where it is not `assets` beside.
    pub(crate) assets: Option<PathBuf>,
    /// What is left out.
    pub(crate) strip: Strip,
    /// Whether SBOM and statement are written.
    pub(crate) attest: bool,
    /// `SOURCE_DATE_EPOCH`: the only time that is ever attested.
    pub(crate) epoch: Option<i64>,
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// The name of the crate, or of the file without its end.
    pub(crate) name: String,
    /// What the package says of itself.
    pub(crate) says: Metadata,
    /// The size of what was packed.
    pub(crate) before: u64,
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
    #[error(transparent)]
    File(#[from] FileError),
    /// The file beside the module can't be used.
    #[error(transparent)]
    Beside(#[from] BesideError),
    /// A list of dependencies can't be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// Something that is said of one component, said for several.
    #[error("{folder:?} holds {count} components, and {flag} is for one")]
    OneOnly {
        /// The workspace.
        folder: PathBuf,
        /// How many it holds.
        count: usize,
        /// The flag.
        flag: &'static str,
    },
    /// Nothing is there.
    #[error("there is no {0:?}")]
    Nothing(PathBuf),
    /// A flag that is for the other kind of input.
    #[error("{flag} is for {fits}, and {path:?} is none")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What it is for.
        fits: &'static str,
        /// The input.
        path: PathBuf,
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
            Self::Beside(error) => error.hint(),
            Self::OneOnly { .. } => {
                Some("name the folder of one crate, or say it in each crate's Cargo.toml")
            }
            Self::Nothing(_) => {
                Some("name the folder of a crate, or a .wasm or .wat file that a compiler made")
            }
            Self::Flag { .. } => Some("leave it out"),
            Self::List(_) => Some("mend the file, or leave out the SBOM: `--no-attest`"),
            Self::Runtime(_) | Self::File(_) => None,
        }
    }

    /// Whether the compiler refused the code, so that its words were progress already.
    pub(crate) fn is_compiler(&self) -> bool {
        matches!(self, Self::Cargo(CargoError::Compile(_)))
    }

    /// Whether the command line is at fault.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Several { .. } | Self::OneOnly { .. } | Self::Flag { .. } | Self::Nothing(_)
        )
    }

    /// Whether the fault is the machine's set-up, rather than the crate's.
    pub(crate) fn is_setup(&self) -> bool {
        matches!(
            self,
            Self::Toolchain(_)
                | Self::Runtime(_)
                | Self::File(_)
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
    if request.path.is_file() && request.path.file_name() != Some("Cargo.toml".as_ref()) {
        return Ok(vec![file::build(request)?]);
    }
    if !request.path.exists() {
        return Err(BuildError::Nothing(request.path.clone()));
    }
    build_crates(request, tools, progress)
}

fn build_crates(
    request: &Request,
    tools: &Tools,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Built>, BuildError> {
    let folder = &request.path;
    if !folder.join("Cargo.toml").is_file() {
        return Err(CargoError::NoCrate(folder.clone()).into());
    }
    let given = [
        ("--world", request.world.is_some()),
        ("--adapt", request.adapter.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let (path, fits) = (folder.clone(), "a module of another toolchain");
        return Err(BuildError::Flag { flag, fits, path });
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
    let crates = crates::read(tools, folder, request.namespace.as_deref())?;
    let compiler = toolchain::compiler(tools, &route, folder);
    let renamed = renamed(tools, &crates, compiler.as_ref());
    let mut artifacts = cargo::compile(tools, &route, folder, target_dir, &renamed, progress)?;
    // Cargo tells of them as they are done, in any order.
    artifacts.sort_by(|one, other| one.package.cmp(&other.package));
    refuse_for_several(request, artifacts.len())?;
    let source = Source {
        commit: attest::commit(&crates.root).filter(|_| request.attest),
        lock: std::fs::read_to_string(crates.root.join("Cargo.lock")).unwrap_or_default(),
        crates,
        compiler,
    };
    let mut packer = Packer::new(request);
    let count = artifacts.len();
    artifacts
        .iter()
        .map(|artifact| {
            let file = place(request, artifact, count)?;
            packer.pack(job(request, &source, artifact, file)?)
        })
        .collect()
}

/// What the components of one folder share.
struct Source {
    crates: Crates,
    compiler: Option<Compiler>,
    commit: Option<String>,
    lock: String,
}

fn job(
    request: &Request,
    source: &Source,
    artifact: &Artifact,
    file: PathBuf,
) -> Result<Job, BuildError> {
    let refused = |error| BuildError::Assets {
        component: artifact.package.clone(),
        source: error,
    };
    let files = match &request.assets {
        Some(folder) => assets::read(folder),
        None => assets::find(&artifact.folder).map(Option::unwrap_or_default),
    };
    let member = source.crates.members.get(&artifact.folder);
    let says = member.map(|member| member.says.clone()).unwrap_or_default();
    let mut job = Job::new(&artifact.package, output::read(&artifact.module)?, file);
    job.recipe.metadata = request.says.clone().or(says);
    job.recipe.files = Some(files.map_err(refused)?);
    job.stamp = Some(artifact.module.with_extension("packed"));
    job.bill = member.map(|member| attest::of_crate(&source.crates, member, &source.lock));
    job.asked.insert("crate", artifact.package.clone());
    let compiler = source.compiler.as_ref();
    job.tools
        .extend(compiler.map(|compiler| ("rustc", compiler.version.clone())));
    job.came_from(source.commit.as_deref());
    job.went_in("Cargo.lock", source.lock.as_bytes());
    Ok(job)
}

/// Folders of this machine that panics would name, and what stands there instead. The
/// list must be the same for all crates that share a folder for what is compiled, or each
/// would make the others stale: so the crate's own folder is not in it, which cargo names
/// relatively anyway.
fn renamed(tools: &Tools, crates: &Crates, compiler: Option<&Compiler>) -> Vec<(PathBuf, String)> {
    let mut renamed: Vec<_> = crates
        .outside()
        .into_iter()
        .map(|(folder, name)| (folder, format!("/{name}")))
        .collect();
    if let Some(compiler) = compiler {
        let library = compiler.sysroot.join("lib/rustlib/src/rust");
        renamed.push((library, "/rustc".into()));
    }
    if let Some(home) = &tools.cargo_home {
        renamed.push((home.join("git/checkouts"), "/git".into()));
        let registries = std::fs::read_dir(home.join("registry/src"));
        let registries = registries.into_iter().flatten().flatten();
        let mut registries: Vec<_> = registries.map(|one| one.path()).collect();
        registries.sort();
        renamed.extend(
            registries
                .into_iter()
                .map(|folder| (folder, "/crates".into())),
        );
    }
    renamed
}

fn refuse_for_several(request: &Request, count: usize) -> Result<(), BuildError> {
    let says = &request.says;
    let given = [
        ("--name", says.name.is_some()),
        ("--description", says.description.is_some()),
        ("--assets", request.assets.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given && count > 1) {
        None => Ok(()),
        Some((flag, _)) => Err(BuildError::OneOnly {
            folder: request.path.clone(),
            count,
            flag,
        }),
    }
}

/// Cargo's folder where the standard library is compiled too.
fn from_source_dir(request: &Request) -> PathBuf {
    let target = request.target_dir.clone();
    target
        .unwrap_or_else(|| request.path.join("target"))
        .join("from-source")
}

/// The output of an artifact.
fn place(request: &Request, artifact: &Artifact, count: usize) -> Result<PathBuf, BuildError> {
    let name = format!("{}.wasm", artifact.package);
    match &request.output {
        Output::Folder(folder) => Ok(folder.join(name)),
        Output::File(file) if count == 1 => Ok(file.clone()),
        Output::File(_) => Err(BuildError::Several {
            folder: request.path.clone(),
            count,
        }),
        // One crate, and not the only member of a workspace.
        Output::Beside if count == 1 && same_folder(&artifact.folder, &request.path) => {
            Ok(request.path.join(name))
        }
        Output::Beside => Ok(request.path.join("target/components").join(name)),
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

#[cfg(test)]
mod tests;
