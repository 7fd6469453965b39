//! Whose calls they are: a key, its secret, and a token when the key is temporary.
//!
//! - [`Credentials`]: what one call is signed with.
//! - [`keyring`]: what a client asks for them, which has temporary ones renewed.
//! - [`way`]: where they come from, and how they are asked for there; [`profile`]: what a
//!   profile says of it; [`sts`], [`metadata`]: two who grant them.
//!
//! Nothing is read from the environment or from files here: the caller hands in what
//! it found there. A secret shows itself in no `Debug` output and has no `Display`.

mod answer;
pub mod keyring;
pub mod metadata;
pub mod profile;
pub mod sts;
pub mod way;

use std::fmt;

pub use keyring::Keyring;
pub use way::Way;

/// The variable of the key's id.
pub const VARIABLE_ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
/// The variable of the key's secret.
pub const VARIABLE_SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
/// The variable of a temporary key's token.
pub const VARIABLE_TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for a signature or a header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key of Alibaba Cloud or of a local cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Id of the key. It is sent.
    pub access_key_id: String,
    /// Its secret. It signs and is never sent.
    pub access_key_secret: Secret,
    /// Token of a temporary key. It is sent.
    pub security_token: Option<Secret>,
}

/// Why no credentials came of what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// One of the two variables is set and the other isn't.
    #[error("{set} is set, but {missing} is not")]
    Half {
        /// The variable that is set.
        set: &'static str,
        /// The variable that isn't.
        missing: &'static str,
    },
    /// The configuration of the `aliyun` command line can't be read.
    #[error("the aliyun configuration is not understood at {0}")]
    Malformed(String),
    /// It has no such profile.
    #[error("there is no profile '{name}'; there are {}", known.join(", "))]
    NoProfile {
        /// The profile that was asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The profile gets its key in a way that isn't supported.
    #[error("profile '{profile}' has mode '{mode}', which is not supported")]
    Mode {
        /// The profile.
        profile: String,
        /// Its mode.
        mode: String,
    },
    /// Profiles that get their keys by one another.
    #[error("profile '{profile}' gets its keys by itself, in a circle")]
    Circle {
        /// One of them.
        profile: String,
    },
    /// The profile lacks a value that its mode needs.
    #[error("profile '{profile}' has no {field}")]
    Incomplete {
        /// The profile.
        profile: String,
        /// The field.
        field: &'static str,
    },
}

impl CredentialsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Half { missing, .. } => format!("set {missing} too, or neither of them"),
            Self::Malformed(_) => "write it again with `aliyun configure`".to_owned(),
            Self::NoProfile { .. } => "name one of these, or none for the current one".to_owned(),
            Self::Mode { mode, .. } => profile::mode_hint(mode),
            Self::Circle { .. } => {
                "name another source_profile, one that has keys of its own".to_owned()
            }
            Self::Incomplete { profile, .. } => {
                format!("run `aliyun configure --profile {profile}`")
            }
        }
    }
}

impl Credentials {
    /// Reads the three variables through `variable`; `None` when neither key nor secret
    /// is set. Empty counts as not set.
    ///
    /// # Errors
    /// Only one of the two is set.
    pub fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CredentialsError> {
        let read = |name: &str| variable(name).filter(|value| !value.is_empty());
        match (read(VARIABLE_ID), read(VARIABLE_SECRET)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(CredentialsError::Half {
                set: VARIABLE_ID,
                missing: VARIABLE_SECRET,
            }),
            (None, Some(_)) => Err(CredentialsError::Half {
                set: VARIABLE_SECRET,
                missing: VARIABLE_ID,
            }),
            (Some(access_key_id), Some(secret)) => Ok(Some(Self {
                access_key_id,
                access_key_secret: Secret(secret),
                security_token: read(VARIABLE_TOKEN).map(Secret),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_a_whole() {
        let read = |set: &'static [(&str, &str)]| {
            Credentials::from_environment(&move |name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(VARIABLE_ID, ""), (VARIABLE_TOKEN, "t")]), Ok(None));
        let both = read(&[
            (VARIABLE_ID, "id"),
            (VARIABLE_SECRET, "se"),
            (VARIABLE_TOKEN, "t"),
        ]);
        let both = both.unwrap().unwrap();
        assert_eq!(both.security_token, Some(Secret::new("t")));
        let error = read(&[(VARIABLE_ID, "id")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ALIBABA_CLOUD_ACCESS_KEY_ID is set, but ALIBABA_CLOUD_ACCESS_KEY_SECRET is not"
        );
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let credentials = Credentials {
            access_key_id: "STS.1".into(),
            access_key_secret: Secret::new("s2"),
            security_token: Some(Secret::new("t2")),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("STS.1") && !shown.contains("s2"), "{shown}");
        assert!(!shown.contains("t2"), "{shown}");
    }
}
