//! How a package lies in a registry: the [CNCF layout of WebAssembly artifacts].
//!
//! One manifest, a config that says what is imported and exported, one layer that is the
//! file itself. The same file and [`Metadata`] give the same bytes, so the same digests.
//!
//! `publish` writes it, `pull` reads it. The file isn't looked into: whether a layer is a
//! component, or one of ours, is judged by who pulls (`host/runtime` does it before a
//! component is used). Nothing here opens a connection.
//!
//! [CNCF layout of WebAssembly artifacts]: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::client::Manifest;
use crate::digest::Digest;
use crate::name::{PackageName, shortened};

/// A manifest ([OCI image spec, manifest]).
///
/// [OCI image spec, manifest]: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of manifests ([OCI image spec, index]).
///
/// [OCI image spec, index]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The config of a package.
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The layer of a package: a module or a component as it is.
pub const WASM_LAYER: &str = "application/wasm";
/// The annotation with the package's name; the wasm layout has none for it.
pub use crate::sign::PACKAGE_ANNOTATION;

/// The time of everything that is told none: what is published is the same whenever.
const EPOCH: &str = "1970-01-01T00:00:00Z";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What is said about a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// One line.
    pub description: Option<String>,
    /// An SPDX expression, such as `Apache-2.0`.
    pub licenses: Option<String>,
    /// Who made it.
    pub authors: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// When it was made (RFC 3339); 1970 without.
    pub created: Option<String>,
    /// The interfaces that it imports, such as `darkroom:component/steps@0.1.0`.
    pub imports: Vec<String>,
    /// Those that it exports.
    pub exports: Vec<String>,
    /// Other annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// A name and a version, and nothing else said.
    pub fn new(name: PackageName, version: Version) -> Self {
        Self {
            name,
            version,
            description: None,
            licenses: None,
            authors: None,
            source: None,
            url: None,
            created: None,
            imports: Vec::new(),
            exports: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// The tag of a version: tags can't hold a `+`.
    pub fn tag(&self) -> String {
        tag(&self.version)
    }
}

/// The tag of a version, with `_` for `+`.
pub fn tag(version: &Version) -> String {
    version.to_string().replace('+', "_")
}

/// The version of a tag, if it is one.
pub fn version(tag: &str) -> Option<Version> {
    tag.replacen('_', "+", 1).parse().ok()
}

/// A package as it is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Its digest, by which the package is signed.
    pub manifest_digest: Digest,
    /// The config.
    pub config: Vec<u8>,
    /// The digest of the file.
    pub component_digest: Digest,
}

/// A manifest as it is written; also of attachments.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written<'a> {
    pub(crate) schema_version: u8,
    pub(crate) media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<&'a str>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What names a blob or a manifest ([OCI image spec, descriptor]).
///
/// [OCI image spec, descriptor]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What kind of attachment, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What is said about it.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Some tools write `null` for what is empty.
pub(crate) fn or_empty<'d, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'d>,
    T: Default + Deserialize<'d>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Descriptor {
    /// Of some bytes.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [Digest; 1],
    component: Interfaces<'a>,
}

#[derive(Serialize)]
struct Interfaces<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// Lays a file out: a component, or a WIT package in its binary form.
///
/// # Errors
/// Nothing that was seen: texts always become JSON.
pub fn build(component: &[u8], metadata: &Metadata) -> Result<Built, serde_json::Error> {
    let mut layer = Descriptor::of(WASM_LAYER, component);
    let component_digest = layer.digest;
    let title = format!("{}.wasm", metadata.name.name());
    layer
        .annotations
        .insert("org.opencontainers.image.title".into(), title);
    let config = serde_json::to_vec(&Config {
        created: metadata.created.as_deref().unwrap_or(EPOCH),
        author: metadata.authors.as_deref(),
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [component_digest],
        component: Interfaces {
            exports: &metadata.exports,
            imports: &metadata.imports,
        },
    })?;
    let manifest = serde_json::to_vec(&Written {
        schema_version: 2,
        media_type: IMAGE_MANIFEST,
        artifact_type: None,
        config: Descriptor::of(WASM_CONFIG, &config),
        layers: vec![layer],
        subject: None,
        annotations: annotations(metadata),
    })?;
    Ok(Built {
        manifest_digest: Digest::of(&manifest),
        manifest,
        config,
        component_digest,
    })
}

