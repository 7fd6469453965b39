//! Everything of the crate that needs no registry: signatures, trust and the cache.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

mod cache;
mod deaths;
mod disk;
mod figures;
mod rows;
mod sign;
mod trust;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_registry::cache::{Attachment, Contents, Key};
use darkroom_registry::digest::Digest;
use darkroom_registry::sign::{LegacySignature, Password, PrivateKey, PublicKey};
use serde_json::{Value, json};

/// A file that cosign made; `fixtures/README.md` says how.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn fixture_text(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

fn cosign_password() -> Password {
    Password::new("throwaway password")
}

fn cosign_public() -> PublicKey {
    PublicKey::from_pem(&fixture_text("cosign.pub")).unwrap()
}

/// The PKCS#8 PEM of a key of P-256.
fn new_pem() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

fn new_key() -> PrivateKey {
    PrivateKey::from_pem(&new_pem(), None).unwrap()
}

/// A signature in cosign's older form, which nothing but tests makes.
fn legacy_signature(
    key: &PrivateKey,
    manifest: &Digest,
    reference: &str,
    said: &Value,
) -> LegacySignature {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": reference },
            "image": { "docker-manifest-digest": manifest },
            "type": "cosign container image signature",
        },
        "optional": said,
    });
    let payload = payload.to_string().into_bytes();
    let signature = STANDARD.encode(key.sign(&payload));
    LegacySignature { payload, signature }
}

/// The manifest that cosign signed.
fn manifest() -> Digest {
    Digest::of(&fixture("manifest.json"))
}

fn key(version: &str) -> Key {
    Key {
        registry: "ghcr.io/acme".into(),
        package: "acme:hardening".into(),
        version: version.into(),
    }
}

/// A package with a component of `size` bytes of its own.
fn contents(version: &str, size: usize) -> Contents {
    let word = Digest::of(version.as_bytes()).hex().into_bytes();
    Contents {
        manifest: format!("the manifest of {version}").into_bytes(),
        component: word.into_iter().cycle().take(size).collect(),
        attachments: vec![Attachment {
            media_type: "text/plain".into(),
            annotations: [("of".to_owned(), version.to_owned())].into(),
            bytes: format!("attached to {version}").into_bytes(),
        }],
    }
}
