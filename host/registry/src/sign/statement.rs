//! In-toto statements: what a bundle's signature says of which artifacts.
//!
//! A package's signature is a statement with cosign's predicate type and an empty
//! predicate; an SBOM or a provenance is one with its own. Nothing here signs or verifies.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::signature::Claims;
use crate::digest::Digest;

/// The type of a statement ([in-toto attestation, statement v1]).
///
/// [in-toto attestation, statement v1]: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The DSSE payload type of a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The predicate type by which cosign 3 signs an image; its predicate is empty.
pub const COSIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The signed annotation that names the package, such as `acme:hardening`; a manifest has
/// the same.
pub const PACKAGE_ANNOTATION: &str = "dev.darkroom.package";
/// The signed annotation that names its version, such as `1.2.0`.
pub const VERSION_ANNOTATION: &str = "dev.darkroom.version";

/// What is stated, of whom.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// The artifacts.
    #[serde(rename = "subject", default)]
    pub subjects: Vec<Subject>,
    /// What kind of statement it is, a URI.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is stated, in the shape that the predicate type says.
    #[serde(default)]
    pub predicate: Value,
}

/// An artifact that is stated something of (in-toto's `ResourceDescriptor`, in part).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Subject {
    /// A name for people.
    pub name: Option<String>,
    /// Digests by algorithm: `sha256` to 64 digits.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// What else was said of it.
    #[serde(default)]
    pub annotations: Map<String, Value>,
}

impl Statement {
    /// A statement of one artifact.
    pub fn new(subject: Subject, predicate_type: impl Into<String>, predicate: Value) -> Self {
        Self {
            kind: STATEMENT_TYPE.into(),
            subjects: vec![subject],
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// The signature of a package: what `cosign sign` states of its manifest, and the name
    /// and version it was published as.
    pub fn of_package(manifest: &Digest, claims: &Claims) -> Self {
        let mut subject = Subject::of(manifest);
        subject.annotations = claims.to_annotations();
        Self::new(subject, COSIGN_PREDICATE_TYPE, Value::Object(Map::new()))
    }

    /// The payload that is signed: the same bytes for the same statement.
    pub fn to_json(&self) -> Vec<u8> {
        let subjects: Vec<_> = self.subjects.iter().map(Subject::to_value).collect();
        let statement = json!({
            "_type": self.kind,
            "subject": subjects,
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        });
        statement.to_string().into_bytes()
    }

    /// Whether this says `_type` as a statement does; version 0.1 counts, since older
    /// tools write it and the fields read here are the same.
    pub fn is_statement(&self) -> bool {
        [STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1"].contains(&self.kind.as_str())
    }

    /// The subject with this digest.
    pub fn subject(&self, digest: &Digest) -> Option<&Subject> {
        self.subjects
            .iter()
            .find(|subject| subject.sha256() == Some(*digest))
    }
}

impl Subject {
    /// An artifact with a digest and nothing else.
    pub fn of(digest: &Digest) -> Self {
        Self {
            digest: BTreeMap::from([("sha256".into(), digest.hex())]),
            ..Self::default()
        }
    }

    fn to_value(&self) -> Value {
        let mut subject = Map::new();
        if let Some(name) = &self.name {
            subject.insert("name".into(), name.clone().into());
        }
        subject.insert("digest".into(), json!(self.digest));
        // Also where there are none, as cosign does.
        subject.insert("annotations".into(), self.annotations.clone().into());
        subject.into()
    }

    /// Its SHA-256, if it has one.
    pub fn sha256(&self) -> Option<Digest> {
        Digest::from_hex(self.digest.get("sha256")?).ok()
    }
}
