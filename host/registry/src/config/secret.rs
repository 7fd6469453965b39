//! [`Secret`] and [`Credentials`]: what a registry is told about who asks.
//!
//! `config` reads them, `client` sends them. They can't be printed: `Debug` says that
//! there is one, and there is no `Display`. Nothing here writes one anywhere.

use std::fmt;

use zeroize::Zeroizing;

/// A password or a token. Its memory is overwritten when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the request that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who asks a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Anybody.
    #[default]
    Anonymous,
    /// Somebody with a name and a password. Where the registry works with tokens
    /// ([distribution's token protocol]) they go to its token service only.
    ///
    /// [distribution's token protocol]: https://distribution.github.io/distribution/spec/auth/token/
    Basic {
        /// The name.
        username: String,
        /// The password, or a token in its place.
        password: Secret,
    },
    /// Somebody with a token that the registry takes as it is.
    Bearer(Secret),
}
