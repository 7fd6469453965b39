//! Keys and the way to a cloud: what a client of the ECS wire is made of.
//!
//! With the local cloud keys come from its own accounts file and nowhere else; real keys
//! are never shown to it. With Alibaba Cloud they come from the environment, else from
//! the profiles of the `aliyun` command line.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use darkroom_ecs::client::{CallError, Client};
use darkroom_ecs::credentials::{Credentials, CredentialsError, Secret};
use darkroom_ecs::endpoint::{Resolver, public_endpoint};
use darkroom_ecs::transport::{HttpOptions, HttpTransport, TransportError};
use darkroom_local::files::{AccountsFile, FileError};
use darkroom_template::{Cloud, nearest};

use crate::cloud::local_cloud::{LocalCloud, LocalCloudError};
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::settings::Settings;

/// The region of verbs that are told none.
pub(crate) const DEFAULT_REGION: &str = "cn-hangzhou";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("the local cloud has no account `{wanted}`")]
    NoAccount { wanted: String, known: Vec<String> },
    #[error("the accounts of the local cloud can't be read")]
    Accounts(#[source] FileError),
    #[error("the local cloud has made no accounts")]
    NoAccounts,
    #[error("there are no keys for Alibaba Cloud")]
    NoKeys { config: PathBuf },
    #[error("{path} can't be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the keys for Alibaba Cloud can't be used")]
    Credentials(#[source] CredentialsError),
    #[error("HTTP can't be set up")]
    Transport(#[source] TransportError),
}

impl AccessError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoAccount { wanted, known } => {
                let names = || known.iter().map(String::as_str);
                match nearest(wanted, names()) {
                    Some(near) => format!("did you mean `--account {near}`?"),
                    None => format!("its accounts are {}", known.join(", ")),
                }
            }
            Self::NoKeys { config } => format!(
                "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or run \
                 `aliyun configure`, which writes {}; without `--on aliyun` no keys are needed",
                config.display()
            ),
            Self::Credentials(error) => error.hint(),
            Self::Read { .. } => "make it readable for you alone".into(),
            Self::NoAccounts | Self::Accounts(_) => {
                "`darkroom local reset` makes the local cloud anew".into()
            }
            Self::Transport(_) => return None,
        })
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let hint = error.hint();
        let kind = match error {
            AccessError::NoAccount { .. } => Kind::User,
            _ => Kind::Config,
        };
        hint.into_iter().fold(Self::new(kind, error), Self::hint)
    }
}

impl From<LocalCloudError> for Failure {
    fn from(error: LocalCloudError) -> Self {
        let hint = error.hint();
        Self::config(error).hint(hint)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let hint = error.hint();
        hint.into_iter().fold(Self::cloud(error), Self::hint)
    }
}

/// What a client is made of.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) transport: Arc<HttpTransport>,
    pub(crate) credentials: Credentials,
    pub(crate) resolver: Resolver,
}

impl Access {
    /// Finds keys and the way to the cloud that was decided on. The local cloud is
    /// started if it isn't running.
    pub(crate) async fn open(settings: &Settings, roots: &Roots) -> Result<Self, Failure> {
        let (credentials, resolver) = match settings.cloud {
            Cloud::Local => {
                let cloud = LocalCloud::new(roots.clone());
                cloud.ensure().await?;
                let accounts = AccountsFile::read(&roots.local).map_err(AccessError::Accounts)?;
                let accounts = accounts.ok_or(AccessError::NoAccounts)?;
                let credentials = local_credentials(&accounts, settings.account.as_deref())?;
                (credentials, cloud.resolver())
            }
            Cloud::Aliyun => {
                let credentials = real_credentials(
                    &|name| std::env::var(name).ok(),
                    settings.account.as_deref(),
                )?;
                let resolver: Resolver =
                    Arc::new(|region| Box::pin(async move { public_endpoint(&region) }));
                (credentials, resolver)
            }
        };
        let transport = HttpTransport::new(http_options(&|name| std::env::var(name).ok()))
            .map_err(AccessError::Transport)?;
        Ok(Self {
            transport: Arc::new(transport),
            credentials,
            resolver,
        })
    }

    /// A client for verbs that ask the cloud themselves.
    pub(crate) fn client(&self) -> Client {
        Client::builder(
            Arc::clone(&self.transport) as _,
            self.credentials.clone(),
            Arc::clone(&self.resolver),
        )
        .user_agent(user_agent())
        .build()
    }
}

