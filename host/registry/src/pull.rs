//! Pulling: a package's manifest and file, each of the digest that it should have.
//!
//! `resolve` and the command line use it. Whether the file is a component, and one of
//! ours, is judged by who pulls: nothing here looks into it, knows a policy, or keeps
//! anything.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::client::{Client, Manifest, RegistryError};
use crate::digest::Digest;
use crate::layout::{self, Layout, LayoutError};
use crate::name::{At, OciReference};

/// A package, pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Where from.
    pub reference: OciReference,
    /// Its manifest, as signed.
    pub manifest: Bytes,
    /// The digest of that.
    pub manifest_digest: Digest,
    /// Its file.
    pub component: Bytes,
    /// The digest of that.
    pub component_digest: Digest,
    /// What the manifest says about it.
    pub annotations: BTreeMap<String, String>,
}

/// A package's manifest, looked at without its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The manifest.
    pub manifest: Manifest,
    /// What it says.
    pub layout: Layout,
}

/// Why a package isn't pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It is no package.
    #[error("{reference} is not a package")]
    Layout {
        /// What was pulled.
        reference: Box<OciReference>,
        /// What it is instead.
        source: LayoutError,
    },
}

impl PullError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Layout { source, .. } => source.hint().into(),
        }
    }
}

impl Client {
    /// Reads the manifest of a package.
    ///
    /// # Errors
    /// See [`PullError`]. A package that says it has another version than its tag is
    /// refused.
    pub async fn inspect(&self, reference: &OciReference) -> Result<Inspected, PullError> {
        let manifest = self.manifest(reference).await?;
        let wrong = |source| PullError::Layout {
            reference: Box::new(reference.clone()),
            source,
        };
        let layout = layout::parse(&manifest).map_err(wrong)?;
        if let At::Tag(tag) = &reference.at
            && let Some(expected) = layout::version(tag)
            && let Some(found) = layout.other_version(&expected)
        {
            return Err(wrong(LayoutError::Version {
                found,
                expected: expected.to_string(),
            }));
        }
        Ok(Inspected { manifest, layout })
    }

    /// Pulls a package.
    ///
    /// # Errors
    /// See [`PullError`].
    pub async fn pull(&self, reference: &OciReference) -> Result<Pulled, PullError> {
        let inspected = self.inspect(reference).await?;
        Ok(self.pull_file(reference, inspected).await?)
    }

    /// Pulls the file of a package whose manifest is here.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault).
    pub async fn pull_file(
        &self,
        reference: &OciReference,
        inspected: Inspected,
    ) -> Result<Pulled, RegistryError> {
        let limit = self.settings().component_limit;
        let file = &inspected.layout.component;
        let component = self
            .blob(&reference.located, &file.digest, file.size, limit)
            .await?;
        Ok(Pulled {
            reference: reference.clone(),
            manifest: inspected.manifest.bytes,
            manifest_digest: inspected.manifest.digest,
            component,
            component_digest: inspected.layout.component.digest,
            annotations: inspected.layout.annotations,
        })
    }
}