fn annotations(metadata: &Metadata) -> BTreeMap<String, String> {
    let mut all = metadata.annotations.clone();
    let version = metadata.version.to_string();
    let said = [
        ("version", Some(&version)),
        ("description", metadata.description.as_ref()),
        ("licenses", metadata.licenses.as_ref()),
        ("authors", metadata.authors.as_ref()),
        ("source", metadata.source.as_ref()),
        ("url", metadata.url.as_ref()),
        ("created", metadata.created.as_ref()),
    ];
    for (key, value) in said {
        if let Some(value) = value {
            all.insert(format!("org.opencontainers.image.{key}"), value.clone());
        }
    }
    all.insert(PACKAGE_ANNOTATION.into(), metadata.name.to_string());
    all
}

/// A package's manifest, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Its config.
    pub config: Descriptor,
    /// Its file.
    pub component: Descriptor,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
}

impl Layout {
    /// The version that the package says it has.
    pub fn version(&self) -> Option<&str> {
        let version = self.annotations.get("org.opencontainers.image.version");
        version.map(String::as_str)
    }

    /// What it says that it is called, where that is something else than `name`.
    pub fn other_name(&self, name: &PackageName) -> Option<String> {
        let said = self.annotations.get(PACKAGE_ANNOTATION)?;
        (*said != name.to_string()).then(|| shortened(said))
    }

    /// The version that it says it has, where that is another than `version`. Signatures
    /// know digests, so only this keeps an old version from being offered as a new one.
    pub fn other_version(&self, version: &Version) -> Option<String> {
        let said = self.version()?;
        (said.parse().ok().as_ref() != Some(version)).then(|| shortened(said))
    }
}

/// What isn't a package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// It isn't JSON, or no manifest.
    #[error("its manifest can't be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// An index of several manifests.
    #[error("it is an index of {count} manifests, not a package")]
    Index {
        /// How many.
        count: usize,
    },
    /// A manifest of another kind.
    #[error("its manifest is of the kind {found}")]
    Kind {
        /// Its media type.
        found: String,
    },
    /// More or fewer than one layer.
    #[error("it has {count} layers; a package has one")]
    Layers {
        /// How many.
        count: usize,
    },
    /// The config of something else, such as a container image.
    #[error("its config is of the kind {found}")]
    Config {
        /// Its media type.
        found: String,
    },
    /// A layer that isn't WebAssembly.
    #[error("its layer is of the kind {found}")]
    Layer {
        /// Its media type.
        found: String,
    },
    /// It says that it is another version than its tag.
    #[error("it says that it is version {found}, not {expected}")]
    Version {
        /// What it says.
        found: String,
        /// What was asked for.
        expected: String,
    },
}

impl LayoutError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Version { .. } => {
                "somebody gave the tag of one version to another; pull it by digest, or ask who \
                 publishes it"
            }
            Self::Unreadable { .. } => "is it an OCI registry?",
            _ => {
                "a package is one layer application/wasm with a config \
                 application/vnd.wasm.config.v0+json, as `darkroom component publish` and \
                 `wkg publish` make it"
            }
        }
    }
}

/// A manifest as others may have written it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "or_empty")]
    annotations: BTreeMap<String, String>,
}

/// Reads the manifest of a package.
///
/// # Errors
/// What it is instead.
pub fn parse(manifest: &Manifest) -> Result<Layout, LayoutError> {
    parse_bytes(&manifest.bytes, &manifest.media_type)
}

