//! `component.toml`: what a package of a language other than Rust says of itself, in a
//! file beside the module.
//!
//! ```toml
//! name = "acme:web-server"
//! version = "1.0.0"
//! licence = "Apache-2.0"            # or `license`
//! authors = ["Ann <ann@example.org>"]
//! description = "Serves a page"     # else what `describe` says in `summary`
//! source = "https://example.org/web-server"
//! homepage = "https://example.org"
//! world = "builder-only"            # where the module has no type of its own
//! ```

use std::path::{Path, PathBuf};

use darkroom_runtime::pack::Metadata;
use serde::Deserialize;

/// The file's name.
pub(super) const NAME: &str = "component.toml";

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BesideError {
    /// It can't be read.
    #[error("{0:?} can't be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// It is not what it should be.
    #[error("{0:?} is not what it should be:\n{1}")]
    Wrong(PathBuf, String),
}

impl BesideError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(..) => None,
            Self::Wrong(..) => Some(
                "it may say name, version, licence, authors, description, source, homepage and \
                 world",
            ),
        }
    }
}

/// What stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) says: Metadata,
    pub(super) world: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    name: Option<String>,
    version: Option<String>,
    #[serde(alias = "license")]
    licence: Option<String>,
    #[serde(default)]
    authors: Vec<String>,
    description: Option<String>,
    source: Option<String>,
    homepage: Option<String>,
    world: Option<String>,
}

/// Reads it from a folder; nothing where it is missing.
pub(super) fn read(folder: &Path) -> Result<Beside, BesideError> {
    let path = folder.join(NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Beside::default()),
        Err(error) => return Err(BesideError::Read(path, error)),
    };
    let keys: Keys = toml::from_str(&text)
        .map_err(|error| BesideError::Wrong(path, error.to_string().trim_end().to_owned()))?;
    let authors = keys.authors.join(", ");
    Ok(Beside {
        says: Metadata {
            name: keys.name,
            version: keys.version,
            licence: keys.licence,
            authors: Some(authors).filter(|authors| !authors.is_empty()),
            description: keys.description,
            source: keys.source,
            homepage: keys.homepage,
            ..Metadata::default()
        },
        world: keys.world,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_what_nobody_knows_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), Beside::default());
        let write = |text: &str| std::fs::write(folder.path().join(NAME), text).unwrap();
        write("name = 'a:b'\nlicense = 'MIT'\nauthors = ['Ann', 'Bob']\nworld = 'tester-only'\n");
        let seen = read(folder.path()).unwrap();
        assert_eq!(seen.says.authors.as_deref(), Some("Ann, Bob"));
        assert_eq!(seen.says.licence.as_deref(), Some("MIT"));
        assert_eq!(seen.world.as_deref(), Some("tester-only"));
        write("name = 'a:b'\nlicens = 'MIT'\n");
        let error = read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("licens"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("licence")));
    }
}
