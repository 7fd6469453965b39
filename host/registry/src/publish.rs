//! Publishing: a version is uploaded once, and then it stays what it is.
//!
//! The command line calls it with a file and what `host/runtime` read of it. Nothing here
//! signs: signatures are attached afterwards, with the digest that this returns.
//!
//! A registry has no 'put if absent': of two who publish the same version in the same
//! moment, the later wins. Both see what is there beforehand, and the lock of whoever
//! uses it notices.

use bytes::Bytes;

use crate::client::{Client, RegistryError};
use crate::digest::Digest;
use crate::layout::{self, IMAGE_MANIFEST, Metadata};
use crate::name::{Located, OciReference};

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where, under the version's tag.
    pub reference: OciReference,
    /// The digest of the manifest, by which it is signed.
    pub manifest_digest: Digest,
    /// The manifest's length in bytes, for attachments.
    pub manifest_size: u64,
    /// The digest of the file, which the lock pins.
    pub component_digest: Digest,
    /// What was under the tag before.
    pub before: Before,
}

/// What was under a version's tag before it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The very same: nothing was uploaded.
    Same,
    /// Something else, which was replaced on demand.
    Other(Digest),
}

/// Why something isn't published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The version is there, with something else.
    #[error("{reference} is published already, with other content ({there}, not {here})")]
    Exists {
        /// Where.
        reference: OciReference,
        /// The manifest that is there.
        there: Digest,
        /// The manifest that would be.
        here: Digest,
    },
    /// More than a pull would take.
    #[error("the component is {size} bytes long, of {limit}")]
    TooLarge {
        /// Its length.
        size: u64,
        /// How long it may be.
        limit: u64,
    },
    /// It can't be written down.
    #[error("the manifest can't be written")]
    Write(#[source] serde_json::Error),
}

impl PublishError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Exists { .. } => "give it a new version; those who have locked this one would \
                                    refuse another under its name. To replace it anyway, use \
                                    `--force`"
                .into(),
            Self::TooLarge { .. } => {
                "make it smaller: `darkroom component build` optimizes, and large assets can be \
                 downloaded by the instance"
                    .into()
            }
            Self::Write(_) => "look at the texts of its metadata".into(),
        }
    }
}

impl Client {
    /// Publishes a file under its version: a component, or a WIT package in its binary
    /// form. What is there already under the version stays, unless `force`.
    ///
    /// # Errors
    /// See [`PublishError`]. What was uploaded before a failure is unreachable until the
    /// manifest is, which goes last.
    pub async fn publish(
        &self,
        located: &Located,
        component: Bytes,
        metadata: &Metadata,
        force: bool,
    ) -> Result<Published, PublishError> {
        let limit = self.settings().component_limit;
        let size = component.len() as u64;
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let built = layout::build(&component, metadata).map_err(PublishError::Write)?;
        let reference = located.tagged(metadata.tag());
        let there = self.find(&reference).await?.map(|found| found.digest);
        let here = built.manifest_digest;
        let before = match there {
            None => Before::Nothing,
            Some(there) if there == here => Before::Same,
            Some(there) if force => Before::Other(there),
            Some(there) => {
                return Err(PublishError::Exists {
                    reference,
                    there,
                    here,
                });
            }
        };
        let manifest = Bytes::from(built.manifest);
        let published = Published {
            reference,
            manifest_digest: here,
            manifest_size: manifest.len() as u64,
            component_digest: built.component_digest,
            before,
        };
        if before != Before::Same {
            let config = Bytes::from(built.config);
            self.put_blob(located, &config).await?;
            self.put_blob(located, &component).await?;
            self.put_manifest(&published.reference, &manifest, IMAGE_MANIFEST)
                .await?;
        }
        Ok(published)
    }
}
