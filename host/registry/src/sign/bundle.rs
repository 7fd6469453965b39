//! The Sigstore bundle v0.3 with a key: read, verified and made.
//!
//! ```json
//! {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
//!  "verificationMaterial": {"publicKey": {"hint": "base64 of the key id"}},
//!  "dsseEnvelope": {"payload": "base64", "payloadType": "application/vnd.in-toto+json",
//!                   "signatures": [{"sig": "base64"}]}}
//! ```
//!
//! `cosign sign` and `attest` write it so; the `messageSignature` of `cosign sign-blob` is
//! of a file, not of a package, and refused. The payload of an envelope is kept as the
//! bytes that were signed: JSON that is written anew would be other bytes. Entries of
//! transparency logs and time stamps in it are neither looked at nor counted for anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::key::{KeyId, PrivateKey, PublicKey};
use super::statement::{PAYLOAD_TYPE, Statement};

/// The media type of a bundle, also its artifact type as a referrer.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The annotation of a referrer that says what its bundle holds: `dsse-envelope`.
pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";
/// The annotation of a referrer that names the predicate type of its bundle.
pub const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// The older way to write the same media type.
const OLD_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// A signature with what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    hint: String,
    payload: Vec<u8>,
    payload_type: String,
    signature: Vec<u8>,
}

/// Why a bundle can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It isn't the JSON of a bundle.
    #[error("it is not a Sigstore bundle")]
    Json(#[source] serde_json::Error),
    /// It is of another version.
    #[error("it is a bundle of the type `{0}`; `{BUNDLE_MEDIA_TYPE}` is understood")]
    Type(String),
    /// It was signed by a certificate, not by a key.
    #[error("it is signed with a certificate, not with a key")]
    Certificate,
    /// It is what `cosign sign-blob` makes.
    #[error("it signs a file, not a statement")]
    File,
    /// A field isn't what it must be.
    #[error("`{0}` in it is damaged")]
    Field(&'static str),
}

/// Why a bundle is not what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Another key made it, or something was altered.
    #[error("the signature is not this key's of this content")]
    Signature,
    /// What was signed is of another kind than asked for.
    #[error("it signs {found}, not {wanted}")]
    Kind {
        /// What it signs.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The signature is good, and what it signs is no statement.
    #[error("what it signs is no in-toto statement")]
    Statement,
}

impl Bundle {
    /// Signs a statement.
    pub fn sign(key: &PrivateKey, statement: &Statement) -> Self {
        let payload = statement.to_json();
        let signature = key.sign(&pre_authentication(PAYLOAD_TYPE, &payload));
        Self {
            hint: key.public().id().hint(),
            payload,
            payload_type: PAYLOAD_TYPE.into(),
            signature,
        }
    }

    /// Reads a bundle; verifies nothing.
    ///
    /// # Errors
    /// Anything else than a bundle v0.3 that a key signed.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let wire: WireBundle = serde_json::from_slice(bytes).map_err(BundleError::Json)?;
        if ![BUNDLE_MEDIA_TYPE, OLD_MEDIA_TYPE].contains(&wire.media_type.as_str()) {
            return Err(BundleError::Type(
                wire.media_type.chars().take(100).collect(),
            ));
        }
        let key = wire.verification_material.public_key;
        let hint = key.ok_or(BundleError::Certificate)?.hint;
        let decode = |text: &str, field| {
            let damaged = |_| BundleError::Field(field);
            STANDARD.decode(text).map_err(damaged)
        };
        let envelope = match wire.dsse_envelope {
            Some(envelope) => envelope,
            None if wire.message_signature.is_some() => return Err(BundleError::File),
            None => return Err(BundleError::Field("dsseEnvelope")),
        };
        // DSSE allows more; a bundle has exactly one.
        let [signature] = envelope.signatures.as_slice() else {
            return Err(BundleError::Field("dsseEnvelope.signatures"));
        };
        Ok(Self {
            hint,
            payload: decode(&envelope.payload, "dsseEnvelope.payload")?,
            payload_type: envelope.payload_type,
            signature: decode(&signature.sig, "dsseEnvelope.signatures")?,
        })
    }

    /// The bytes that are attached to a manifest; the same for the same bundle.
    pub fn to_json(&self) -> Vec<u8> {
        let bundle = json!({
            "mediaType": BUNDLE_MEDIA_TYPE,
            "verificationMaterial": { "publicKey": { "hint": self.hint } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&self.payload),
                "payloadType": self.payload_type,
                "signatures": [{ "sig": STANDARD.encode(&self.signature) }],
            },
        });
        bundle.to_string().into_bytes()
    }

    /// The key that it says it was signed with; nothing has checked that.
    pub fn key_id(&self) -> Option<KeyId> {
        KeyId::from_hint(&self.hint)
    }

    /// What it says that it states, for choosing among several bundles before one is
    /// verified. Nothing has checked it.
    pub fn unverified_statement(&self) -> Option<Statement> {
        serde_json::from_slice(&self.payload).ok()
    }

    /// The statement, if `key` signed it.
    ///
    /// # Errors
    /// A signature that isn't this key's of this content, or one of something else.
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, VerifyError> {
        let message = pre_authentication(&self.payload_type, &self.payload);
        if !key.verifies(&message, &self.signature) {
            return Err(VerifyError::Signature);
        }
        // After the signature: what a stranger wrote isn't read.
        if self.payload_type != PAYLOAD_TYPE {
            return Err(VerifyError::Statement);
        }
        serde_json::from_slice(&self.payload)
            .ok()
            .filter(Statement::is_statement)
            .ok_or(VerifyError::Statement)
    }
}

/// What DSSE signs: the type belongs to it, so that a payload can't be passed off as
/// another kind ([DSSE protocol]).
///
/// [DSSE protocol]: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_length, length) = (payload_type.len(), payload.len());
    let mut message = format!("DSSEv1 {type_length} {payload_type} {length} ").into_bytes();
    message.extend_from_slice(payload);
    message
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBundle {
    media_type: String,
    verification_material: WireMaterial,
    dsse_envelope: Option<WireEnvelope>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    public_key: Option<WireKey>,
}

#[derive(Deserialize)]
struct WireKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Deserialize)]
struct WireSignature {
    sig: String,
}
