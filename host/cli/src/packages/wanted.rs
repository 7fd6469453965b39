//! The packages that a template uses, resolved as its lock pins them.
//!
//! What is wrong with one of them is told where the template names it, with all other
//! mistakes; only what is nobody's mistake, such as a registry that is down, ends it here.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use darkroom_engine::components::{Package as Shelved, Packages, ShelfError, written};
use darkroom_registry::cache::Cache;
use darkroom_registry::name::PackageName;
use darkroom_registry::resolve::{Locked, Mode, Package, ResolveError, Resolver, Wanted};
use darkroom_template::lock::{Lock, LockedComponent, Pinning};
use darkroom_template::{BuildItem, ResolveWith, TestItem, UsesRef, draft, parse};

use super::{failure, sources};
use crate::args::TemplateArgs;
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;

/// Which packages may be used.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct Pinned {
    /// Refuse components that darkroom.lock doesn't pin, instead of adding them to it
    #[arg(long)]
    locked: bool,
    /// Ask no registry: use the packages that are in the cache
    #[arg(long)]
    offline: bool,
}

impl Pinned {
    /// Where packages may come from.
    pub(crate) fn mode(self) -> Mode {
        match (self.offline, self.locked) {
            (true, _) => Mode::Offline,
            (false, true) => Mode::Locked,
            (false, false) => Mode::Normal,
        }
    }

    /// What is done with components that the lock doesn't have.
    pub(crate) fn pinning(self) -> Pinning {
        if self.locked {
            Pinning::Locked
        } else {
            Pinning::Add
        }
    }
}

/// What is resolved, and how.
pub(crate) struct Request<'a> {
    pub(crate) file: &'a TemplateFile,
    pub(crate) template: &'a TemplateArgs,
    pub(crate) settings: &'a Settings,
    pub(crate) config: &'a Config,
    pub(crate) roots: &'a Roots,
    pub(crate) lock: &'a Lock,
    pub(crate) mode: Mode,
    /// For an update: the packages whose lock entries don't count, all if it is empty.
    pub(crate) moves: Option<&'a [String]>,
    /// What stands for the user's cache.
    pub(crate) cache: Option<Arc<Cache>>,
}

/// The packages of a template.
#[derive(Default)]
pub(crate) struct Resolved {
    /// For the engine, by reference.
    pub(crate) shelf: Packages,
    /// Those that may be used, each once.
    pub(crate) taken: Vec<Package>,
}

/// A package that a template names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    written: String,
    name: String,
    requirement: Option<String>,
}

/// Resolves the packages of a template, and tells what was pulled.
pub(crate) async fn resolve(
    request: &Request<'_>,
    terminal: &Terminal,
) -> Result<Resolved, Failure> {
    let mut resolved = Resolved::default();
    let mut left = named(request);
    left.retain(|named| match over(request, named, terminal) {
        Some(shelved) => {
            resolved.shelf.insert(named.written.clone(), shelved);
            false
        }
        None => true,
    });
    if left.is_empty() {
        return Ok(resolved);
    }
    let cache = match &request.cache {
        Some(cache) => Arc::clone(cache),
        None => sources::cache(request.roots)?,
    };
    let client = sources::client(request.config)?;
    let resolver = Resolver::new(client, cache, sources::policy(request.config)?);
    let wanted: Vec<(Named, Wanted)> = left
        .into_iter()
        .map(|named| Ok((named.clone(), wanted(request, &named)?)))
        .collect::<Result<_, Failure>>()?;
    if request.mode != Mode::Offline && wanted.iter().any(|(_, one)| one.locked.is_none()) {
        terminal.note("Resolving packages");
    }
    let all: Vec<_> = wanted.iter().map(|(_, wanted)| wanted.clone()).collect();
    let answers = resolver.resolve_all(&all, request.mode).await;
    for ((named, _), answer) in wanted.into_iter().zip(answers) {
        let shelved = match answer {
            Ok(package) => {
                tell(&package, terminal);
                let shelved = shelved(&package);
                if !resolved.taken.contains(&package) {
                    resolved.taken.push(package);
                }
                Ok(shelved)
            }
            Err(error) => Err(mistake(error)?),
        };
        resolved.shelf.insert(named.written, shelved);
    }
    Ok(resolved)
}

