//! Makes a base of a root file system that somebody else has made: a folder, a tar
//! archive (plain, gzip, xz, zstd), or an OCI image layout as a folder or an archive.
//!
//! Used by the CLI's `local import`. The source is only read. A base is whole or
//! absent, and an import that replaces one leaves the old one where it was until the
//! new one is whole. It must not print.

mod layout;
mod release;
mod unpack;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{BootstrapError, Made, Progress, at, check_namespaces, place, space, tidy};
use crate::driver::{Agent, Base};
use crate::sandbox::folder::{make_private, plain_name, read_json};
use crate::sandbox::layers::tree as trees;
use layout::Layout;

/// What to import, and as what.
pub struct ImportOptions<'a> {
    /// The folder or file.
    pub source: PathBuf,
    /// The base's name, which is also its image family.
    pub name: String,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Which image of a layout, by its reference name.
    pub tag: Option<String>,
    /// Take the place of a base of that name.
    pub replace: bool,
    /// Whether its instances have a Cloud Assistant agent from the beginning.
    pub agent: Agent,
    /// Told how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// Why a source is not a base.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not a name for a family.
    #[error("`{name}` can't be the name of a base")]
    Name {
        /// The name asked for.
        name: String,
    },
    /// A base has that name.
    #[error("there is a base `{name}`")]
    Exists {
        /// The name asked for.
        name: String,
    },
    /// The source can't be read.
    #[error("{} can't be read", path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// An archive is broken, or hostile.
    #[error("{} can't be unpacked", path.display())]
    Archive {
        /// The archive or layer.
        path: PathBuf,
        /// The entry, and what is wrong with it.
        #[source]
        source: io::Error,
    },
    /// A file of a layout is missing or not as it should be.
    #[error("{} is no good part of an OCI image layout: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A layout has none or several images that fit.
    #[error("{} holds {found} times {wanted}", path.display())]
    Choose {
        /// The layout.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// How many there are.
        found: usize,
        /// The names in it.
        names: Vec<String>,
    },
    /// What was unpacked isn't a system.
    #[error("{} holds no root file system: there is no `{missing}` in it", path.display())]
    NotASystem {
        /// The source.
        path: PathBuf,
        /// What every system has.
        missing: &'static str,
    },
    /// As for a bootstrap.
    #[error(transparent)]
    Base(#[from] BootstrapError),
}

impl ImportError {
    /// What the person at this machine can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => {
                Some("use letters, digits, dots and dashes, such as `alpine-3.20`".into())
            }
            Self::Exists { name } => Some(format!(
                "give `--replace` to put this one in its place, or another name than `{name}`"
            )),
            Self::Source { .. } => {
                Some("give a folder, a tar archive, or an OCI image layout".into())
            }
            Self::Archive { .. } => Some(
                "tar archives can be plain or compressed by gzip, xz or zstd; `docker export` \
                 and `buildah push … oci-archive:FILE` write good ones"
                    .into(),
            ),
            Self::Layout { .. } => Some("is the layout complete?".into()),
            Self::Choose { names, .. } if names.is_empty() => None,
            Self::Choose { names, .. } => {
                Some(format!("choose one with `--tag`: {}", names.join(", ")))
            }
            Self::NotASystem { .. } => Some(
                "it must hold the whole tree from `/` on: bin, etc, usr and so on at its top"
                    .into(),
            ),
            Self::Base(error) => error.hint(),
        }
    }
}

/// Imports a base. Two at once: the second waits for the first.
///
/// # Errors
/// What is wrong with the source, or what is missing here; no base was changed.
pub fn import(options: ImportOptions<'_>) -> Result<Made, ImportError> {
    if plain_name(&options.name).is_err() || options.name.starts_with('.') {
        return Err(ImportError::Name { name: options.name });
    }
    let kind = Kind::of(&options.source).map_err(|source| ImportError::Source {
        path: options.source.clone(),
        source,
    })?;
    check_namespaces()?;
    let bases = options.cache.join("bases");
    make_private(&bases).map_err(at(format!("making {}", bases.display())))?;
    let _one = super::lock(&bases).map_err(at("locking the cache"))?;
    let target = bases.join(&options.name);
    let old = read_json::<Base>(&target.join("base.json")).ok();
    if old.is_some() && !options.replace {
        return Err(ImportError::Exists { name: options.name });
    }
    let workshop = space::workshop(&bases, super::NEEDED_BYTES)?;
    let made = workshop.path().join("rootfs");
    fill(
        &options.source,
        kind,
        options.tag.as_deref(),
        &made,
        workshop.path(),
        options.progress,
    )?;
    for wanted in ["bin/sh", "etc"] {
        // `bin` may be a link, also one from the root: only that it is there counts.
        let top = wanted.split('/').next().unwrap_or(wanted);
        if fs::symlink_metadata(made.join(top)).is_err() {
            return Err(ImportError::NotASystem {
                path: options.source,
                missing: wanted,
            });
        }
    }
    tidy::tidy(&made).map_err(at("tidying up the base"))?;
    (options.progress)(Progress::Phase {
        name: "copying to the cache".into(),
        percent: 80,
    });
    let release = release::read(&made);
    let facts = place::Facts {
        name: options.name,
        os_name: release.os_name,
        platform: release.platform,
        agent: options.agent,
    };
    let base =
        place::place(facts, &made, &bases).map_err(at(format!("writing {}", target.display())))?;
    let reused = old.is_some_and(|old| old.digest == base.digest);
    Ok(Made { base, reused })
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Archive,
    Layout,
    LayoutArchive,
}

impl Kind {
    fn of(source: &Path) -> io::Result<Self> {
        if fs::metadata(source)?.is_dir() {
            return Ok(if source.join("oci-layout").exists() {
                Self::Layout
            } else {
                Self::Folder
            });
        }
        // A file that is no archive is one to complain about when it is unpacked.
        Ok(match unpack::holds(source, "oci-layout") {
            Ok(true) => Self::LayoutArchive,
            Ok(false) | Err(_) => Self::Archive,
        })
    }
}

fn fill(
    source: &Path,
    kind: Kind,
    tag: Option<&str>,
    made: &Path,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImportError> {
    progress(Progress::Phase {
        name: format!("reading {}", source.display()),
        percent: 5,
    });
    let unpacked = |archive: &Path, root: &Path| {
        make_root(root)?;
        unpack::unpack(unpack::open(archive)?, root, false)
    };
    let broken = |source: io::Error, path: &Path| ImportError::Archive {
        path: path.to_owned(),
        source,
    };
    let folder = match kind {
        Kind::Folder => {
            return trees::duplicate(source, made).map_err(|error| ImportError::Source {
                path: source.to_owned(),
                source: error,
            });
        }
        Kind::Archive => return unpacked(source, made).map_err(|error| broken(error, source)),
        Kind::Layout => source.to_owned(),
        Kind::LayoutArchive => {
            let folder = workshop.join("layout");
            unpacked(source, &folder).map_err(|error| broken(error, source))?;
            folder
        }
    };
    make_root(made).map_err(at("making the base's root"))?;
    let mut layer = |number: usize, all: usize| {
        progress(Progress::Phase {
            name: format!("unpacking layer {number} of {all}"),
            percent: 10,
        });
    };
    Layout::new(&folder).unpack(tag, architecture(), made, &mut layer)
}

/// `/` can be entered by everybody, whatever the umask.
fn make_root(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// As OCI names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
