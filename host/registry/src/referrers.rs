//! What is attached to a package: signatures, SBOMs, provenance, marks.
//!
//! An attachment is a manifest of its own that names the package's as its `subject`
//! ([OCI 1.1]). A registry with the referrers API lists them; for one without, an index
//! of them lies under the tag `sha256-<hex>`, kept by those who attach. Signatures of the
//! older cosign are layers under the tag `sha256-<hex>.sig`.
//!
//! `publish` and `yank` attach, `resolve`, `copy` and the command line list. A referrer
//! is somebody's claim and nothing more: `trust` judges signatures. Nothing here does.
//!
//! [OCI 1.1]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::client::{Client, Fault, Manifest, RegistryError};
use crate::digest::Digest;
use crate::layout::{Descriptor, IMAGE_INDEX, IMAGE_MANIFEST, Written, or_empty};
use crate::name::{Located, OciReference, shortened};
use crate::sign::{
    BUNDLE_MEDIA_TYPE, Bundle, CONTENT_ANNOTATION, COSIGN_PREDICATE_TYPE,
    PREDICATE_TYPE_ANNOTATION, Signature, Statement,
};

/// The config of something that has none, and its bytes ([OCI image spec, empty]).
///
/// [OCI image spec, empty]: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
/// Most attachments of one kind that are looked into: anybody who may write to a
/// repository can add any number. Of one kind, so that notes hide no signature.
pub(crate) const MOST: usize = 64;
/// Most attachments of one package that are listed; a list with more is refused, since
/// nobody knows what the rest would be.
const MOST_LISTED: usize = 10_000;
/// Most attachments that are asked what they are, where lists don't say it.
const MOST_UNNAMED: usize = 256;
/// How many of them at once.
const AT_ONCE: usize = 8;
/// Largest signature that is looked at: they are some kilobytes. A larger one is none.
const SIGNATURE_LIMIT: u64 = 1024 * 1024;
/// How often an index that others also write to is written again.
const MOST_WRITES: usize = 5;
/// How long it is left alone before it is looked at whether another wrote over it: longer
/// than it takes to read and write it. Up to twice as long, for each in another way.
const LEFT_ALONE: Duration = Duration::from_millis(64);

/// Something that is attached to a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What kind of thing, such as `application/spdx+json`.
    pub artifact_type: String,
    /// The media type of its bytes; most often the same.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// What is said about it, in its manifest.
    pub annotations: BTreeMap<String, String>,
    /// What is said about its bytes, in their descriptor.
    pub layer_annotations: BTreeMap<String, String>,
}

impl Attachment {
    /// Bytes of a kind, with nothing said about them.
    pub fn new(artifact_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        let artifact_type = artifact_type.into();
        Self {
            media_type: artifact_type.clone(),
            artifact_type,
            bytes: bytes.into(),
            annotations: BTreeMap::new(),
            layer_annotations: BTreeMap::new(),
        }
    }

    /// A signed statement, as cosign attaches it. `created` is RFC 3339.
    pub fn bundle(bundle: &Bundle, statement: &Statement, created: Option<&str>) -> Self {
        let mut attachment = Self::new(BUNDLE_MEDIA_TYPE, bundle.to_json());
        let said = [
            (CONTENT_ANNOTATION, Some("dsse-envelope")),
            (
                PREDICATE_TYPE_ANNOTATION,
                Some(statement.predicate_type.as_str()),
            ),
            ("org.opencontainers.image.created", created),
        ];
        for (key, value) in said {
            if let Some(value) = value {
                attachment.annotations.insert(key.into(), value.into());
            }
        }
        attachment
    }
}

/// An attachment as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its manifest.
    pub descriptor: Descriptor,
}

impl Referrer {
    /// What kind of thing it is.
    pub fn artifact_type(&self) -> &str {
        self.descriptor.artifact_type.as_deref().unwrap_or_default()
    }
}

/// An index, as this writes it and as others may have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    #[serde(default = "Index::media_type")]
    media_type: String,
    #[serde(default, deserialize_with = "or_empty")]
    manifests: Vec<Descriptor>,
}

impl Index {
    fn media_type() -> String {
        IMAGE_INDEX.to_owned()
    }

    fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: Self::media_type(),
            manifests: Vec::new(),
        }
    }
}

/// A manifest that may name a kind of artifact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    #[serde(default, rename = "artifactType")]
    kind: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "or_empty")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_empty")]
    annotations: BTreeMap<String, String>,
}

/// The tag under which a registry without the API has the index.
pub(crate) fn fallback_tag(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

/// The tag under which the older cosign puts something: `sig`, `att` or `sbom`.
pub(crate) fn legacy_tag(digest: &Digest, kind: &str) -> String {
    format!("sha256-{}.{kind}", digest.hex())
}

impl Client {
    /// Attaches something to a manifest of `size` bytes. Doing it again changes nothing.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn attach(
        &self,
        located: &Located,
        subject: &Digest,
        size: u64,
        attachment: &Attachment,
    ) -> Result<Referrer, RegistryError> {
        let mut layer = Descriptor::of(attachment.media_type.clone(), &attachment.bytes);
        layer.annotations = attachment.layer_annotations.clone();
        let manifest = serde_json::to_vec(&Written {
            schema_version: 2,
            media_type: IMAGE_MANIFEST,
            artifact_type: Some(&attachment.artifact_type),
            config: Descriptor::of(EMPTY_CONFIG, EMPTY),
            layers: vec![layer],
            subject: Some(Descriptor {
                media_type: IMAGE_MANIFEST.into(),
                digest: *subject,
                size,
                artifact_type: None,
                annotations: BTreeMap::new(),
            }),
            annotations: attachment.annotations.clone(),
        });
        let manifest = manifest.map_err(|error| unreadable(located, &error.to_string()))?;
        self.put_blob(located, &Bytes::from_static(EMPTY)).await?;
        self.put_blob(located, &attachment.bytes).await?;
        let mut descriptor = Descriptor::of(IMAGE_MANIFEST, &manifest);
        descriptor.artifact_type = Some(attachment.artifact_type.clone());
        descriptor.annotations = attachment.annotations.clone();
        let at = located.digested(descriptor.digest);
        self.put_manifest(&at, &manifest.into(), IMAGE_MANIFEST)
            .await?;
        self.list_in_fallback(located, subject, &descriptor).await?;
        Ok(Referrer { descriptor })
    }

    /// Writes an attachment into the fallback index, where the registry has no API.
    pub(crate) async fn list_in_fallback(
        &self,
        located: &Located,
        subject: &Digest,
        descriptor: &Descriptor,
    ) -> Result<(), RegistryError> {
        if self.ask_api(located, subject, false).await?.is_some() {
            return Ok(());
        }
        // Not the same for two who collide, or they would again.
        let more = Duration::from_millis(u64::from(descriptor.digest.as_bytes()[0]) / 4);
        let tag = located.tagged(fallback_tag(subject));
        for _ in 0..MOST_WRITES {
            let found = self.find(&tag).await?;
            let mut index = match &found {
                Some(manifest) => read_index(located, manifest)?,
                None => Index::empty(),
            };
            let digest = descriptor.digest;
            if index.manifests.iter().any(|one| one.digest == digest) {
                return Ok(());
            }
            index.manifests.push(descriptor.clone());
            let bytes = serde_json::to_vec(&index);
            let bytes = bytes.map_err(|error| unreadable(located, &error.to_string()))?;
            self.put_manifest(&tag, &bytes.into(), IMAGE_INDEX).await?;
            // A registry has no 'put if unchanged': whoever read the index before this and
            // wrote it after has taken this out of it, which the next look sees.
            tokio::time::sleep(LEFT_ALONE + more).await;
        }
        Err(RegistryError {
            doing: "attach something in",
            subject: tag.to_string(),
            registry: located.registry.clone(),
            fault: Box::new(Fault::Malformed {
                what: "the index of attachments",
                why: "others keep writing over it".into(),
            }),
        })
    }

    /// Everything that is attached to a manifest. Whoever looks into them takes those of
    /// one kind, and not any number.
    ///
    /// # Errors
    /// See [`Fault`]; also a list of more than anybody needs.
    pub async fn referrers(
        &self,
        located: &Located,
        subject: &Digest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let manifests = match self.ask_api(located, subject, true).await? {
            Some(mut manifests) => {
                self.name_kinds(located, &mut manifests).await?;
                manifests
            }
            None => match self.find(&located.tagged(fallback_tag(subject))).await? {
                Some(manifest) => read_index(located, &manifest)?.manifests,
                None => Vec::new(),
            },
        };
        if manifests.len() > MOST_LISTED {
            let why = format!("there are more than {MOST_LISTED} of them");
            return Err(unreadable(located, &why));
        }
        let all = manifests.into_iter();
        Ok(all.map(|descriptor| Referrer { descriptor }).collect())
    }

    /// Some products list the type of the config in place of the attachment's, as a draft of
    /// the specification had it: of these the manifest says what they are.
    async fn name_kinds(
        &self,
        located: &Located,
        manifests: &mut [Descriptor],
    ) -> Result<(), RegistryError> {
        let unnamed = |one: &&mut Descriptor| {
            let kind = one.artifact_type.as_deref();
            let unnamed = kind.is_none_or(|kind| [EMPTY_CONFIG, ""].contains(&kind));
            unnamed && one.media_type == IMAGE_MANIFEST
        };
        let unnamed = manifests.iter_mut().filter(unnamed).take(MOST_UNNAMED);
        let named = unnamed.map(async |one| {
            // One that is listed and isn't there is attached to nothing.
            let Some(manifest) = self.find(&located.digested(one.digest)).await? else {
                return Ok(());
            };
            let artifact = read_artifact(located, &manifest)?;
            one.artifact_type = artifact.kind.or_else(|| one.artifact_type.take());
            one.annotations = artifact.annotations;
            Ok(())
        });
        let named = stream::iter(named).buffer_unordered(AT_ONCE);
        named.try_collect().await
    }

    /// `None`: the registry has no referrers API. Without `all`, what the first page has.
    async fn ask_api(
        &self,
        located: &Located,
        subject: &Digest,
        all: bool,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let doing = "list what is attached in";
        let path = format!("/v2/{}/referrers/{subject}", located.repository);
        let Some(pages) = self.json(located, path, all, doing).await? else {
            return Ok(None);
        };
        let mut manifests = Vec::new();
        for page in pages {
            match serde_json::from_value::<Index>(page) {
                Ok(index) => manifests.extend(index.manifests),
                // Another thing under this path.
                Err(_) if manifests.is_empty() => return Ok(None),
                Err(error) => return Err(unreadable(located, &error.to_string())),
            }
        }
        Ok(Some(manifests))
    }

    /// The bytes of an attachment, with what is said about them.
    ///
    /// # Errors
    /// See [`Fault`]; one without exactly one layer can't be read.
    pub async fn attachment(
        &self,
        located: &Located,
        referrer: &Referrer,
    ) -> Result<Attachment, RegistryError> {
        let limit = self.settings().attachment_limit;
        self.attachment_within(located, referrer, limit).await
    }

    async fn attachment_within(
        &self,
        located: &Located,
        referrer: &Referrer,
        limit: u64,
    ) -> Result<Attachment, RegistryError> {
        let at = located.digested(referrer.descriptor.digest);
        let manifest = self.manifest(&at).await?;
        let artifact = read_artifact(located, &manifest)?;
        let [layer] = artifact.layers.as_slice() else {
            let count = artifact.layers.len();
            return Err(unreadable(
                located,
                &format!("an attachment has {count} layers"),
            ));
        };
        let bytes = self.blob(located, &layer.digest, layer.size, limit).await?;
        let config = artifact.config.map(|config| config.media_type);
        let listed = referrer.descriptor.artifact_type.clone();
        Ok(Attachment {
            artifact_type: artifact.kind.or(listed).or(config).unwrap_or_default(),
            media_type: layer.media_type.clone(),
            bytes,
            annotations: artifact.annotations,
            layer_annotations: layer.annotations.clone(),
        })
    }

    /// Every signature of a manifest, in either form, among what is attached to it.
    ///
    /// # Errors
    /// See [`Fault`]. An attachment that can't be had is an error too: without it a
    /// signed package would seem unsigned.
    pub async fn signatures(
        &self,
        located: &Located,
        subject: &Digest,
        referrers: &[Referrer],
    ) -> Result<Vec<Attachment>, RegistryError> {
        let mut found = Vec::new();
        let mut bundles: Vec<&Referrer> = referrers
            .iter()
            .filter(|one| one.artifact_type() == BUNDLE_MEDIA_TYPE)
            .collect();
        // Signed SBOMs and the like are bundles too, and last.
        bundles.sort_by_key(|one| {
            let said = one.descriptor.annotations.get(PREDICATE_TYPE_ANNOTATION);
            said.is_some_and(|said| said != COSIGN_PREDICATE_TYPE)
        });
        if bundles.len() > MOST {
            tracing::warn!(%located, %subject, count = bundles.len(), "only {MOST} bundles are looked at");
        }
        for referrer in bundles.into_iter().take(MOST) {
            let attachment = self.attachment_within(located, referrer, SIGNATURE_LIMIT);
            match attachment.await {
                Err(error) if matches!(*error.fault, Fault::TooLarge { .. }) => {}
                other => found.push(other?),
            }
        }
        let tag = located.tagged(legacy_tag(subject, "sig"));
        if let Some(manifest) = self.find(&tag).await? {
            let artifact = read_artifact(located, &manifest)?;
            let small = |layer: &Descriptor| layer.size <= SIGNATURE_LIMIT;
            for layer in artifact.layers.into_iter().filter(small).take(MOST) {
                let limit = SIGNATURE_LIMIT;
                let bytes = self.blob(located, &layer.digest, layer.size, limit).await?;
                let mut attachment = Attachment::new(layer.media_type, bytes);
                attachment.layer_annotations = layer.annotations;
                found.push(attachment);
            }
        }
        found.retain(|one| one.to_signature().is_some());
        Ok(found)
    }

    /// Writes layers of the older form under a tag. They are there already.
    pub(crate) async fn put_layers(
        &self,
        tag: &OciReference,
        layers: Vec<Descriptor>,
    ) -> Result<(), RegistryError> {
        let located = &tag.located;
        // What cosign writes there: the config of an image without content.
        let ids: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
        let config = serde_json::json!({
            "architecture": "", "created": "0001-01-01T00:00:00Z", "os": "",
            "rootfs": { "type": "layers", "diff_ids": ids }, "config": {}
        });
        let config = Bytes::from(config.to_string());
        let manifest = serde_json::to_vec(&Written {
            schema_version: 2,
            media_type: IMAGE_MANIFEST,
            artifact_type: None,
            config: Descriptor::of("application/vnd.oci.image.config.v1+json", &config),
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        });
        let manifest = manifest.map_err(|error| unreadable(located, &error.to_string()))?;
        self.put_blob(located, &config).await?;
        self.put_manifest(tag, &manifest.into(), IMAGE_MANIFEST)
            .await
    }
}

/// The layers of a manifest in the older form.
pub(crate) fn layers(
    located: &Located,
    manifest: &Manifest,
) -> Result<Vec<Descriptor>, RegistryError> {
    Ok(read_artifact(located, manifest)?.layers)
}

impl Attachment {
    /// The signature that it is, if it is one.
    pub fn to_signature(&self) -> Option<Signature> {
        Signature::from_layer(
            &self.media_type,
            &self.layer_annotations,
            self.bytes.to_vec(),
        )
    }
}

fn read_index(located: &Located, manifest: &Manifest) -> Result<Index, RegistryError> {
    serde_json::from_slice(&manifest.bytes).map_err(|error| unreadable(located, &error.to_string()))
}

fn read_artifact(located: &Located, manifest: &Manifest) -> Result<Artifact, RegistryError> {
    serde_json::from_slice(&manifest.bytes).map_err(|error| unreadable(located, &error.to_string()))
}

fn unreadable(located: &Located, why: &str) -> RegistryError {
    RegistryError {
        doing: "read what is attached in",
        subject: located.to_string(),
        registry: located.registry.clone(),
        fault: Box::new(Fault::Malformed {
            what: "an attachment",
            why: shortened(why),
        }),
    }
}
