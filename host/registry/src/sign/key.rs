//! Keys: ECDSA on the curve P-256, the only kind that signs here.
//!
//! Private keys come as PKCS#8 PEM (`openssl genpkey`) or in cosign's encrypted file, which
//! `sealed.rs` opens; public ones as SPKI PEM. The command line reads the files and asks
//! for passwords. Nothing of a private key is ever in a `Debug` text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::SecretKey;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::der::pem;
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding};
use zeroize::Zeroizing;

use super::sealed;
use crate::digest::{Digest, DigestError};

/// The longest key file, in bytes: one of ours has 700, an RSA key's 4,000; stops a file
/// that was never meant as a key.
pub(crate) const LONGEST: usize = 64 * 1024;

/// A password, wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Of these bytes. An empty one is a password too: cosign makes such keys.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The name of a key: the SHA-256 of its SPKI DER, by which cosign's bundles point to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Digest);

impl KeyId {
    /// As `verificationMaterial.publicKey.hint` of a bundle has it: base64 of the SHA-256.
    pub fn hint(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }

    pub(super) fn from_hint(hint: &str) -> Option<Self> {
        let bytes: [u8; 32] = STANDARD.decode(hint).ok()?.try_into().ok()?;
        Some(Self(bytes.into()))
    }
}

/// `sha256:` and 64 digits: what a lock records as the signer, and what
/// `openssl pkey -pubin -in k.pub -outform der | sha256sum` prints.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    /// From SPKI PEM, `-----BEGIN PUBLIC KEY-----` (RFC 7468 section 13).
    ///
    /// # Errors
    /// What isn't one, or isn't of P-256.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match label(text)? {
            "PUBLIC KEY" => {}
            label if label.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
            label => return Err(KeyError::Label(label.into())),
        }
        let key = VerifyingKey::from_public_key_pem(text.trim()).map_err(|_| KeyError::Kind)?;
        Self::new(key)
    }

    fn new(key: VerifyingKey) -> Result<Self, KeyError> {
        let der = key.to_public_key_der().map_err(|_| KeyError::Kind)?;
        let id = KeyId(Digest::of(der.as_bytes()));
        Ok(Self { key, id })
    }

    /// As SPKI PEM, the form of `cosign.pub`.
    ///
    /// # Errors
    /// None that are known; the encoder could run out of memory.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.key
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| KeyError::Kind)
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Whether `signature`, ASN.1 DER (RFC 3279 section 2.2.3), is this key's of the
    /// SHA-256 of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::try_from(signature)
            .is_ok_and(|signature| self.key.verify(message, &signature).is_ok())
    }
}

/// A key that signs. It is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct PrivateKey {
    key: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    /// From PKCS#8 PEM, or from cosign's encrypted file, for which `password` is needed.
    /// It is not looked at for a key that isn't encrypted.
    ///
    /// # Errors
    /// What isn't a private key of P-256, a missing or a wrong password.
    pub fn from_pem(text: &str, password: Option<&Password>) -> Result<Self, KeyError> {
        match label(text)? {
            "PRIVATE KEY" => {
                let key = SecretKey::from_pkcs8_pem(text.trim()).map_err(|_| KeyError::Kind)?;
                Self::new(key.into())
            }
            sealed::LABEL | sealed::OLD_LABEL => {
                let password = password.ok_or(KeyError::NoPassword)?;
                let (_, sealed) =
                    pem::decode_vec(text.trim().as_bytes()).map_err(|_| KeyError::NotPem)?;
                let der = sealed::open(&sealed, password)?;
                let key = SecretKey::from_pkcs8_der(&der).map_err(|_| KeyError::Kind)?;
                Self::new(key.into())
            }
            "PUBLIC KEY" => Err(KeyError::Public),
            "EC PRIVATE KEY" => Err(KeyError::Sec1),
            label => Err(KeyError::Label(label.into())),
        }
    }

    /// Whether `text` is a key that [`from_pem`](Self::from_pem) needs a password for.
    pub fn is_encrypted(text: &str) -> bool {
        label(text).is_ok_and(|label| [sealed::LABEL, sealed::OLD_LABEL].contains(&label))
    }

    fn new(key: SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::new(*key.verifying_key())?;
        Ok(Self { key, public })
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs the SHA-256 of `message`; ASN.1 DER. The same message gives the same
    /// signature (RFC 6979).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.key.sign(message);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(… of {})", self.public.id)
    }
}

/// The label of the first PEM block of `text`.
fn label(text: &str) -> Result<&str, KeyError> {
    if text.len() > LONGEST {
        return Err(KeyError::NotPem);
    }
    pem::decode_label(text.trim().as_bytes()).map_err(|_| KeyError::NotPem)
}

/// Why a text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM block is in it.
    #[error("it is not a key in PEM form")]
    NotPem,
    /// A block of another kind is in it.
    #[error("it is a PEM block `{0}`, which is no key that is understood")]
    Label(String),
    /// A private key where a public one is wanted.
    #[error("it is a private key; a public one belongs here")]
    Private,
    /// A public key where a private one is wanted.
    #[error("it is a public key; signing needs the private one")]
    Public,
    /// The older form of a private key.
    #[error("it is a private key in SEC 1 form, not in PKCS#8")]
    Sec1,
    /// Another algorithm or curve, or a block with damaged content.
    #[error("it is not a key of ECDSA on the curve P-256")]
    Kind,
    /// It is encrypted, and no password was given.
    #[error("the key is encrypted, and there is no password for it")]
    NoPassword,
    /// It can't be decrypted.
    #[error("the password doesn't fit the key, or the key is damaged")]
    WrongPassword,
    /// The block isn't as cosign writes it.
    #[error("the encrypted key can't be read: {0}")]
    Sealed(&'static str),
}

impl KeyError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotPem | Self::Label(_) => {
                "a public key begins with `-----BEGIN PUBLIC KEY-----`, a private one with \
                 `-----BEGIN PRIVATE KEY-----` or `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----`"
            }
            Self::Private => {
                "never give the private key away; `openssl pkey -in KEY -pubout` prints its public half"
            }
            Self::Public => {
                "give the file whose text begins with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN ENCRYPTED`"
            }
            Self::Sec1 => "`openssl pkcs8 -topk8 -nocrypt -in KEY` prints it as PKCS#8",
            Self::Kind => {
                "`cosign generate-key-pair` and `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` make such keys"
            }
            Self::NoPassword => "give the password with which the key was made; it may be empty",
            Self::WrongPassword => "it is the password with which the key was made",
            Self::Sealed(_) => "make the key with `cosign generate-key-pair`",
        }
    }
}
