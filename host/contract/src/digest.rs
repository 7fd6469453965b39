//! SHA-256 as text, as the contract writes digests everywhere: downloads,
//! transcripts, components.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The SHA-256 of these bytes as 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a text can't fail.
        let _: std::fmt::Result = write!(text, "{byte:02x}");
    }
    text
}