/// The proxy is the environment's; the local cloud is reached without one whatever is set.
fn http_options(variable: &dyn Fn(&str) -> Option<String>) -> HttpOptions {
    let first = |names: [&str; 4]| {
        let mut values = names.iter().filter_map(|name| variable(name));
        values.find(|value| !value.is_empty())
    };
    HttpOptions {
        proxy: first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        no_proxy: first(["NO_PROXY", "no_proxy", "", ""]),
        ..HttpOptions::default()
    }
}

/// How we name ourselves to a cloud.
pub(crate) fn user_agent() -> String {
    format!("darkroom/{}", env!("CARGO_PKG_VERSION"))
}

fn local_credentials(
    accounts: &AccountsFile,
    wanted: Option<&str>,
) -> Result<Credentials, AccessError> {
    let all = &accounts.accounts;
    let account = match wanted {
        None => all.first().ok_or(AccessError::NoAccounts)?,
        Some(wanted) => all
            .iter()
            .find(|account| account.name == wanted || account.id.to_string() == wanted)
            .ok_or_else(|| AccessError::NoAccount {
                wanted: wanted.to_owned(),
                known: all.iter().map(|account| account.name.clone()).collect(),
            })?,
    };
    Ok(Credentials {
        access_key_id: account.access_key_id.clone(),
        access_key_secret: Secret::new(account.access_key_secret.clone()),
        security_token: None,
    })
}

/// A profile that was asked for wins over the environment's keys: it was named.
fn real_credentials(
    variable: &dyn Fn(&str) -> Option<String>,
    profile: Option<&str>,
) -> Result<Credentials, AccessError> {
    if profile.is_none() {
        let found = Credentials::from_environment(variable).map_err(AccessError::Credentials)?;
        if let Some(credentials) = found {
            return Ok(credentials);
        }
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let path = match set("ALIBABA_CLOUD_CONFIG_FILE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(set("HOME").unwrap_or_default()).join(".aliyun/config.json"),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(AccessError::NoKeys { config: path });
        }
        Err(source) => return Err(AccessError::Read { path, source }),
    };
    let named = profile
        .map(str::to_owned)
        .or_else(|| set("ALIBABA_CLOUD_PROFILE"));
    Credentials::from_cli_config(&text, named.as_deref()).map_err(AccessError::Credentials)
}

#[cfg(test)]
mod tests {
    use darkroom_local::files::Account;

    use super::*;

    fn accounts() -> AccountsFile {
        let account = |name: &str, id: &str| Account {
            name: name.into(),
            id: id.parse().unwrap(),
            access_key_id: format!("key-of-{name}"),
            access_key_secret: "secret".into(),
        };
        AccountsFile {
            version: 1,
            accounts: vec![
                account("first", "1234567890123456"),
                account("second", "2234567890123456"),
            ],
        }
    }

    #[test]
    fn a_local_account_is_named_or_the_first() {
        let key = |wanted| local_credentials(&accounts(), wanted).map(|keys| keys.access_key_id);
        assert_eq!(key(None).unwrap(), "key-of-first");
        assert_eq!(key(Some("second")).unwrap(), "key-of-second");
        assert_eq!(key(Some("2234567890123456")).unwrap(), "key-of-second");
        let error = key(Some("secnod")).unwrap_err();
        assert_eq!(error.hint().unwrap(), "did you mean `--account second`?");
    }

    #[test]
    fn real_keys_come_from_the_environment_or_a_profile() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        std::fs::write(
            &config,
            r#"{"current": "a", "profiles": [
                {"name": "a", "mode": "AK", "access_key_id": "ia", "access_key_secret": "s"},
                {"name": "b", "mode": "AK", "access_key_id": "ib", "access_key_secret": "s"}]}"#,
        )
        .unwrap();
        let config = config.to_str().unwrap().to_owned();
        let key = |keys: bool, profile: Option<&str>, config: &str| {
            let variable = |name: &str| match name {
                "ALIBABA_CLOUD_ACCESS_KEY_ID" if keys => Some("ie".to_owned()),
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET" if keys => Some("s".to_owned()),
                "ALIBABA_CLOUD_CONFIG_FILE" => Some(config.to_owned()),
                _ => None,
            };
            real_credentials(&variable, profile).map(|keys| keys.access_key_id)
        };
        assert_eq!(key(true, None, &config).unwrap(), "ie");
        assert_eq!(key(true, Some("b"), &config).unwrap(), "ib");
        assert_eq!(key(false, None, &config).unwrap(), "ia");
        let missing = key(false, None, "/nowhere/config.json").unwrap_err();
        assert!(missing.hint().unwrap().contains("aliyun configure"));
    }
}
