//! Signatures: keys, and what is made with them for a package in a registry.
//!
//! A package is signed by its manifest's digest, which covers all of it. There are two
//! forms, both those of [cosign]:
//!
//! * the **bundle** (cosign 3): a DSSE envelope around an in-toto statement, in a JSON
//!   file that is attached to the manifest as a referrer ([`Bundle`]);
//! * the **legacy** one: a "simple signing" payload as a layer under the tag
//!   `sha256-<hex>.sig`, the signature in an annotation ([`LegacySignature`]).
//!
//! A digest says nothing about names, so that a signed 1.0.0 could be offered as 1.2.0.
//! Ours therefore also say what they were made for, in the signed annotations where
//! `cosign sign -a` puts them ([`Claims`]).
//!
//! `trust` decides with this which package may be used; `publish` signs. Nothing here
//! knows a policy, a registry or a file, and nothing asks anybody for a password.
//! Certificates and transparency logs are not understood: only keys sign.
//!
//! [cosign]: https://github.com/sigstore/cosign

mod bundle;
mod key;
mod legacy;
mod sealed;
mod signature;
mod statement;

pub use bundle::{
    BUNDLE_MEDIA_TYPE, Bundle, BundleError, CONTENT_ANNOTATION, PREDICATE_TYPE_ANNOTATION,
    VerifyError,
};
pub use key::{KeyError, KeyId, Password, PrivateKey, PublicKey};
pub use legacy::{
    LEGACY_SIGNATURE_ANNOTATION, LegacySignature, SIMPLE_SIGNING_MEDIA_TYPE, SimpleSigning,
};
pub use signature::{Claims, Signature};
pub use statement::{
    COSIGN_PREDICATE_TYPE, PACKAGE_ANNOTATION, PAYLOAD_TYPE, STATEMENT_TYPE, Statement, Subject,
    VERSION_ANNOTATION,
};
