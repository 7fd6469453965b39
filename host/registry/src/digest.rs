//! [`Digest`]: the SHA-256 by which everything here is named; the contract's.

pub use darkroom_contract::{Digest, DigestError};
