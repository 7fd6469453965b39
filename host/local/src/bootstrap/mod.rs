//! Makes base root file systems: what local images begin from.
//!
//! A base is made by mmdebstrap from the distribution's own packages, once, and kept
//! in `cache/bases/<name>/` (`rootfs/` and `base.json`). It is made under another
//! name on a file system in memory where there is room (dpkg's syncs are most of the
//! time on a disk), copied, synced and renamed, so that a base is whole or absent.
//!
//! Used by the CLI's `local bootstrap` and by [`crate::sandbox`], which offers what
//! is there. It must not print: it tells its caller how far it is.

mod distribution;
pub mod import;
mod keyring;
mod mmdebstrap;
mod place;
mod sources;
mod space;
mod tidy;

pub use distribution::{DEBIAN_12, DISTRIBUTIONS, Distribution, distribution};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::driver::{Agent, Base};
use crate::sandbox::folder::{make_private, read_json};
use crate::sandbox::probe;

/// What making a base takes on disk, generously: 1 GiB at its place, and as much
/// where it is made.
pub const NEEDED_BYTES: u64 = 1 << 30;

/// Where mmdebstrap and what it starts are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How far a bootstrap is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another part of the work has begun.
    Phase {
        /// What it is, in a few words.
        name: String,
        /// How much of the time has passed as a rule.
        percent: u8,
    },
    /// Something that mmdebstrap said.
    Line(String),
}

/// What to make, and where.
pub struct Options<'a> {
    /// The base's name, one of [`DISTRIBUTIONS`].
    pub name: String,
    /// The cache's folder.
    pub cache: PathBuf,
    /// A mirror instead of the host's own sources.
    pub mirror: Option<String>,
    /// What must be free on a disk; [`NEEDED_BYTES`] but in tests.
    pub needed_bytes: u64,
    /// Told how far it is.
    pub progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Options<'a> {
    /// Debian 12 with the usual sources.
    pub fn new(cache: impl Into<PathBuf>, progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            name: DEBIAN_12.into(),
            cache: cache.into(),
            mirror: None,
            needed_bytes: NEEDED_BYTES,
            progress,
        }
    }
}

/// A base, and whether it was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The base.
    pub base: Base,
    /// Nothing had to be done.
    pub reused: bool,
}

/// Why there is no base.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Not a base that can be made.
    #[error("there is no base '{name}'")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// Only root can make and run one.
    #[error("a base root file system can only be made as root in this version")]
    NoRoot,
    /// Instances could not run.
    #[error("user namespaces can't be made here")]
    NoUserNamespaces {
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// The tool is missing.
    #[error("the program mmdebstrap is missing")]
    NoMmdebstrap,
    /// The archive can't be trusted without its keys.
    #[error("the keys of the archive are missing: {reason}")]
    NoKeyring {
        /// The package that brings them.
        package: &'static str,
        /// Why they could not be had otherwise.
        reason: String,
    },
    /// The disk is too full.
    #[error(
        "there is no room for a base in {}: {} MiB are needed, {} MiB are free",
        place.display(), needed >> 20, free >> 20
    )]
    NoSpace {
        /// The folder whose file system is too full.
        place: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// mmdebstrap gave up.
    #[error("mmdebstrap failed ({status}); it said:\n{said}")]
    Failed {
        /// How it ended.
        status: String,
        /// Its last lines.
        said: String,
    },
    /// A file could not be read or written.
    #[error("{operation} failed")]
    Io {
        /// What was being done.
        operation: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

impl BootstrapError {
    /// What the person at this machine can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(format!(
                "there are {}; `darkroom local import` takes any other distribution",
                distribution::names()
            )),
            Self::NoKeyring { package, .. } => Some(format!("apt-get install {package}")),
            Self::NoRoot => Some(probe::no_root().hint),
            Self::NoUserNamespaces { source } => Some(probe::no_namespaces(source).hint),
            Self::NoMmdebstrap => Some("apt-get install mmdebstrap".into()),
            Self::NoSpace { .. } => Some("free some space, or choose another cache folder".into()),
            Self::Failed { .. } => {
                Some("is there a way to the archive? Another one can be given as a mirror".into())
            }
            Self::Io { .. } => None,
        }
    }
}

fn at(operation: impl Into<String>) -> impl FnOnce(io::Error) -> BootstrapError {
    let operation = operation.into();
    move |source| BootstrapError::Io { operation, source }
}

/// The bases that are there.
///
/// # Errors
/// When the folder can't be read.
pub fn bases(cache: &Path) -> io::Result<Vec<Base>> {
    let folder = cache.join("bases");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut bases = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let file = folder.join(&name).join("base.json");
        if !name.to_string_lossy().starts_with('.') && file.exists() {
            bases.push(read_json::<Base>(&file)?);
        }
    }
    bases.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(bases)
}

