//! [`Signature`]: one signature of a package, in whichever form the registry had it.
//!
//! Pulling and the cache make these, `trust` judges them. Nothing here decides.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::bundle::BUNDLE_MEDIA_TYPE;
use super::legacy::{LEGACY_SIGNATURE_ANNOTATION, LegacySignature, SIMPLE_SIGNING_MEDIA_TYPE};
use super::statement::{PACKAGE_ANNOTATION, VERSION_ANNOTATION};

/// A signature as it was found, not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The JSON of a bundle.
    Bundle(Vec<u8>),
    /// A layer under the `.sig` tag.
    Legacy(LegacySignature),
}

impl Signature {
    /// From a layer with its media type and its descriptor's annotations; `None` for a
    /// layer of another kind.
    pub fn from_layer(
        media_type: &str,
        annotations: &BTreeMap<String, String>,
        bytes: Vec<u8>,
    ) -> Option<Self> {
        match media_type {
            BUNDLE_MEDIA_TYPE => Some(Self::Bundle(bytes)),
            SIMPLE_SIGNING_MEDIA_TYPE => Some(Self::Legacy(LegacySignature {
                payload: bytes,
                signature: annotations.get(LEGACY_SIGNATURE_ANNOTATION)?.clone(),
            })),
            _ => None,
        }
    }
}

/// What a signer says the package is. Who signs with cosign says it with
/// `-a dev.darkroom.package=… -a dev.darkroom.version=…`, or says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Its name, such as `acme:hardening`.
    pub package: Option<String>,
    /// Its version, such as `1.2.0`.
    pub version: Option<String>,
}

impl Claims {
    /// Of a package with a name and a version.
    pub fn new(package: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            package: Some(package.into()),
            version: Some(version.into()),
        }
    }

    pub(super) fn to_annotations(&self) -> Map<String, Value> {
        let pairs = [
            (PACKAGE_ANNOTATION, &self.package),
            (VERSION_ANNOTATION, &self.version),
        ];
        let said = |(key, value): (&str, &Option<String>)| {
            let value = value.clone()?;
            Some((key.to_owned(), value.into()))
        };
        pairs.into_iter().filter_map(said).collect()
    }

    /// From the annotations that were signed.
    pub(crate) fn from_annotations(annotations: &Map<String, Value>) -> Self {
        // A claim that isn't a text is one that fits nothing.
        let text = |key: &str| {
            let value = annotations.get(key)?;
            Some(
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        };
        Self {
            package: text(PACKAGE_ANNOTATION),
            version: text(VERSION_ANNOTATION),
        }
    }
}
