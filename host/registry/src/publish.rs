//! Publishing: a version is uploaded once, and then it stays what it is.
//!
//! The command line calls it with a file, what `host/runtime` read of it, what belongs to
//! it and the key. The version's tag is written last: whoever resolves it in between finds
//! the version before, and whoever dies there leaves none, rather than an unsigned one.
//! Nothing here reads a file or decides who may be trusted.
//!
//! A registry has no 'put if absent': of two who publish the same version in the same
//! moment, the later wins. Both see what is there beforehand, and the lock of whoever
//! uses it notices.

use bytes::Bytes;

use crate::client::{Client, RegistryError};
use crate::digest::Digest;
use crate::layout::{self, IMAGE_MANIFEST, Metadata};
use crate::name::{Located, OciReference};
use crate::referrers::Attachment;
use crate::sign::{Bundle, COSIGN_PREDICATE_TYPE, Claims, KeyId, PrivateKey, Signature, Statement};

/// What a version is published with; by default with nothing.
#[derive(Clone, Debug, Default)]
pub struct With<'a> {
    /// What is attached to it.
    pub attachments: &'a [Attachment],
    /// Who signs it.
    pub key: Option<&'a PrivateKey>,
    /// The time that a new signature says of itself (RFC 3339); none without.
    pub signed_at: Option<&'a str>,
    /// Whether it may replace other content of the same version.
    pub force: bool,
}

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
    /// Who has signed it, if it was to be signed.
    pub signer: Option<KeyId>,
    /// What was under the tag before.
    pub before: Before,
}

/// What was under a version's tag before it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The very same: nothing of it was uploaded.
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
        reference: Box<OciReference>,
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

impl Before {
    /// What is replaced when `here` is written where `there` is now.
    ///
    /// # Errors
    /// [`PublishError::Exists`], without `force`.
    pub(crate) fn of(
        reference: &OciReference,
        there: Option<Digest>,
        here: Digest,
        force: bool,
    ) -> Result<Self, PublishError> {
        match there {
            None => Ok(Self::Nothing),
            Some(there) if there == here => Ok(Self::Same),
            Some(there) if force => Ok(Self::Other(there)),
            Some(there) => Err(PublishError::Exists {
                reference: Box::new(reference.clone()),
                there,
                here,
            }),
        }
    }
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
                "make it smaller: `darkroom component build` removes names and debug information, \
                 and large assets can be downloaded by the instance"
                    .into()
            }
            Self::Write(_) => "look at the texts of its metadata".into(),
        }
    }
}

impl Client {
    /// Publishes a file under its version: a component, or a WIT package in its binary
    /// form. What is there already under the version stays, unless that is forced; what
    /// belongs to it is added where it is missing.
    ///
    /// # Errors
    /// See [`PublishError`]. What was uploaded before a failure is unreachable until the
    /// tag is written, which goes last.
    pub async fn publish(
        &self,
        located: &Located,
        component: Bytes,
        metadata: &Metadata,
        with: &With<'_>,
    ) -> Result<Published, PublishError> {
        let limit = self.settings().component_limit;
        let size = component.len() as u64;
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let built = layout::build(&component, metadata).map_err(PublishError::Write)?;
        let reference = located.tagged(metadata.tag());
        let there = self.find(&reference).await?.map(|found| found.digest);
        let before = Before::of(&reference, there, built.manifest_digest, with.force)?;
        let manifest = Bytes::from(built.manifest);
        let mut published = Published {
            reference,
            manifest_digest: built.manifest_digest,
            manifest_size: manifest.len() as u64,
            component_digest: built.component_digest,
            signer: None,
            before,
        };
        if before != Before::Same {
            let config = Bytes::from(built.config);
            self.put_blob(located, &config).await?;
            self.put_blob(located, &component).await?;
            // By its digest first: what is attached names it.
            let plain = located.digested(published.manifest_digest);
            self.put_manifest(&plain, &manifest, IMAGE_MANIFEST).await?;
        }
        let (digest, size) = (&published.manifest_digest, published.manifest_size);
        for attachment in with.attachments {
            self.attach(located, digest, size, attachment).await?;
        }
        if let Some(key) = with.key {
            let claims = Claims::new(metadata.name.to_string(), metadata.version.to_string());
            self.sign(&published, key, &claims, with.signed_at).await?;
            published.signer = Some(key.public().id());
        }
        if before != Before::Same {
            self.put_manifest(&published.reference, &manifest, IMAGE_MANIFEST)
                .await?;
        }
        Ok(published)
    }

    /// Signs what was published, unless this key has said the same of it already.
    async fn sign(
        &self,
        published: &Published,
        key: &PrivateKey,
        claims: &Claims,
        signed_at: Option<&str>,
    ) -> Result<(), RegistryError> {
        let located = &published.reference.located;
        let (digest, size) = (&published.manifest_digest, published.manifest_size);
        let referrers = self.referrers(located, digest).await?;
        let attached = self.signatures(located, digest, &referrers).await?;
        if attached.iter().any(|one| is_ours(one, key, digest, claims)) {
            return Ok(());
        }
        let statement = Statement::of_package(digest, claims);
        let bundle = Bundle::sign(key, &statement);
        let signature = Attachment::bundle(&bundle, &statement, signed_at);
        self.attach(located, digest, size, &signature).await?;
        Ok(())
    }
}

/// Whether an attachment is what signing would attach: this key has signed other things
/// too, such as an SBOM of the same package, or the package as another.
fn is_ours(attachment: &Attachment, key: &PrivateKey, digest: &Digest, claims: &Claims) -> bool {
    let Some(Signature::Bundle(json)) = attachment.to_signature() else {
        return false;
    };
    let Ok(bundle) = Bundle::parse(&json) else {
        return false;
    };
    bundle.verify(key.public()).is_ok_and(|said| {
        let subject = said.subject(digest);
        said.predicate_type == COSIGN_PREDICATE_TYPE
            && subject.is_some_and(|one| Claims::from_annotations(&one.annotations) == *claims)
    })
}
