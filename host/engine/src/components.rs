//! Where components come from: files beside the executable, files beside the template,
//! packages that somebody else has pulled and verified, or the copies that a run keeps.
//!
//! A path in a template is opened through a handle of the template's folder, so that
//! neither `..` nor a symbolic link leads out of it. This module reads bytes; it neither
//! loads nor calls.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use darkroom_contract::Requirement;
use darkroom_template::lock::LockedComponent;
use darkroom_template::{Copy, UsesRef};
use serde::{Deserialize, Serialize};

use crate::copied::{self, Copied, CopyError};
use crate::folder::RunFolder;

/// The largest component that is read.
const LARGEST: u64 = 256 << 20;

/// Where to look.
pub enum Shelf<'a> {
    /// For a new run.
    Live {
        /// The folder of the system components.
        system: &'a Path,
        /// The template's folder.
        template: &'a Path,
        /// What was resolved beforehand, by the reference as [`written`].
        packages: &'a Packages,
    },
    /// For a run that has begun: its own copies, by reference.
    Kept {
        /// The run's folder.
        folder: &'a RunFolder,
        /// Reference to digest.
        digests: &'a BTreeMap<String, String>,
        /// What the template copies, by its place in `build`.
        copies: &'a BTreeMap<usize, KeptCopy>,
    },
}

/// Components by their reference as [`written`]: of registries, or a file that stands for
/// one of them while its author tries it. Whoever fills it has verified what is in it.
pub type Packages = BTreeMap<String, Result<Package, ShelfError>>;

/// A component that was resolved.
#[derive(Clone, Debug)]
pub struct Package {
    /// The component.
    pub bytes: Vec<u8>,
    /// What the lock pins of it; nothing for a file that stands for it.
    pub pinned: Option<LockedComponent>,
}

/// Something that a run's template copies, as the run keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCopy {
    /// The SHA-256 by which it lies in the run's folder.
    pub sha256: String,
    /// Whether it is the archive of a folder.
    pub folder: bool,
    /// Permission bits of a file.
    pub mode: u32,
}

/// Why a component can't be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ShelfError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The reference as the template writes it, and as a run's header keeps it.
pub fn written(reference: &UsesRef) -> String {
    match reference {
        UsesRef::System { name, version } => match version {
            Some(version) => format!("darkroom:{name}@{version}"),
            None => format!("darkroom:{name}"),
        },
        UsesRef::Package { name, requirement } => match requirement {
            Some(requirement) => format!("{name}@{requirement}"),
            None => name.clone(),
        },
        UsesRef::Path(path) => path.display().to_string(),
    }
}

/// The short name of a component: `packages`, `greeting`.
pub fn short(reference: &UsesRef) -> String {
    match reference {
        UsesRef::System { name, .. } => name.clone(),
        UsesRef::Package { name, .. } => name
            .split_once(':')
            .map_or(name.as_str(), |(_, name)| name)
            .to_owned(),
        UsesRef::Path(path) => path.file_stem().map_or_else(
            || "component".into(),
            |stem| stem.to_string_lossy().into_owned(),
        ),
    }
}

impl Shelf<'_> {
    /// The bytes of a component.
    ///
    /// # Errors
    /// When there is no such file, it is too large, or it lies outside.
    pub fn read(&self, reference: &UsesRef) -> Result<Vec<u8>, ShelfError> {
        match self {
            Self::Live {
                system,
                template,
                packages,
            } => match (packages.get(&written(reference)), reference) {
                (Some(package), _) => package
                    .as_ref()
                    .map(|package| package.bytes.clone())
                    .map_err(Clone::clone),
                (None, UsesRef::System { name, version }) => {
                    read_system(system, name, version.as_deref())
                }
                (None, UsesRef::Path(path)) => read_beside(template, path),
                (None, UsesRef::Package { name, .. }) => Err(ShelfError {
                    message: format!("the package {name} was not resolved"),
                    hint: None,
                }),
            },
            Self::Kept {
                folder, digests, ..
            } => {
                let written = written(reference);
                let digest = digests.get(&written).ok_or_else(|| ShelfError {
                    message: format!("the run did not begin with the component {written}"),
                    hint: None,
                })?;
                folder
                    .read(&format!("components/{digest}"))
                    .map_err(|error| ShelfError {
                        message: format!("the run's copy of {written} can't be read: {error}"),
                        hint: None,
                    })
            }
        }
    }
}

