//! Keys and the way to a cloud: what a client of the ECS wire is made of.
//!
//! With the local cloud keys come from its own accounts file and nowhere else; real keys
//! are never shown to it. With Alibaba Cloud they come from where [`keys`] finds them, and are
//! asked for at once, so that a verb without keys ends before it has done anything.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use darkroom_ecs::client::{CallError, Client};
use darkroom_ecs::credentials::keyring::KeyError;
use darkroom_ecs::credentials::{Credentials, CredentialsError, Keyring, Secret};
use darkroom_ecs::endpoint::{self, Resolver};
use darkroom_ecs::transport::{HttpOptions, HttpTransport, TransportError};
use darkroom_local::files::{AccountsFile, FileError};
use darkroom_template::{Cloud, nearest};
use jiff::Timestamp;

use crate::cloud::keys;
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
    NoKeys {
        config: PathBuf,
        #[source]
        tried: Option<KeyError>,
    },
    #[error("{path} can't be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the keys for Alibaba Cloud can't be used")]
    Credentials(#[source] CredentialsError),
    #[error("no keys for Alibaba Cloud could be had")]
    Keys(#[source] KeyError),
    #[error("HTTP can't be set up")]
    Transport(#[source] TransportError),
}

impl AccessError {
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoAccount { wanted, known } => {
                let names = || known.iter().map(String::as_str);
                match nearest(wanted, names()) {
                    Some(near) => format!("did you mean `--account {near}`?"),
                    None => format!("its accounts are {}", known.join(", ")),
                }
            }
            Self::NoKeys { config, .. } => format!(
                "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or run \
                 `aliyun configure`, which writes {}; without `--on aliyun` no keys are needed",
                config.display()
            ),
            Self::Credentials(error) => error.hint(),
            Self::Keys(error) => return error.hint.clone(),
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
    pub(crate) keyring: Keyring,
    pub(crate) resolver: Resolver,
    /// Where the keys come from, for people.
    pub(crate) from: String,
}

impl Access {
    /// Finds keys and the way to the cloud that was decided on. The local cloud is
    /// started if it isn't running.
    pub(crate) async fn open(settings: &Settings, roots: &Roots) -> Result<Self, Failure> {
        let resolver = match settings.cloud {
            Cloud::Local => {
                let cloud = LocalCloud::new(roots.clone());
                cloud.ensure().await?;
                cloud.resolver()
            }
            Cloud::Aliyun => endpoint::public(),
        };
        Self::open_at(resolver, transport()?, settings, roots).await
    }

    /// The same where the way to the cloud is known.
    pub(crate) async fn open_at(
        resolver: Resolver,
        transport: Arc<HttpTransport>,
        settings: &Settings,
        roots: &Roots,
    ) -> Result<Self, Failure> {
        let wanted = settings.account.as_deref();
        let (keyring, from) = match settings.cloud {
            Cloud::Local => {
                let accounts = AccountsFile::read(&roots.local).map_err(AccessError::Accounts)?;
                let accounts = accounts.ok_or(AccessError::NoAccounts)?;
                let credentials = local_credentials(&accounts, wanted)?;
                (credentials.into(), "the local cloud's accounts".to_owned())
            }
            Cloud::Aliyun => real_keyring(wanted, &transport).await?,
        };
        Ok(Self {
            transport,
            keyring,
            resolver,
            from,
        })
    }

    /// A client for verbs that ask the cloud themselves.
    pub(crate) fn client(&self) -> Client {
        Client::builder(
            Arc::clone(&self.transport) as _,
            self.keyring.clone(),
            Arc::clone(&self.resolver),
        )
        .user_agent(user_agent())
        .build()
    }
}

/// The way out of this machine.
pub(crate) fn transport() -> Result<Arc<HttpTransport>, AccessError> {
    let options = http_options(&|name| std::env::var(name).ok());
    let transport = HttpTransport::new(options).map_err(AccessError::Transport)?;
    Ok(Arc::new(transport))
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

/// A keyring that has been asked once, and where its keys come from.
async fn real_keyring(
    profile: Option<&str>,
    transport: &Arc<HttpTransport>,
) -> Result<(Keyring, String), AccessError> {
    let found = keys::find(&|name| std::env::var(name).ok(), profile)?;
    let from = found.way.to_string();
    tracing::debug!(from, "keys");
    let tools = keys::tools(Arc::clone(transport))?;
    let keyring = found.way.keyring(tools, Arc::new(Timestamp::now));
    match keyring.credentials().await {
        Ok(_) => Ok((keyring, from)),
        Err(error) if found.last_resort => Err(AccessError::NoKeys {
            config: found.config,
            tried: Some(error),
        }),
        Err(error) => Err(AccessError::Keys(error)),
    }
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
}
