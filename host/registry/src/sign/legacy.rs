//! cosign's older form: a "simple signing" payload as a layer of an image under the tag
//! `sha256-<hex>.sig`, with the signature in the layer's annotation.
//!
//! It is read and verified, since packages are signed so; nothing here makes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bundle::VerifyError;
use super::key::PublicKey;
use crate::digest::Digest;

/// The media type of the layer.
pub const SIMPLE_SIGNING_MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of the layer's descriptor that holds the signature, base64 of ASN.1 DER.
pub const LEGACY_SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

const KIND: &str = "cosign container image signature";

/// A payload and its signature, as they came from the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacySignature {
    /// The layer.
    pub payload: Vec<u8>,
    /// The annotation.
    pub signature: String,
}

/// What a payload says ([containers-signature, JSON data format]).
///
/// [containers-signature, JSON data format]: https://github.com/containers/image/blob/main/docs/containers-signature.5.md
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleSigning {
    /// The manifest that was signed.
    pub manifest: Digest,
    /// Where it was then, such as `ghcr.io/acme/hardening`.
    pub reference: String,
    /// What else the signer said.
    pub annotations: Map<String, Value>,
}

impl LegacySignature {
    /// What it says, if `key` signed it.
    ///
    /// # Errors
    /// A signature that isn't this key's of this payload, or a payload of another kind.
    pub fn verify(&self, key: &PublicKey) -> Result<SimpleSigning, VerifyError> {
        let signature = STANDARD.decode(self.signature.trim());
        if !signature.is_ok_and(|signature| key.verifies(&self.payload, &signature)) {
            return Err(VerifyError::Signature);
        }
        let other = VerifyError::Kind {
            found: "something else",
            wanted: "a container image",
        };
        let wire: Wire = serde_json::from_slice(&self.payload).map_err(|_| other.clone())?;
        let Critical {
            identity,
            image,
            kind,
        } = wire.critical;
        let manifest = image.docker_manifest_digest.parse().ok();
        manifest
            .filter(|_| kind == KIND)
            .map(|manifest| SimpleSigning {
                manifest,
                reference: identity.docker_reference,
                annotations: wire.optional.unwrap_or_default(),
            })
            .ok_or(other)
    }
}

#[derive(Deserialize)]
struct Wire {
    critical: Critical,
    optional: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}
