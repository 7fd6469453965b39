//! Resolving: from a name, a requirement and perhaps a lock's entry to the bytes of a
//! package that may be used.
//!
//! ```text
//! locked?  ── yes ──> cache ── there ──> judge ──> package
//!    │                  │ not there, altered, or not signed then
//!    no                 v
//!    │            registry, the locked version ── other bytes: moved
//!    v                  │
//! newest version that   v
//! will do, not yanked ──> pull + signatures ──> judge ──> cache ──> package
//! ```
//!
//! The policy judges every package each time, from wherever it comes, and so is what the
//! manifest says about its name and version compared: a row of the cache may come from a
//! bundle, and is its sender's claim. What is refused is not kept. A lock's digest is that
//! of the file, so a package may come from a mirror: the configured place is asked first,
//! then the one that the lock names. What isn't locked comes from the configured place
//! alone, also out of the cache: a name means another package in another registry.
//!
//! The engine gets what this returns; locks and templates are read and written by
//! others. Whether a file is a component is judged by who loads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use semver::Version;

use crate::cache::{self, Cache, CacheError, Contents, Found, Key};
use crate::client::{Client, Fault, RegistryError};
use crate::config::Source;
use crate::config::well_known::Base;
use crate::digest::Digest;
use crate::layout::{self, Layout, LayoutError};
use crate::name::{Located, OciReference, PackageName};
use crate::pull::{Inspected, PullError};
use crate::referrers::{Attachment, Referrer};
use crate::requirement::{Requirement, newest};
use crate::sign::{KeyId, Signature};
use crate::trust::{Candidate, Policy, Refusal, Signer, Verdict};
use crate::versions::NoVersion;

/// Packages that are resolved at once.
const AT_ONCE: usize = 8;

/// Where packages may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is locked from the cache or its registry; what isn't, the newest.
    Normal,
    /// The same, but what isn't locked is refused (`--locked`).
    Locked,
    /// The cache and nothing else (`--offline`); what isn't locked, the newest there.
    Offline,
}

/// A package that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: PackageName,
    /// Which versions will do.
    pub requirement: Option<Requirement>,
    /// The lock's entry for it, if there is one that will do.
    pub locked: Option<Locked>,
}

/// What a lock says of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Its version.
    pub version: Version,
    /// The digest of its file.
    pub digest: Digest,
    /// Where it came from.
    pub located: Option<Located>,
    /// Who had signed it then, as far as that was verified.
    pub signer: Option<KeyId>,
}

/// A package that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// Where it came from, at first; a lock's `registry`.
    pub located: Located,
    /// The digest of its file; a lock's `digest`.
    pub digest: Digest,
    /// The digest of its manifest, by which it is signed.
    pub manifest_digest: Digest,
    /// Whose signature the policy trusts; its `id` is a lock's `signer`.
    pub signer: Option<Signer>,
    /// Its manifest, attachments and file.
    pub contents: Contents,
    /// What its manifest says about it.
    pub annotations: BTreeMap<String, String>,
    /// Whether its file came from a registry just now.
    pub pulled: bool,
    /// What should be told, although the package may be used.
    pub warnings: Vec<String>,
}

/// Why a package isn't had.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It can't be read, or is no package.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// No version will do.
    #[error(transparent)]
    NoVersion(#[from] Box<NoVersion>),
    /// It isn't locked, and nothing may be added.
    #[error("{name} is not in darkroom.lock")]
    NotLocked {
        /// Its name.
        name: PackageName,
    },
    /// It isn't in the cache, and nothing else may be used.
    #[error("{name}{} is not in the cache", version.as_ref().map(|version| format!("@{version}")).unwrap_or_default())]
    NotCached {
        /// Its name.
        name: PackageName,
        /// The version that is locked, or the requirement.
        version: Option<String>,
    },
    /// Nothing is locked, and only a host that may not be asked says where the package is.
    #[error("where {host} keeps {name} is not known offline")]
    Unplaced {
        /// Its name.
        name: PackageName,
        /// The host with the `.well-known` file.
        host: String,
    },
    /// The registry has other bytes under the version than were locked.
    #[error(transparent)]
    Moved(Box<Moved>),
    /// It says that it is another package.
    #[error("what {located} has for {name} says that it is {found}")]
    OtherName {
        /// Its name.
        name: PackageName,
        /// Where.
        located: Located,
        /// What it says.
        found: String,
    },
    /// The policy.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// A version whose bytes aren't those that were locked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{located} has other bytes for {name}@{version} than darkroom.lock pins ({found}, not {locked})"
)]
pub struct Moved {
    /// Its name.
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// Where.
    pub located: Located,
    /// The digest that is locked.
    pub locked: Digest,
    /// The digest that is there.
    pub found: Digest,
}