impl Shelf<'_> {
    /// What a lock pins of a component that was read; nothing for files.
    pub(crate) fn pinned(&self, reference: &UsesRef, digest: &str) -> Option<LockedComponent> {
        if let Self::Live { packages, .. } = self
            && let Some(Ok(package)) = packages.get(&written(reference))
        {
            return package.pinned.clone();
        }
        match reference {
            UsesRef::System { name, .. } => Some(LockedComponent {
                name: format!("darkroom:{name}"),
                version: env!("CARGO_PKG_VERSION").into(),
                digest: format!("sha256:{digest}"),
                registry: None,
                signer: None,
            }),
            UsesRef::Package { .. } | UsesRef::Path(_) => None,
        }
    }

    /// What the item of `build` at this place copies.
    ///
    /// # Errors
    /// When it can't be read, or must not be copied.
    pub fn copied(&self, index: usize, copy: &Copy) -> Result<Copied, CopyError> {
        match self {
            Self::Live { template, .. } => copied::pack(template, copy),
            Self::Kept { folder, copies, .. } => {
                let gone = |problem: String| CopyError {
                    message: format!("the run's copy of {} {problem}", copy.from.value),
                    hint: None,
                };
                let kept = copies
                    .get(&index)
                    .ok_or_else(|| gone("is not there".into()))?;
                let bytes = folder
                    .read(&format!("files/{}", kept.sha256))
                    .map_err(|error| gone(format!("can't be read: {error}")))?;
                Ok(Copied {
                    bytes: Arc::new(bytes),
                    is_folder: kept.folder,
                    mode: kept.mode,
                })
            }
        }
    }
}

fn read_system(folder: &Path, name: &str, version: Option<&str>) -> Result<Vec<u8>, ShelfError> {
    let ours = env!("CARGO_PKG_VERSION");
    if let Some(version) = version
        && !asks_for(version, ours)
    {
        return Err(ShelfError {
            message: format!("darkroom:{name}@{version} is not this version's, which is {ours}"),
            hint: Some(format!("write darkroom:{name} or darkroom:{name}@{ours}")),
        });
    }
    let path = folder.join(format!("{name}.wasm"));
    bounded(&path).map_err(|error| {
        let names = names_in(folder);
        let near = darkroom_template::nearest(name, names.iter().map(String::as_str));
        let hint = match (near, names.is_empty()) {
            (Some(near), _) => format!("did you mean darkroom:{near}?"),
            (None, false) => format!("there are {}", names.join(", ")),
            (None, true) => format!(
                "{} holds no components: build them with `make components`, or name their folder in DARKROOM_COMPONENTS",
                folder.display()
            ),
        };
        let message = if error.kind() == io::ErrorKind::NotFound {
            format!("there is no system component darkroom:{name}")
        } else {
            format!("{} can't be read: {error}", path.display())
        };
        ShelfError {
            message,
            hint: Some(hint),
        }
    })
}

fn asks_for(requirement: &str, version: &str) -> bool {
    let wanted = requirement.parse::<Requirement>();
    wanted.is_ok_and(|wanted| {
        version
            .parse()
            .is_ok_and(|version| wanted.matches(&version))
    })
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".wasm").map(ToOwned::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    take(std::fs::File::open(path)?)
}

/// The bytes of a component that somebody names by its path: a file, of no more bytes than
/// a component may have.
///
/// # Errors
/// When it is no file, too large, or can't be read.
pub fn beside(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    must_be_file(metadata.is_dir(), metadata.is_file())?;
    bounded(path)
}

/// Asked before it is opened: opening a named pipe would wait for ever.
fn must_be_file(is_dir: bool, is_file: bool) -> io::Result<()> {
    match (is_dir, is_file) {
        (true, _) => Err(io::Error::other("it is a folder")),
        (_, false) => Err(io::Error::other("it is no file")),
        _ => Ok(()),
    }
}

fn take(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "it has more than {LARGEST} bytes"
        )));
    }
    Ok(bytes)
}

fn read_beside(folder: &Path, path: &Path) -> Result<Vec<u8>, ShelfError> {
    let open = || -> io::Result<Vec<u8>> {
        let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
        let metadata = dir.metadata(path)?;
        must_be_file(metadata.is_dir(), metadata.is_file())?;
        take(dir.open(path)?)
    };
    open().map_err(|error| {
        // What cap-std refuses is no answer of the system's.
        let leads_out =
            error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none();
        let hint = match error.kind() {
            io::ErrorKind::NotFound => Some(format!(
                "build it first: darkroom component build {}",
                sources_of(path).display()
            )),
            _ if leads_out => Some(
                "a component must lie in the template's folder, also when a symbolic link leads to it".into(),
            ),
            _ => None,
        };
        let path = path.display();
        ShelfError {
            message: if leads_out {
                format!("{path} leads out of the template's folder")
            } else {
                format!("{path} can't be read: {error}")
            },
            hint,
        }
    })
}

/// Where the sources of a component probably are: the folder of its name.
fn sources_of(path: &Path) -> PathBuf {
    path.with_extension("")
}
