//! [`Client`]: manifests, blobs, tags and repositories of OCI registries, read within
//! limits and checked by their digests ([distribution spec] 1.1).
//!
//! The verbs stand on it: `publish`, `pull`, `versions`, `search`, `copy`, `yank`,
//! `referrers`. It keeps a connection for each host. Whatever comes back
//! has the digest that was asked for, or it is an error. It doesn't know what a package
//! is, except where it lies ([`Client::locate`]).
//!
//! [distribution spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md

mod authorize;
mod connection;
mod error;
mod read;
mod settings;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use connection::Connection;
use read::Get;

use crate::config::well_known::{self, Base};
use crate::config::{Registries, Source};
use crate::digest::Digest;
use crate::layout::{IMAGE_INDEX, IMAGE_MANIFEST};
use crate::name::{At, Located, OciReference, PackageName};

pub use error::{Fault, RegistryError};
pub use settings::Settings;

/// Largest `.well-known` file: some lines.
const WELL_KNOWN_LIMIT: u64 = 64 * 1024;
/// Most pages of a list that are read: with 100 a page, ten thousand tags.
const MOST_PAGES: usize = 100;
/// Manifests as other tools have written them.
const DOCKER_MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
                                application/vnd.docker.distribution.manifest.list.v2+json";

/// Speaks to registries. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    registries: Registries,
    settings: Settings,
    connections: Mutex<HashMap<String, Arc<Connection>>>,
    bases: Mutex<HashMap<String, Base>>,
}

/// A manifest or an index, as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its bytes, of which it has its digest.
    pub bytes: Bytes,
    /// What the registry says it is.
    pub media_type: String,
    /// Its digest, computed here.
    pub digest: Digest,
}