impl ResolveError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Pull(error) => error.hint(),
            Self::NoVersion(error) => error.hint(),
            Self::NotLocked { .. } => {
                "build once without `--locked`, and keep darkroom.lock with the template".into()
            }
            Self::NotCached { .. } => "run `darkroom fetch` with a connection".into(),
            Self::Unplaced { .. } => {
                "build once with a connection, so that darkroom.lock pins it, \
                                      or name its registry in [registries]"
                    .into()
            }
            Self::Moved(moved) => format!(
                "somebody has published it again; ask who publishes it, and if it is right, run \
                 `darkroom update {}`",
                moved.name
            ),
            Self::OtherName { name, .. } => {
                format!(
                    "is the registry of the namespace `{}` right?",
                    name.namespace()
                )
            }
            Self::Refused(refusal) => refusal.hint(),
            Self::Cache(error) => error.hint().into(),
        }
    }
}

/// Resolves packages. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    client: Client,
    cache: Arc<Cache>,
    policy: Arc<Policy>,
}

/// A version of a package at its place.
struct Chosen<'a> {
    name: &'a PackageName,
    version: &'a Version,
    located: &'a Located,
}

impl Chosen<'_> {
    fn key(&self) -> Key {
        Key {
            registry: self.located.to_string(),
            package: self.name.to_string(),
            version: self.version.to_string(),
        }
    }

    fn reference(&self) -> OciReference {
        self.located.tagged(layout::tag(self.version))
    }

    /// Whether a manifest says of itself that it is this one, or nothing.
    fn is(&self, layout: &Layout) -> Result<(), ResolveError> {
        if let Some(found) = layout.other_name(self.name) {
            return Err(ResolveError::OtherName {
                name: self.name.clone(),
                located: self.located.clone(),
                found,
            });
        }
        match layout.other_version(self.version) {
            None => Ok(()),
            Some(found) => Err(PullError::Layout {
                reference: Box::new(self.reference()),
                source: LayoutError::Version {
                    found,
                    expected: self.version.to_string(),
                },
            }
            .into()),
        }
    }
}

impl Resolver {
    /// Resolves with these.
    pub fn new(client: Client, cache: Arc<Cache>, policy: Arc<Policy>) -> Self {
        Self {
            client,
            cache,
            policy,
        }
    }

    /// The client, for verbs that don't resolve.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Resolves several packages, some at once; the answers are in the same order.
    pub async fn resolve_all(
        &self,
        wanted: &[Wanted],
        mode: Mode,
    ) -> Vec<Result<Package, ResolveError>> {
        let all = stream::iter(wanted).map(|one| self.resolve(one, mode));
        all.buffered(AT_ONCE).collect().await
    }

