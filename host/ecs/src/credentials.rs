//! Whose calls they are: a key, its secret, and a token when the key is temporary.
//!
//! - [`Credentials`]: what one call is signed with.
//! - [`keyring`]: what a client asks for them, which has temporary ones renewed.
//!
//! Nothing is read from the environment or from files here: the caller hands in what
//! it found there. A secret shows itself in no `Debug` output and has no `Display`.

pub mod keyring;

use std::fmt;

use serde::Deserialize;

pub use keyring::Keyring;

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
    #[error("the aliyun configuration is not understood: {0}")]
    Malformed(String),
    /// It has no such profile.
    #[error("the aliyun configuration has no profile '{name}'; it has {known:?}")]
    NoProfile {
        /// The profile that was asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// The profile gets its key in a way that isn't supported.
    #[error(
        "profile '{profile}' of the aliyun configuration has mode '{mode}', which is not supported"
    )]
    Mode {
        /// The profile.
        profile: String,
        /// Its mode.
        mode: String,
    },
    /// The profile lacks a value that its mode needs.
    #[error("profile '{profile}' of the aliyun configuration has no {field}")]
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
            Self::Mode { .. } => format!(
                "use a profile of mode AK or StsToken, or set {VARIABLE_ID}, {VARIABLE_SECRET} \
                 and, for a temporary key, {VARIABLE_TOKEN}"
            ),
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

    /// Reads a profile of `~/.aliyun/config.json`, the current one unless `profile` names
    /// another. Modes AK and `StsToken` are supported.
    ///
    /// # Errors
    /// The text isn't such a configuration, or the profile isn't there, is incomplete or
    /// of another mode.
    pub fn from_cli_config(json: &str, profile: Option<&str>) -> Result<Self, CredentialsError> {
        let config: CliConfig = serde_json::from_str(json)
            .map_err(|error| CredentialsError::Malformed(error.to_string()))?;
        let name = profile.unwrap_or(&config.current);
        let Some(found) = config.profiles.iter().find(|known| known.name == name) else {
            return Err(CredentialsError::NoProfile {
                name: name.to_owned(),
                known: config
                    .profiles
                    .into_iter()
                    .map(|known| known.name)
                    .collect(),
            });
        };
        let with_token = match found.mode.as_str() {
            "AK" => false,
            "StsToken" => true,
            mode => {
                return Err(CredentialsError::Mode {
                    profile: name.to_owned(),
                    mode: mode.to_owned(),
                });
            }
        };
        let field = |value: &str, field| {
            if value.is_empty() {
                let profile = name.to_owned();
                return Err(CredentialsError::Incomplete { profile, field });
            }
            Ok(value.to_owned())
        };
        Ok(Self {
            access_key_id: field(&found.access_key_id, "access_key_id")?,
            access_key_secret: Secret(field(&found.access_key_secret, "access_key_secret")?),
            security_token: if with_token {
                Some(Secret(field(&found.sts_token, "sts_token")?))
            } else {
                None
            },
        })
    }
}

#[derive(Deserialize)]
struct CliConfig {
    #[serde(default = "default_profile")]
    current: String,
    profiles: Vec<CliProfile>,
}

fn default_profile() -> String {
    "default".to_owned()
}

#[derive(Deserialize)]
#[serde(default)]
struct CliProfile {
    name: String,
    mode: String,
    access_key_id: String,
    access_key_secret: String,
    sts_token: String,
}

impl Default for CliProfile {
    fn default() -> Self {
        Self {
            name: default_profile(),
            // A configuration as old as that has no other mode.
            mode: "AK".to_owned(),
            access_key_id: String::new(),
            access_key_secret: String::new(),
            sts_token: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"current": "work", "meta_path": "", "profiles": [
        {"name": "work", "mode": "AK", "access_key_id": "LTAI1", "access_key_secret": "s1", "region_id": "cn-hangzhou"},
        {"name": "temporary", "mode": "StsToken", "access_key_id": "STS.1", "access_key_secret": "s2", "sts_token": "t"},
        {"name": "role", "mode": "RamRoleArn", "access_key_id": "LTAI2", "access_key_secret": "s3"},
        {"name": "empty", "mode": "AK", "access_key_id": "LTAI3", "access_key_secret": ""}
    ]}"#;

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
    fn profiles_are_found_by_name() {
        let current = Credentials::from_cli_config(CONFIG, None).unwrap();
        assert_eq!(
            (current.access_key_id.as_str(), &current.security_token),
            ("LTAI1", &None)
        );
        let sts = Credentials::from_cli_config(CONFIG, Some("temporary")).unwrap();
        assert_eq!(sts.security_token, Some(Secret::new("t")));
    }

    #[test]
    fn a_profile_that_gives_no_key_says_why() {
        let error = |profile| Credentials::from_cli_config(CONFIG, Some(profile)).unwrap_err();
        assert!(
            error("role")
                .to_string()
                .contains("mode 'RamRoleArn', which is not supported")
        );
        assert!(error("role").hint().contains(VARIABLE_ID));
        assert!(error("nobody").to_string().contains("no profile 'nobody'"));
        assert!(
            error("empty")
                .to_string()
                .contains("has no access_key_secret")
        );
        assert!(matches!(
            Credentials::from_cli_config("[]", None),
            Err(CredentialsError::Malformed(_))
        ));
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let credentials = Credentials::from_cli_config(CONFIG, Some("temporary")).unwrap();
        let shown = format!("{credentials:?}");
        assert!(shown.contains("STS.1") && !shown.contains("s2"), "{shown}");
    }
}