impl Client {
    /// A client for everything that is configured. No connection is made yet.
    pub fn new(registries: Registries, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                registries,
                settings,
                connections: Mutex::default(),
                bases: Mutex::default(),
            }),
        }
    }

    /// What is configured.
    pub fn registries(&self) -> &Registries {
        &self.inner.registries
    }

    /// How registries are spoken to.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Where a package is: as configured, or as its host's `.well-known` file says.
    ///
    /// # Errors
    /// Nothing says where it is, or the host fails to answer. A host without the file is
    /// the registry itself.
    pub async fn locate(&self, name: &PackageName) -> Result<Located, RegistryError> {
        let source = self
            .inner
            .registries
            .source(name)
            .map_err(|error| RegistryError {
                doing: "find the registry of",
                subject: name.to_string(),
                registry: String::new(),
                fault: Box::new(Fault::Nowhere(error)),
            })?;
        let host = match source {
            Source::Fixed(base) => return Ok(base.locate(name)),
            Source::WellKnown(host) => host,
        };
        let known = lock(&self.inner.bases).get(&host).cloned();
        let base = match known {
            Some(base) => base,
            None => self.well_known(&host).await?,
        };
        let located = base.locate(name);
        lock(&self.inner.bases).insert(host, base);
        Ok(located)
    }

    async fn well_known(&self, host: &str) -> Result<Base, RegistryError> {
        let get = Get {
            accept: "application/json",
            open: true,
            ..Get::new(well_known::PATH.into(), "", "the file", WELL_KNOWN_LIMIT)
        };
        let doing = "find where packages are kept by";
        let failed = |fault| RegistryError {
            doing,
            subject: host.to_owned(),
            registry: host.to_owned(),
            fault: Box::new(fault),
        };
        let connection = self.connection(host, doing, host).await?;
        let answer = match connection.get(&get, &self.inner.settings).await {
            Ok(answer) => answer,
            Err(
                Fault::NotFound
                | Fault::Unauthorized { .. }
                | Fault::Forbidden { .. }
                | Fault::Unexpected { .. },
            ) => return Ok(Base::of_host(host)),
            Err(fault) => return Err(failed(fault)),
        };
        // Some answer any path with a page.
        let Ok(json) = serde_json::from_slice::<Value>(&answer.body) else {
            return Ok(Base::of_host(host));
        };
        well_known::base(&json, host).map_err(|expected| {
            failed(Fault::Malformed {
                what: "its registry.json",
                why: format!("there should be {expected}"),
            })
        })
    }

    /// A manifest or an index. Under a digest its bytes have that digest.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn manifest(&self, reference: &OciReference) -> Result<Manifest, RegistryError> {
        let doing = "read the manifest of";
        let subject = reference.to_string();
        let located = &reference.located;
        let accept = format!("{IMAGE_MANIFEST}, {IMAGE_INDEX}, {DOCKER_MANIFESTS}");
        let path = format!("/v2/{}/manifests/{}", located.repository, reference.at);
        let limit = self.inner.settings.manifest_limit;
        let get = Get {
            accept: &accept,
            ..Get::new(path, &located.repository, "the manifest", limit)
        };
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let answer = connection.get(&get, &self.inner.settings).await;
        let answer = answer.map_err(|fault| failed(doing, located, &subject, fault))?;
        let digest = Digest::of(&answer.body);
        if let At::Digest(expected) = reference.at
            && expected != digest
        {
            let found = digest;
            let fault = Fault::WrongDigest { expected, found };
            return Err(failed(doing, located, &subject, fault));
        }
        Ok(Manifest {
            bytes: answer.body,
            media_type: answer.media_type.unwrap_or_default(),
            digest,
        })
    }

    /// The digest of what a tag names, if there is such a tag.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn find(&self, reference: &OciReference) -> Result<Option<Manifest>, RegistryError> {
        match self.manifest(reference).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A blob of exactly `size` bytes, at most `limit`, with this digest.
    ///
    /// # Errors
    /// See [`Fault`]. A size above the limit is refused before anything is asked.
    pub async fn blob(
        &self,
        located: &Located,
        digest: &Digest,
        size: u64,
        limit: u64,
    ) -> Result<Bytes, RegistryError> {
        let doing = "read a blob of";
        let subject = located.digested(*digest).to_string();
        let what = "the blob";
        if size > limit {
            let fault = Fault::TooLarge { what, limit };
            return Err(failed(doing, located, &subject, fault));
        }
        let path = format!("/v2/{}/blobs/{digest}", located.repository);
        let get = Get {
            size: Some(size),
            ..Get::new(path, &located.repository, what, limit)
        };
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let answer = connection.get(&get, &self.inner.settings).await;
        let answer = answer.map_err(|fault| failed(doing, located, &subject, fault))?;
        let found = Digest::of(&answer.body);
        if found != *digest {
            let expected = *digest;
            let fault = Fault::WrongDigest { expected, found };
            return Err(failed(doing, located, &subject, fault));
        }
        Ok(answer.body)
    }

    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn tags(&self, located: &Located) -> Result<Vec<String>, RegistryError> {
        let path = format!("/v2/{}/tags/list", located.repository);
        let doing = "list the tags of";
        let subject = located.to_string();
        self.pages(located, &path, "tags", doing, &subject).await
    }

    /// All repositories of a registry that it lists to us.
    ///
    /// # Errors
    /// See [`Fault`]; many registries list none and answer 401 or 404.
    pub async fn repositories(&self, registry: &str) -> Result<Vec<String>, RegistryError> {
        let located = Located {
            registry: registry.to_owned(),
            repository: String::new(),
        };
        let doing = "list the repositories of";
        let path = "/v2/_catalog?n=1000";
        self.pages(&located, path, "repositories", doing, registry)
            .await
    }

    async fn pages(
        &self,
        located: &Located,
        path: &str,
        key: &str,
        doing: &'static str,
        subject: &str,
    ) -> Result<Vec<String>, RegistryError> {
        let connection = self.connection(&located.registry, doing, subject).await?;
        let failed = |fault| failed(doing, located, subject, fault);
        let limit = self.inner.settings.manifest_limit;
        let mut all: Vec<String> = Vec::new();
        let mut path = path.to_owned();
        for _ in 0..MOST_PAGES {
            let get = Get {
                accept: "application/json",
                ..Get::new(path.clone(), &located.repository, "the list", limit)
            };
            let answer = connection.get(&get, &self.inner.settings).await;
            let answer = answer.map_err(failed)?;
            let json = serde_json::from_slice::<Value>(&answer.body);
            let list = json
                .ok()
                .and_then(|mut json| Some(json.get_mut(key)?.take()));
            let list = list.ok_or_else(|| {
                failed(Fault::Malformed {
                    what: "the list",
                    why: format!("it has no `{key}`"),
                })
            })?;
            // An empty list is `null` to some.
            let names = list.as_array().into_iter().flatten();
            all.extend(names.filter_map(Value::as_str).map(str::to_owned));
            match connection.next_page(&answer).map_err(failed)? {
                Some(next) if next != path => path = next,
                Some(_) => return Err(failed(endless())),
                None => return Ok(all),
            }
        }
        Err(failed(endless()))
    }

    /// What a path answers, as JSON, page for page; `None` if it answers 404, or something
    /// else, or is not there at all. Without `all` only the first page is asked for.
    pub(crate) async fn json(
        &self,
        located: &Located,
        mut path: String,
        all: bool,
        doing: &'static str,
    ) -> Result<Option<Vec<Value>>, RegistryError> {
        let subject = located.to_string();
        let failed = |fault| failed(doing, located, &subject, fault);
        let limit = self.inner.settings.manifest_limit;
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let mut pages = Vec::new();
        for _ in 0..MOST_PAGES {
            let get = Get {
                accept: IMAGE_INDEX,
                ..Get::new(path.clone(), &located.repository, "the list", limit)
            };
            let answer = match connection.get(&get, &self.inner.settings).await {
                Ok(answer) => answer,
                // What registries answer that have no such path.
                Err(
                    Fault::NotFound
                    | Fault::Unexpected {
                        status: 400 | 405 | 406,
                        ..
                    },
                ) if pages.is_empty() => return Ok(None),
                Err(fault) => return Err(failed(fault)),
            };
            match serde_json::from_slice(&answer.body) {
                Ok(page) => pages.push(page),
                Err(_) if pages.is_empty() => return Ok(None),
                Err(_) => return Err(failed(endless())),
            }
            match connection.next_page(&answer).map_err(failed)? {
                Some(next) if all && next != path => path = next,
                Some(_) if all => return Err(failed(endless())),
                _ => return Ok(Some(pages)),
            }
        }
        Err(failed(endless()))
    }

    /// Whether a repository that we write to has a blob.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn has_blob(
        &self,
        located: &Located,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let doing = "look for a blob in";
        let subject = located.to_string();
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let settings = &self.inner.settings;
        let has = connection.has_blob(&located.repository, digest, settings);
        has.await
            .map_err(|fault| failed(doing, located, &subject, fault))
    }

    /// Uploads a blob, unless it is there.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn put_blob(
        &self,
        located: &Located,
        bytes: &Bytes,
    ) -> Result<Digest, RegistryError> {
        let doing = "upload a blob to";
        let subject = located.to_string();
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let settings = &self.inner.settings;
        let put = connection.put_blob(&located.repository, bytes, settings);
        put.await
            .map_err(|fault| failed(doing, located, &subject, fault))
    }

    /// Uploads a manifest or an index under a tag or its digest.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn put_manifest(
        &self,
        reference: &OciReference,
        bytes: &Bytes,
        media_type: &str,
    ) -> Result<(), RegistryError> {
        let doing = "write the manifest of";
        let subject = reference.to_string();
        let located = &reference.located;
        let connection = self.connection(&located.registry, doing, &subject).await?;
        let at = reference.at.to_string();
        let settings = &self.inner.settings;
        let put = connection.put_manifest(&located.repository, &at, bytes, media_type, settings);
        put.await
            .map_err(|fault| failed(doing, located, &subject, fault))
    }

    /// The connection to a host; the first time its credentials are looked up.
    async fn connection(
        &self,
        host: &str,
        doing: &'static str,
        subject: &str,
    ) -> Result<Arc<Connection>, RegistryError> {
        let failed = |fault| RegistryError {
            doing,
            subject: subject.to_owned(),
            registry: host.to_owned(),
            fault: Box::new(fault),
        };
        let known = lock(&self.inner.connections).get(host).cloned();
        let connection = if let Some(connection) = known {
            connection
        } else {
            let options = self.inner.registries.options(host);
            let made = Connection::new(host, options, &self.inner.settings).map_err(failed)?;
            let mut all = lock(&self.inner.connections);
            Arc::clone(all.entry(host.to_owned()).or_insert_with(|| Arc::new(made)))
        };
        let credentials = self.inner.registries.credentials(host);
        let known = connection.credentials.get_or_try_init(|| credentials).await;
        known.map_err(|error| failed(Fault::Credentials(error)))?;
        Ok(connection)
    }
}

/// What a list is that doesn't come to its end. A part of it would be taken for all: the
/// newest version, or the signature, may be in the rest.
fn endless() -> Fault {
    Fault::Malformed {
        what: "the list",
        why: format!("it has no end that is found in {MOST_PAGES} pages"),
    }
}

fn failed(doing: &'static str, located: &Located, subject: &str, fault: Fault) -> RegistryError {
    RegistryError {
        doing,
        subject: subject.to_owned(),
        registry: located.registry.clone(),
        fault: Box::new(fault),
    }
}

/// No code that holds one of these can leave it half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
