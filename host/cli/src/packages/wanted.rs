//! The packages that a template uses, resolved as its lock pins them.
//!
//! What is wrong with one of them is told where the template names it, with all other
//! mistakes; only what is nobody's mistake, such as a registry that is down, ends it here.

use std::sync::Arc;

use clap::Args;
use darkroom_engine::components::{Package as Shelved, Packages, ShelfError, written};
use darkroom_registry::cache::Cache;
use darkroom_registry::name::PackageName;
use darkroom_registry::resolve::{Locked, Mode, Package, ResolveError, Resolver, Wanted};
use darkroom_template::lock::{Lock, LockedComponent, Pinning};
use darkroom_template::{BuildItem, ResolveWith, TestItem, UsesRef, draft, parse};

use super::{failure, shipped, sources, stand_in};
use crate::args::TemplateArgs;
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
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

    /// Whether nothing may be used but what the lock pins.
    pub(crate) fn is_locked(self) -> bool {
        self.locked
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
    /// Whether all must be as the lock says: `--locked`.
    pub(crate) locked: bool,
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
    /// Those for which a file stands, and the file.
    pub(crate) over: Vec<(String, String)>,
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
    let mut left = Vec::new();
    for named in named(request) {
        let Some(path) = stand_in::of(request.config, &named.name) else {
            left.push(named);
            continue;
        };
        let (name, path) = (named.name, path.to_owned());
        let shelved = if request.locked {
            Err(stand_in::refused(&name, &path))
        } else {
            terminal.note(format!(
                "{name} is {path} ([override] in darkroom.toml); it is not pinned"
            ));
            stand_in::read(&request.file.folder, &name, &path)
        };
        resolved.shelf.insert(named.written, shelved);
        resolved.over.push((name, path));
    }
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
    for ((named, wanted), answer) in wanted.into_iter().zip(answers) {
        let shelved = match answer {
            Ok(package) => {
                let shelved = match other_signer(&package, wanted.locked.as_ref()) {
                    Some(refused) if request.locked => Err(refused),
                    _ => {
                        tell(&package, terminal);
                        Ok(shelved(&package))
                    }
                };
                if shelved.is_ok() && !resolved.taken.contains(&package) {
                    resolved.taken.push(package);
                }
                shelved
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
    let folder = Shipped::Components.find().ok();
    let ships = |name: &str, version: Option<&str>| {
        let full = shipped::full(name);
        let pinned = request.lock.find(&full, version);
        let pinned = pinned.filter(|_| !moves(request, &full));
        !shipped::is_package(name, pinned, request.config, folder.as_deref())
    };
    let mut all: Vec<Named> = used
        .iter()
        .filter_map(|reference| {
            let (name, requirement) = match reference {
                UsesRef::Package { name, requirement } => (name.clone(), requirement.clone()),
                UsesRef::System { name, version } if !ships(name, version.as_deref()) => {
                    (shipped::full(name), version.clone())
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

/// Whether the lock's entry of a package doesn't count.
fn moves(request: &Request<'_>, name: &str) -> bool {
    request
        .moves
        .is_some_and(|names| names.is_empty() || names.iter().any(|one| one == name))
}

fn wanted(request: &Request<'_>, named: &Named) -> Result<Wanted, Failure> {
    let moves = moves(request, &named.name);
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

/// What is said where all must be as the lock says, and a package that is pinned isn't
/// signed by whom the lock knows.
fn other_signer(package: &Package, locked: Option<&Locked>) -> Option<ShelfError> {
    let before = locked?.signer?;
    let now = package.signer.as_ref().map(|signer| signer.id);
    let said = match now {
        Some(now) if now == before => return None,
        Some(now) => format!("by {now}"),
        None => "by nobody whom trust.yaml names for it".to_owned(),
    };
    let (name, version) = (&package.name, &package.version);
    Some(ShelfError {
        message: format!("{name}@{version} is signed {said}; darkroom.lock knows it from {before}"),
        hint: Some(format!(
            "let trust.yaml name that key for it, or if this is right, run `darkroom update {name}`"
        )),
    })
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