/// Reads the manifest of a package, with what the registry said that it is, or nothing.
///
/// # Errors
/// What it is instead.
pub fn parse_bytes(bytes: &[u8], media_type: &str) -> Result<Layout, LayoutError> {
    let unreadable = |why: &str| LayoutError::Unreadable {
        why: shortened(why),
    };
    let json: Value =
        serde_json::from_slice(bytes).map_err(|error| unreadable(&error.to_string()))?;
    let own = json.get("mediaType").and_then(Value::as_str);
    let kind = own.unwrap_or(media_type);
    // By what it is, too: a type that is missing doesn't make it a manifest.
    let index = json.get("manifests").and_then(Value::as_array);
    if index.is_some() || [IMAGE_INDEX, DOCKER_INDEX].contains(&kind) {
        return Err(LayoutError::Index {
            count: index.map_or(0, Vec::len),
        });
    }
    if ![IMAGE_MANIFEST, ""].contains(&kind) {
        return Err(LayoutError::Kind {
            found: shortened(kind),
        });
    }
    let layers = json.get("layers").and_then(Value::as_array).map(Vec::len);
    if let Some(count) = layers.filter(|count| *count != 1) {
        return Err(LayoutError::Layers { count });
    }
    let read: Read =
        serde_json::from_value(json).map_err(|error| unreadable(&error.to_string()))?;
    if read.config.media_type != WASM_CONFIG {
        return Err(LayoutError::Config {
            found: shortened(&read.config.media_type),
        });
    }
    let count = read.layers.len();
    let mut layers = read.layers.into_iter();
    match layers.next() {
        Some(layer) if layer.media_type == WASM_LAYER => Ok(Layout {
            config: read.config,
            component: layer,
            annotations: read.annotations,
        }),
        Some(layer) => Err(LayoutError::Layer {
            found: shortened(&layer.media_type),
        }),
        None => Err(LayoutError::Layers { count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata() -> Metadata {
        let name = "acme:hardening".parse().expect("a name");
        Metadata {
            description: Some("Hardens".into()),
            exports: vec!["darkroom:component/builder@0.1.0".into()],
            ..Metadata::new(name, "1.2.0+b.1".parse().expect("a version"))
        }
    }

    #[test]
    fn the_same_gives_the_same_and_is_read_back() {
        let built = build(b"\0asm", &metadata()).expect("built");
        assert_eq!(built, build(b"\0asm", &metadata()).expect("built"));
        let text = String::from_utf8(built.manifest.clone()).expect("text");
        insta::assert_snapshot!(text, @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.wasm.config.v0+json","digest":"sha256:2697e4210e9e7def0fa454d5442789568d53d524c855eb294e90db86dbab3207","size":235},"layers":[{"mediaType":"application/wasm","digest":"sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f","size":4,"annotations":{"org.opencontainers.image.title":"hardening.wasm"}}],"annotations":{"dev.darkroom.package":"acme:hardening","org.opencontainers.image.description":"Hardens","org.opencontainers.image.version":"1.2.0+b.1"}}"#);
        insta::assert_snapshot!(String::from_utf8(built.config).expect("text"), @r#"{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":["sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f"],"component":{"exports":["darkroom:component/builder@0.1.0"],"imports":[]}}"#);
        let layout = parse_bytes(&built.manifest, IMAGE_MANIFEST).expect("read");
        assert_eq!(layout.component.digest, Digest::of(b"\0asm"));
        assert_eq!(layout.version(), Some("1.2.0+b.1"));
    }

    #[test]
    fn tags_hold_versions() {
        let metadata = metadata();
        assert_eq!(metadata.tag(), "1.2.0_b.1");
        assert_eq!(version("1.2.0_b.1"), Some(metadata.version));
        assert_eq!(version("latest"), None);
        assert_eq!(version("sha256-00"), None);
    }

    #[test]
    fn each_thing_that_is_no_package_is_told_apart() {
        let digest = Digest::of(b"").to_string();
        let of = |kind: &str| json!({"mediaType": kind, "digest": digest, "size": 0});
        let wasm = of(WASM_LAYER);
        let config = of(WASM_CONFIG);
        let cases = [
            (
                json!({"schemaVersion": 2, "manifests": [wasm, wasm]}),
                "index of 2",
            ),
            (json!({"mediaType": IMAGE_INDEX}), "index of 0"),
            (json!({"mediaType": "text/plain"}), "kind text/plain"),
            (
                json!({"config": config, "layers": [wasm, wasm]}),
                "2 layers",
            ),
            (json!({"config": config, "layers": []}), "0 layers"),
            (
                json!({"config": of("application/vnd.oci.image.config.v1+json"), "layers": [wasm]}),
                "config is of the kind application/vnd.oci.image.config.v1+json",
            ),
            (
                json!({"config": config, "layers": [of("application/x-tar")]}),
                "application/x-tar",
            ),
            (json!({"config": config}), "missing field `layers`"),
            (
                json!({"config": config, "layers": [{"mediaType": WASM_LAYER, "digest": "sha256:../..", "size": 1}]}),
                "can't be read",
            ),
            (
                json!({"config": config, "layers": [{"mediaType": WASM_LAYER, "digest": digest, "size": -1}]}),
                "can't be read",
            ),
            (json!([]), "can't be read"),
        ];
        for (manifest, said) in cases {
            let error = parse_bytes(manifest.to_string().as_bytes(), "").expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
