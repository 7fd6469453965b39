//! Searching: which packages a registry has, by a part of their names.
//!
//! It stands on the catalog of repositories, which registries of one's own list and most
//! public ones don't; those are searched on their pages. The command line prints what
//! this returns. Nothing here keeps an index.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use semver::Version;

use crate::client::{Client, RegistryError};
use crate::layout;
use crate::name::{Located, PackageName, is_repository};
use crate::requirement::newest;

/// Repositories that are asked for their versions at once.
const AT_ONCE: usize = 8;

/// A package that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its name; by the annotation of its newest version, else as configuration has it.
    pub name: Option<PackageName>,
    /// Where it is.
    pub located: Located,
    /// Its newest version, a pre-release if there is no other.
    pub newest: Version,
    /// One line about it.
    pub description: Option<String>,
}

impl Client {
    /// Packages of a registry whose repository has `text` in its path (any, if it is
    /// empty), in the order of their places. Repositories without versions, or that hold
    /// something else than packages, are passed over.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault): a registry that lists nothing answers 401 or
    /// 404.
    pub async fn search(
        &self,
        registry: &str,
        text: &str,
        most: usize,
    ) -> Result<Vec<Hit>, RegistryError> {
        let text = text.replace(':', "/").to_lowercase();
        let mut found: Vec<String> = self.repositories(registry).await?;
        found.retain(|repository| repository.contains(&text) && is_repository(repository));
        found.sort();
        let hits = stream::iter(found).map(|repository| {
            let located = Located {
                registry: registry.to_owned(),
                repository,
            };
            self.hit(located)
        });
        let hits = hits.buffered(AT_ONCE).try_filter_map(async |hit| Ok(hit));
        hits.take(most).try_collect().await
    }

    async fn hit(&self, located: Located) -> Result<Option<Hit>, RegistryError> {
        let versions = self.versions(&located).await?;
        let Some(newest) = newest(None, &versions).or(versions.last()).cloned() else {
            return Ok(None);
        };
        let tag = located.tagged(layout::tag(&newest));
        let Some(manifest) = self.find(&tag).await? else {
            return Ok(None);
        };
        let Ok(layout) = layout::parse(&manifest) else {
            return Ok(None);
        };
        let said = |key: &str| layout.annotations.get(key);
        let name = said(layout::PACKAGE_ANNOTATION).and_then(|name| name.parse().ok());
        Ok(Some(Hit {
            name: name.or_else(|| self.registries().package_at(&located)),
            newest,
            description: said("org.opencontainers.image.description")
                .map(|text| crate::name::shortened(text)),
            located,
        }))
    }
}