    /// Resolves a package.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, wanted: &Wanted, mode: Mode) -> Result<Package, ResolveError> {
        match (&wanted.locked, mode) {
            (Some(locked), _) => self.locked(&wanted.name, locked, mode).await,
            (None, Mode::Normal) => self.newest(wanted).await,
            (None, Mode::Offline) => self.newest_kept(wanted).await,
            (None, Mode::Locked) => Err(ResolveError::NotLocked {
                name: wanted.name.clone(),
            }),
        }
    }

    /// The newest version that will do, out of the cache if it is there.
    async fn newest(&self, wanted: &Wanted) -> Result<Package, ResolveError> {
        let name = &wanted.name;
        let located = self.client.locate(name).await?;
        let versions = self.client.versions(&located).await?;
        let mut left = versions.clone();
        let mut yanked = Vec::new();
        while let Some(version) = newest(wanted.requirement.as_ref(), &left).cloned() {
            let chosen = Chosen {
                name,
                version: &version,
                located: &located,
            };
            let inspected = self.client.inspect(&chosen.reference()).await?;
            let subject = inspected.manifest.digest;
            let referrers = self.client.referrers(&located, &subject).await?;
            if self.client.yanked(&located, &referrers).await?.is_none() {
                return match self.kept_as(&chosen, &inspected).await {
                    Some(package) => Ok(package),
                    None => self.take(&chosen, inspected, Some(referrers)).await,
                };
            }
            left.retain(|one| *one != version);
            yanked.push(version);
        }
        Err(Box::new(NoVersion {
            name: name.clone(),
            located,
            requirement: wanted.requirement.clone(),
            versions,
            yanked,
        })
        .into())
    }

    /// What was looked at, out of the cache: only if nothing is to be said against it. A
    /// signature may have been attached since, and a cache that can't be read is no reason
    /// not to have a package.
    async fn kept_as(&self, chosen: &Chosen<'_>, inspected: &Inspected) -> Option<Package> {
        let component = inspected.layout.component.digest;
        let kept = self.kept(chosen, Some(component)).await.ok().flatten()?;
        let same = kept.manifest_digest == inspected.manifest.digest;
        (same && kept.warnings.is_empty()).then_some(kept)
    }

    async fn locked(
        &self,
        name: &PackageName,
        locked: &Locked,
        mode: Mode,
    ) -> Result<Package, ResolveError> {
        let mut package = self.pinned(name, locked, mode).await?;
        package.warnings.extend(lost_signer(&package, locked));
        Ok(package)
    }

    async fn pinned(
        &self,
        name: &PackageName,
        locked: &Locked,
        mode: Mode,
    ) -> Result<Package, ResolveError> {
        // Without asking anybody: what the lock names, and what is configured.
        let fixed = match self.client.registries().source(name) {
            Ok(Source::Fixed(base)) => Some(base.locate(name)),
            Ok(Source::WellKnown(_)) | Err(_) => None,
        };
        let mut refused = None;
        for located in locked.located.iter().chain(&fixed) {
            let chosen = Chosen {
                name,
                version: &locked.version,
                located,
            };
            match self.kept(&chosen, Some(locked.digest)).await {
                // Signed since, perhaps; or a row that says what isn't so, and will be
                // replaced by the one of what is pulled.
                Err(error) if is_of_the_row(&error) => refused = Some(error),
                Ok(None) => {}
                other => {
                    return other
                        .transpose()
                        .unwrap_or_else(|| Err(not_cached(name, locked)));
                }
            }
        }
        if mode == Mode::Offline {
            return Err(refused.unwrap_or_else(|| not_cached(name, locked)));
        }
        let mut failure = None;
        let configured = match self.client.locate(name).await {
            Ok(located) => Some(located),
            Err(error) if locked.located.is_some() => {
                failure = Some(error.into());
                None
            }
            Err(error) => return Err(error.into()),
        };
        let other = locked
            .located
            .iter()
            .filter(|one| configured.as_ref() != Some(*one));
        for located in configured.iter().chain(other) {
            match self.pull_locked(name, locked, located).await {
                Err(error) if is_elsewhere(&error) => drop(failure.get_or_insert(error)),
                done => return done,
            }
        }
        Err(failure.unwrap_or_else(|| not_cached(name, locked)))
    }

    async fn pull_locked(
        &self,
        name: &PackageName,
        locked: &Locked,
        located: &Located,
    ) -> Result<Package, ResolveError> {
        let chosen = Chosen {
            name,
            version: &locked.version,
            located,
        };
        let inspected = self.client.inspect(&chosen.reference()).await?;
        let found = inspected.layout.component.digest;
        if found != locked.digest {
            return Err(ResolveError::Moved(Box::new(Moved {
                name: name.clone(),
                version: locked.version.clone(),
                located: located.clone(),
                locked: locked.digest,
                found,
            })));
        }
        self.take(&chosen, inspected, None).await
    }

    /// The newest version in the cache that will do, of those that came from where the
    /// package is now.
    async fn newest_kept(&self, wanted: &Wanted) -> Result<Package, ResolveError> {
        let name = wanted.name.to_string();
        let (place, host) = self.offline_place(&wanted.name)?;
        let cache = Arc::clone(&self.cache);
        let entries = blocking(move || cache.list()).await?;
        let (mine, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .filter(|entry| entry.key.package == name)
            .partition(|entry| entry.key.registry == place.to_string());
        if let Some(host) = host
            && mine.is_empty()
            && !others.is_empty()
        {
            let name = wanted.name.clone();
            return Err(ResolveError::Unplaced { name, host });
        }
        let mut kept: Vec<(Version, cache::Entry)> = mine
            .into_iter()
            .filter_map(|entry| Some((entry.key.version.parse().ok()?, entry)))
            .collect();
        kept.sort_by(|one, other| one.0.cmp(&other.0));
        let versions: Vec<Version> = kept.iter().map(|(version, _)| version.clone()).collect();
        let nothing = || ResolveError::NotCached {
            name: wanted.name.clone(),
            version: wanted.requirement.as_ref().map(ToString::to_string),
        };
        let version = newest(wanted.requirement.as_ref(), &versions).ok_or_else(nothing)?;
        let entry = kept.iter().rev().find(|(one, _)| one == version);
        let entry = entry.map(|(_, entry)| entry).ok_or_else(nothing)?;
        let chosen = Chosen {
            name: &wanted.name,
            version,
            located: &place,
        };
        let kept = self.kept(&chosen, Some(entry.component)).await?;
        kept.ok_or_else(nothing)
    }

    /// Where a package is without asking anybody. For one whose host says it, the host
    /// itself, which is right where it has no such file, and its name.
    fn offline_place(&self, name: &PackageName) -> Result<(Located, Option<String>), ResolveError> {
        match self.client.registries().source(name) {
            Ok(Source::Fixed(base)) => Ok((base.locate(name), None)),
            Ok(Source::WellKnown(host)) => {
                let place = Base::of_host(host.clone()).locate(name);
                Ok((place, Some(host)))
            }
            Err(error) => Err(RegistryError {
                doing: "find the registry of",
                subject: name.to_string(),
                registry: String::new(),
                fault: Box::new(Fault::Nowhere(error)),
            }
            .into()),
        }
    }

    /// From the cache, judged; `None` if it isn't there, or was altered.
    async fn kept(
        &self,
        chosen: &Chosen<'_>,
        component: Option<Digest>,
    ) -> Result<Option<Package>, ResolveError> {
        let key = chosen.key();
        let cache = Arc::clone(&self.cache);
        let found = blocking(move || cache.find(&key, component.as_ref())).await?;
        let contents = match found {
            Found::Kept(contents) => *contents,
            Found::Missing => return Ok(None),
            Found::Damaged { digest } => {
                let package = chosen.name.to_string();
                tracing::warn!(%digest, package, "a file of the cache was altered and is removed");
                return Ok(None);
            }
        };
        // One that was put there by another hand.
        let Ok(layout) = layout::parse_bytes(&contents.manifest, "") else {
            return Ok(None);
        };
        if layout.component.digest != Digest::of(&contents.component) {
            return Ok(None);
        }
        self.judge(chosen, contents, &layout, false).map(Some)
    }

    /// Pulls what was looked at, and keeps it if it may be used.
    async fn take(
        &self,
        chosen: &Chosen<'_>,
        inspected: Inspected,
        referrers: Option<Vec<Referrer>>,
    ) -> Result<Package, ResolveError> {
        let layout = inspected.layout.clone();
        // Before its file is pulled.
        chosen.is(&layout)?;
        let subject = inspected.manifest.digest;
        let reference = chosen.reference();
        let signatures = async {
            let referrers = match referrers {
                Some(referrers) => referrers,
                None => self.client.referrers(chosen.located, &subject).await?,
            };
            self.client
                .signatures(chosen.located, &subject, &referrers)
                .await
        };
        let file = self.client.pull_file(&reference, inspected);
        let (pulled, signatures) = futures::try_join!(file, signatures)?;
        let contents = Contents {
            manifest: pulled.manifest.to_vec(),
            component: pulled.component.to_vec(),
            attachments: signatures.into_iter().map(kept_attachment).collect(),
        };
        let mut package = self.judge(chosen, contents, &layout, true)?;
        let (key, contents) = (chosen.key(), package.contents.clone());
        let cache = Arc::clone(&self.cache);
        // The package is here; only the next run will miss it.
        if let Err(error) = blocking(move || cache.store(&key, &contents)).await {
            package
                .warnings
                .push(format!("{} is not kept: {}", package.name, chain(&error)));
        }
        Ok(package)
    }

    fn judge(
        &self,
        chosen: &Chosen<'_>,
        contents: Contents,
        layout: &Layout,
        pulled: bool,
    ) -> Result<Package, ResolveError> {
        chosen.is(layout)?;
        let manifest_digest = Digest::of(&contents.manifest);
        let signatures: Vec<Signature> = contents.signatures();
        let verdict = self.policy.judge(&Candidate {
            called: &format!("{}@{}", chosen.name, chosen.version),
            package: Some(chosen.name),
            version: Some(chosen.version),
            manifest: manifest_digest,
            signatures: &signatures,
        });
        let (signer, warnings) = match verdict {
            Verdict::Trusted(signer) => (Some(signer), Vec::new()),
            Verdict::Unchecked => (None, Vec::new()),
            Verdict::Warned(refusal) => (None, vec![refusal.to_string()]),
            Verdict::Refused(refusal) => return Err(Box::new(refusal).into()),
        };
        Ok(Package {
            name: chosen.name.clone(),
            version: chosen.version.clone(),
            located: chosen.located.clone(),
            digest: layout.component.digest,
            manifest_digest,
            signer,
            contents,
            annotations: layout.annotations.clone(),
            pulled,
            warnings,
        })
    }
}