/// The packages that the template names, each reference once.
fn named(request: &Request<'_>) -> Vec<Named> {
    let (text, name) = (&request.file.text, &request.file.name);
    let with = ResolveWith {
        cloud: request.settings.cloud,
        parameters: &request.template.parameters,
        region: request.settings.region.as_deref(),
    };
    let used: Vec<UsesRef> = match parse(text, name).and_then(|template| template.resolve(with)) {
        Ok(resolved) => {
            let build = resolved.build.into_iter().filter_map(|item| match item {
                BuildItem::Uses(uses) => Some(uses.reference),
                _ => None,
            });
            let test = resolved.test.into_iter().filter_map(|item| match item {
                TestItem::Uses(uses) => Some(uses.reference),
                TestItem::Run(_) => None,
            });
            build.chain(test).collect()
        }
        Err(_) => draft(text, name).map_or_else(Vec::new, |draft| {
            let uses = draft.build.into_iter().chain(draft.test);
            uses.map(|uses| uses.reference).collect()
        }),
    };
    // What ships with Darkroom is used as shipped, unless the user has a place for it.
    let ours = |name: &str| {
        let mut places = request.config.registries_of_user();
        places.any(|(key, _)| key == "darkroom" || key == format!("darkroom:{name}"))
    };
    let mut all: Vec<Named> = used
        .iter()
        .filter_map(|reference| {
            let (name, requirement) = match reference {
                UsesRef::Package { name, requirement } => (name.clone(), requirement.clone()),
                UsesRef::System { name, version } if ours(name) => {
                    (format!("darkroom:{name}"), version.clone())
                }
                UsesRef::System { .. } | UsesRef::Path(_) => return None,
            };
            let written = written(reference);
            Some(Named {
                written,
                name,
                requirement,
            })
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The file that stands for a package in this project.
fn over(
    request: &Request<'_>,
    named: &Named,
    terminal: &Terminal,
) -> Option<Result<Shelved, ShelfError>> {
    let (_, path) = request
        .config
        .overrides()
        .find(|(name, _)| *name == named.name)?;
    let file = request.file.folder.join(Path::new(path));
    Some(match std::fs::read(&file) {
        Ok(bytes) => {
            terminal.note(format!(
                "{} is {path} ([override] in darkroom.toml); it is not pinned",
                named.name
            ));
            Ok(Shelved {
                bytes,
                pinned: None,
            })
        }
        Err(error) => Err(ShelfError {
            message: format!(
                "{path}, which stands for {}, can't be read: {error}",
                named.name
            ),
            hint: Some("build it, or remove the line from [override] in darkroom.toml".into()),
        }),
    })
}

fn wanted(request: &Request<'_>, named: &Named) -> Result<Wanted, Failure> {
    let moves = request
        .moves
        .is_some_and(|names| names.is_empty() || names.contains(&named.name));
    let requirement = named.requirement.as_deref();
    let pinned = request.lock.find(&named.name, requirement);
    let locked = pinned
        .filter(|_| !moves)
        .map(|pinned| {
            Ok(Locked {
                version: pinned.version.parse()?,
                digest: pinned.digest.parse()?,
                located: pinned.registry.as_deref().and_then(|at| at.parse().ok()),
                signer: pinned.signer.as_deref().and_then(|id| id.parse().ok()),
            })
        })
        .transpose()
        .map_err(|error: Box<dyn std::error::Error + Send + Sync>| Failure::user(error))?;
    let requirement = requirement.map(str::parse).transpose();
    Ok(Wanted {
        name: named.name.parse::<PackageName>()?,
        requirement: requirement.map_err(Failure::user)?,
        locked,
    })
}

/// One line for what was pulled, and whatever should be known.
fn tell(package: &Package, terminal: &Terminal) {
    let called = format!("{}@{}", package.name, package.version);
    if package.pulled {
        let signed = match &package.signer {
            Some(signer) => format!(", signed by {}", signer.name),
            None => String::new(),
        };
        terminal.note(format!("Pulled {called} from {}{signed}", package.located));
    }
    for warning in &package.warnings {
        terminal.note(format!("warning: {warning}"));
    }
}

fn shelved(package: &Package) -> Shelved {
    Shelved {
        bytes: package.contents.component.clone(),
        pinned: Some(LockedComponent {
            name: package.name.to_string(),
            version: package.version.to_string(),
            digest: package.digest.to_string(),
            registry: Some(package.located.to_string()),
            signer: package.signer.as_ref().map(|signer| signer.id.to_string()),
        }),
    }
}

/// What is told at the line of the package; an error is nobody's mistake.
fn mistake(error: ResolveError) -> Result<ShelfError, Failure> {
    if failure::of_resolving(&error).is_some() {
        return Err(error.into());
    }
    let hint = error.hint();
    let failure = Failure::new(Kind::User, error);
    Ok(ShelfError {
        message: failure.chain().join(": "),
        hint: Some(hint),
    })
}
