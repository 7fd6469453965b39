//! Copying: a package from one registry to another, with everything that belongs to it.
//!
//! Bytes stay what they are, so digests and signatures do too. What is attached comes
//! along, and what is attached to that (a signed SBOM), and the tags of the older cosign,
//! beside what the target has under them: its owner may have signed there. What the target
//! has is not read from the source. The package's own tag is written last: a copy that is broken off has no version.
//! Nothing here judges a signature: whoever pulls from the mirror does.

use bytes::Bytes;
use serde::Deserialize;

use crate::client::{Client, Manifest, RegistryError};
use crate::digest::Digest;
use crate::layout::{Descriptor, IMAGE_MANIFEST};
use crate::name::{At, Located, OciReference};
use crate::publish::{Before, PublishError};
use crate::pull::PullError;
use crate::referrers::{layers, legacy_tag};

/// Attachments of attachments of attachments are copied; deeper is nobody's need, and a
/// registry could make a circle.
const DEEPEST: usize = 3;
/// Most attachments that come along; a registry could list any number.
const MOST_COPIED: usize = 1000;
/// The tags of the older cosign under which each layer is one thing.
const LEGACY: [&str; 2] = ["sig", "att"];
/// The one with a layer alone.
const LEGACY_SBOM: &str = "sbom";

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The digest of the package's manifest, the same on both sides.
    pub manifest_digest: Digest,
    /// How many attachments came along.
    pub attachments: usize,
    /// What was at the target before.
    pub before: Before,
}

/// Why something isn't copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It can't be read, or is no package.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// It can't be written, or the version is there with something else.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// More is attached than is copied.
    #[error("{from} has more than {MOST_COPIED} things attached")]
    TooMany {
        /// What was to be copied.
        from: Box<OciReference>,
    },
}

impl CopyError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Pull(error) => error.hint(),
            Self::Publish(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::TooMany { .. } => {
                "somebody may have filled the registry; copy the repository with another tool"
                    .into()
            }
        }
    }
}

#[derive(Deserialize)]
struct Parts {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Client {
    /// Copies a package. The target's tag is often the version; under a digest it has
    /// none. What is there under the tag stays, unless `force`.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub async fn copy(
        &self,
        from: &OciReference,
        to: &OciReference,
        force: bool,
    ) -> Result<Copied, CopyError> {
        let inspected = self.inspect(from).await?;
        let here = inspected.manifest.digest;
        let there = self.find(to).await?.map(|found| found.digest);
        let before = Before::of(to, there, here, force)?;
        let (source, target) = (&from.located, &to.located);
        let limit = self.settings().component_limit;
        self.copy_blobs(source, target, &inspected.manifest, limit)
            .await?;
        // By its digest first: attachments name it.
        let bytes = &inspected.manifest.bytes;
        let plain = target.digested(here);
        self.put_manifest(&plain, bytes, IMAGE_MANIFEST).await?;
        let attachments = self.copy_attachments(from, target, here, force).await?;
        if matches!(to.at, At::Tag(_)) && before != Before::Same {
            self.put_manifest(to, bytes, IMAGE_MANIFEST).await?;
        }
        Ok(Copied {
            manifest_digest: here,
            attachments,
            before,
        })
    }

    async fn copy_attachments(
        &self,
        from: &OciReference,
        target: &Located,
        package: Digest,
        force: bool,
    ) -> Result<usize, CopyError> {
        let limit = self.settings().attachment_limit;
        let source = &from.located;
        let mut count = 0;
        let mut subjects = vec![package];
        for _ in 0..DEEPEST {
            let mut next = Vec::new();
            for subject in subjects {
                for kind in LEGACY {
                    count += self.merge_legacy(source, target, &subject, kind).await?;
                }
                count += self.copy_legacy(source, target, &subject, force).await?;
                for referrer in self.referrers(source, &subject).await? {
                    if count >= MOST_COPIED {
                        return Err(CopyError::TooMany {
                            from: Box::new(from.clone()),
                        });
                    }
                    let digest = referrer.descriptor.digest;
                    let manifest = self.manifest(&source.digested(digest)).await?;
                    self.copy_blobs(source, target, &manifest, limit).await?;
                    let kind = &manifest.media_type;
                    self.put_manifest(&target.digested(digest), &manifest.bytes, kind)
                        .await?;
                    self.list_in_fallback(target, &subject, &referrer.descriptor)
                        .await?;
                    next.push(digest);
                    count += 1;
                }
            }
            subjects = next;
        }
        Ok(count)
    }

    /// Copies what is under a tag of the older cosign, beside what the target has there.
    async fn merge_legacy(
        &self,
        source: &Located,
        target: &Located,
        subject: &Digest,
        kind: &str,
    ) -> Result<usize, RegistryError> {
        let tag = legacy_tag(subject, kind);
        let Some(manifest) = self.find(&source.tagged(tag.clone())).await? else {
            return Ok(0);
        };
        let tag = target.tagged(tag);
        let there = self.find(&tag).await?;
        let limit = self.settings().attachment_limit;
        let Some(there) = there else {
            self.copy_blobs(source, target, &manifest, limit).await?;
            self.put_manifest(&tag, &manifest.bytes, &manifest.media_type)
                .await?;
            return Ok(1);
        };
        let mut all = layers(target, &there)?;
        let known = all.len();
        for layer in layers(source, &manifest)? {
            if !all.contains(&layer) {
                all.push(layer);
            }
        }
        if all.len() > known {
            self.copy_blobs(source, target, &manifest, limit).await?;
            self.put_layers(&tag, all).await?;
        }
        Ok(1)
    }

    /// Copies the SBOM of the older cosign; another than the target's only if forced.
    async fn copy_legacy(
        &self,
        source: &Located,
        target: &Located,
        subject: &Digest,
        force: bool,
    ) -> Result<usize, CopyError> {
        let tag = legacy_tag(subject, LEGACY_SBOM);
        let Some(manifest) = self.find(&source.tagged(tag.clone())).await? else {
            return Ok(0);
        };
        let tag = target.tagged(tag);
        let there = self.find(&tag).await?.map(|found| found.digest);
        if Before::of(&tag, there, manifest.digest, force)? != Before::Same {
            let limit = self.settings().attachment_limit;
            self.copy_blobs(source, target, &manifest, limit).await?;
            self.put_manifest(&tag, &manifest.bytes, &manifest.media_type)
                .await?;
        }
        Ok(1)
    }

    async fn copy_blobs(
        &self,
        source: &Located,
        target: &Located,
        manifest: &Manifest,
        limit: u64,
    ) -> Result<(), RegistryError> {
        let Ok(parts) = serde_json::from_slice::<Parts>(&manifest.bytes) else {
            return Ok(());
        };
        for blob in parts.config.iter().chain(&parts.layers) {
            if !self.has_blob(target, &blob.digest).await? {
                let bytes: Bytes = self.blob(source, &blob.digest, blob.size, limit).await?;
                self.put_blob(target, &bytes).await?;
            }
        }
        Ok(())
    }
}