/// Whether another place may have what this one hasn't.
fn is_elsewhere(error: &ResolveError) -> bool {
    let (ResolveError::Registry(error) | ResolveError::Pull(PullError::Registry(error))) = error
    else {
        return false;
    };
    matches!(*error.fault, Fault::NotFound) || error.fault.may_pass()
}

/// Whether another may be right where this row of the cache is not.
fn is_of_the_row(error: &ResolveError) -> bool {
    matches!(
        error,
        ResolveError::Refused(_)
            | ResolveError::OtherName { .. }
            | ResolveError::Pull(PullError::Layout { .. })
    )
}

/// What is to be told if a package isn't signed any more by whom the lock knows.
fn lost_signer(package: &Package, locked: &Locked) -> Option<String> {
    let before = locked.signer?;
    let Package { name, version, .. } = package;
    match package.signer.as_ref().map(|signer| signer.id) {
        Some(now) if now == before => None,
        Some(now) => Some(format!(
            "{name}@{version} is signed by {now}; darkroom.lock knows it from {before}"
        )),
        None => Some(format!(
            "darkroom.lock knows {name}@{version} as signed by {before}; that is not verified here"
        )),
    }
}

fn not_cached(name: &PackageName, locked: &Locked) -> ResolveError {
    ResolveError::NotCached {
        name: name.clone(),
        version: Some(locked.version.to_string()),
    }
}

fn kept_attachment(attachment: Attachment) -> cache::Attachment {
    cache::Attachment {
        media_type: attachment.media_type,
        annotations: attachment.layer_annotations,
        bytes: attachment.bytes.to_vec(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |one| one.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Runs what blocks beside the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and we with it.
            Err(_) => std::future::pending().await,
        },
    }
}
