//! cosign's encrypted private key: a PEM block whose content is JSON, the PKCS#8 DER in a
//! `NaCl` secretbox under a key that scrypt derives from the password.
//!
//! The form is that of `go-securesystemslib/encrypted`. Only `key.rs` uses this; it knows
//! no elliptic curve.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::key::{KeyError, Password};

/// The PEM label that cosign 2 and 3 write.
pub(super) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// The one that cosign 1 wrote.
pub(super) const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

const NONCE: usize = 24;

/// The work factors that cosign has ever written, as powers of two. Others are refused: a
/// file could ask for any amount of memory.
const WORK: [u8; 3] = [15, 16, 17];
const BLOCK: u32 = 8;
const LANES: u32 = 1;

#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// The PKCS#8 DER in `sealed`, the content of the PEM block.
pub(super) fn open(sealed: &[u8], password: &Password) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unread = KeyError::Sealed;
    let sealed: Sealed =
        serde_json::from_slice(sealed).map_err(|_| unread("it isn't the JSON of such a key"))?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        return Err(unread("it isn't encrypted with scrypt and nacl/secretbox"));
    }
    let Params { n, r, p } = sealed.kdf.params;
    let work = WORK
        .into_iter()
        .find(|work| 1 << work == n)
        .filter(|_| (r, p) == (BLOCK, LANES))
        .ok_or(unread("its scrypt parameters are none of cosign's"))?;
    let bytes = |text: &str| {
        STANDARD
            .decode(text)
            .map_err(|_| unread("its base64 is damaged"))
    };
    let nonce: [u8; NONCE] = bytes(&sealed.cipher.nonce)?
        .try_into()
        .map_err(|_| unread("its nonce hasn't 24 bytes"))?;
    let salt = bytes(&sealed.kdf.salt)?;
    let ciphertext = bytes(&sealed.ciphertext)?;
    cipher(password, &salt, work)?
        .decrypt(&Nonce::from(nonce), ciphertext.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| KeyError::WrongPassword)
}

fn cipher(password: &Password, salt: &[u8], work: u8) -> Result<XSalsa20Poly1305, KeyError> {
    let params = scrypt::Params::new(work, BLOCK, LANES)
        .map_err(|_| KeyError::Sealed("scrypt refuses its parameters"))?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.bytes(), salt, &params, key.as_mut_slice())
        .map_err(|_| KeyError::Sealed("scrypt refuses its parameters"))?;
    Ok(XSalsa20Poly1305::new(Key::from_slice(key.as_slice())))
}