/// The root folder of a base.
pub fn tree(cache: &Path, name: &str) -> PathBuf {
    cache.join("bases").join(name).join("rootfs")
}

/// Makes a base, unless it is there. Two at once: the second waits for the first.
///
/// # Errors
/// What is missing, or what failed.
pub fn bootstrap(options: Options<'_>) -> Result<Made, BootstrapError> {
    let Some(distribution) = distribution(&options.name) else {
        return Err(BootstrapError::Unknown { name: options.name });
    };
    let bases = options.cache.join("bases");
    make_private(&bases).map_err(at(format!("making {}", bases.display())))?;
    let _one = lock(&bases).map_err(at("locking the cache"))?;
    let place = bases.join(&options.name);
    let file = place.join("base.json");
    if file.exists() {
        let base = read_json(&file).map_err(at("reading the cached base"))?;
        return Ok(Made { base, reused: true });
    }
    check_machine()?;
    let base = make(distribution, options, &bases, &place)?;
    Ok(Made {
        base,
        reused: false,
    })
}

fn lock(bases: &Path) -> io::Result<fs::File> {
    let file = fs::File::create(bases.join(".lock"))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Whether what is made could be run here.
fn check_namespaces() -> Result<(), BootstrapError> {
    if !rustix::process::geteuid().is_root() {
        return Err(BootstrapError::NoRoot);
    }
    probe::namespaces().map_err(|source| BootstrapError::NoUserNamespaces { source })
}

fn check_machine() -> Result<(), BootstrapError> {
    check_namespaces()?;
    check_program()
}

/// Whether the program that makes bases is there.
///
/// # Errors
/// [`BootstrapError::NoMmdebstrap`].
pub fn check_program() -> Result<(), BootstrapError> {
    let exists = |folder: &str| Path::new(folder).join("mmdebstrap").exists();
    if !PATH.split(':').any(exists) {
        return Err(BootstrapError::NoMmdebstrap);
    }
    Ok(())
}

fn make(
    distribution: &Distribution,
    options: Options<'_>,
    bases: &Path,
    place: &Path,
) -> Result<Base, BootstrapError> {
    let workshop = space::workshop(bases, options.needed_bytes)?;
    let made = workshop.path().join("rootfs");
    let progress = options.progress;
    mmdebstrap::run(
        distribution,
        &made,
        workshop.path(),
        options.mirror.as_deref(),
        progress,
    )?;
    let phase = |progress: &mut dyn FnMut(Progress), name: &str, percent| {
        progress(Progress::Phase {
            name: name.into(),
            percent,
        });
    };
    phase(progress, "tidying up", 85);
    tidy::tidy(&made).map_err(at("tidying up the base"))?;
    phase(progress, "copying to the cache", 88);
    let facts = place::Facts {
        name: options.name,
        os_name: distribution.os_name.into(),
        platform: distribution.platform.into(),
        agent: Agent::Present,
    };
    let base =
        place::place(facts, &made, bases).map_err(at(format!("writing {}", place.display())))?;
    phase(progress, "done", 100);
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::folder::write_json;
    use jiff::Timestamp;

    #[test]
    fn an_unknown_base_says_which_there_is() {
        let place = tempfile::tempdir().unwrap();
        let mut silent = |_| {};
        let mut options = Options::new(place.path(), &mut silent);
        options.name = "debian-99".into();
        let error = bootstrap(options).unwrap_err();
        assert!(error.hint().unwrap().contains(DEBIAN_12), "{error}");
    }

    #[test]
    fn a_full_disk_is_an_error_with_numbers() {
        let place = tempfile::tempdir().unwrap();
        let error = space::workshop(place.path(), u64::MAX).unwrap_err();
        let BootstrapError::NoSpace { needed, free, .. } = &error else {
            panic!("{error}");
        };
        assert!(needed > free);
        assert!(error.to_string().contains("MiB are free"), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_cached_base_is_used_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("bases").join(DEBIAN_12);
        make_private(&folder).unwrap();
        let base = Base {
            name: DEBIAN_12.into(),
            os_name: "Debian 12".into(),
            platform: "Debian".into(),
            architecture: place::architecture().into(),
            digest: "abc".into(),
            size_bytes: 1,
            agent: Agent::Present,
            made_at: Timestamp::UNIX_EPOCH,
        };
        write_json(&folder.join("base.json"), &base).unwrap();
        let mut told = 0;
        let mut count = |_| told += 1;
        let made = bootstrap(Options::new(place.path(), &mut count)).unwrap();
        assert_eq!((made.reused, &made.base), (true, &base));
        assert_eq!(told, 0);
        assert_eq!(bases(place.path()).unwrap(), [base]);
    }
}
