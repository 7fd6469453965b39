//! Where the keys for Alibaba Cloud come from: the official clients' order, over variables,
//! profiles and files of this machine.
//!
//! 1. `ALIBABA_CLOUD_ACCESS_KEY_ID` and its fellows.
//! 2. A role by OIDC, when its three variables are set.
//! 3. A profile of the `aliyun` command line.
//! 4. A section of `~/.alibabacloud/credentials`.
//! 5. The role of the ECS instance that this runs on.
//! 6. The address in `ALIBABA_CLOUD_CREDENTIALS_URI`.
//!
//! A profile that was named wins over everything. Unlike with the official clients, the first
//! of 1 to 4 that is there decides, and if it is wrong that is said: keys of somebody else,
//! found further down, would build in another account. How keys are asked for is
//! `darkroom_ecs::credentials::way`'s. The local cloud knows nothing of all this.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::credentials::way::{ReadFile, Role, RunProgram, Tools};
use darkroom_ecs::credentials::{Credentials, CredentialsError, Way, metadata, profile};
use darkroom_ecs::transport::{HttpOptions, HttpTransport};

use super::access::{AccessError, user_agent};

/// How long the metadata service may take, and a program that prints keys.
const NEAR: Duration = Duration::from_secs(1);
const PROGRAM: Duration = Duration::from_mins(1);

/// The way that was decided on.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) way: Way,
    /// Whether nothing was set up at all, so that only the instance's role is left to try.
    pub(crate) last_resort: bool,
    /// The configuration of the `aliyun` command line, whether it is there or not.
    pub(crate) config: PathBuf,
}

/// Decides where keys come from.
pub(crate) fn find(
    variable: &dyn Fn(&str) -> Option<String>,
    profile: Option<&str>,
) -> Result<Found, AccessError> {
    let finder = Finder { variable };
    let config = finder.path("ALIBABA_CLOUD_CONFIG_FILE", ".aliyun/config.json");
    let found = |way| Found {
        way,
        last_resort: false,
        config: config.clone(),
    };
    if profile.is_none() {
        if let Some(way) = finder.environment()? {
            return Ok(found(way));
        }
        if let Some(way) = finder.oidc()? {
            return Ok(found(way));
        }
    }
    let wanted = profile
        .map(str::to_owned)
        .or_else(|| finder.set("ALIBABA_CLOUD_PROFILE"));
    if let Some(way) = finder.profile(&config, wanted.as_deref(), profile.is_some())? {
        return Ok(found(way));
    }
    let uri = finder.set("ALIBABA_CLOUD_CREDENTIALS_URI");
    let ways: Vec<_> = finder
        .instance()
        .into_iter()
        .chain(uri.clone().map(|uri| Way::Uri { uri }))
        .collect();
    let last_resort = uri.is_none() && finder.set("ALIBABA_CLOUD_ECS_METADATA").is_none();
    let way = match <[Way; 1]>::try_from(ways) {
        Ok([way]) => way,
        Err(none) if none.is_empty() => {
            return Err(AccessError::NoKeys {
                config,
                tried: None,
            });
        }
        Err(several) => Way::First(several),
    };
    Ok(Found {
        last_resort,
        ..found(way)
    })
}

struct Finder<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Finder<'_> {
    fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn says(&self, name: &str) -> bool {
        self.set(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn path(&self, name: &str, below_home: &str) -> PathBuf {
        match self.set(name) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(self.set("HOME").unwrap_or_default()).join(below_home),
        }
    }

    fn environment(&self) -> Result<Option<Way>, AccessError> {
        let found =
            Credentials::from_environment(self.variable).map_err(AccessError::Credentials)?;
        Ok(found.map(|credentials| Way::Fixed {
            credentials,
            from: "the environment".to_owned(),
        }))
    }

    /// `ALIBABA_CLOUD_ROLE_ARN` alone may be meant for others; the other two may not.
    fn oidc(&self) -> Result<Option<Way>, AccessError> {
        const NAMES: [&str; 3] = [
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
            "ALIBABA_CLOUD_ROLE_ARN",
        ];
        let [file, provider, arn] = NAMES.map(|name| self.set(name));
        let (file, provider, arn) = match (file, provider, arn) {
            (Some(file), Some(provider), Some(arn)) => (file, provider, arn),
            (None, None, _) => return Ok(None),
            (file, _, arn) => {
                let (set, missing) = match (file, arn) {
                    (None, _) => (NAMES[1], NAMES[0]),
                    (Some(_), None) => (NAMES[0], NAMES[2]),
                    (Some(_), Some(_)) => (NAMES[0], NAMES[1]),
                };
                return Err(AccessError::Credentials(CredentialsError::Half {
                    set,
                    missing,
                }));
            }
        };
        Ok(Some(Way::Oidc {
            provider,
            token_file: file.into(),
            role: Role {
                arn,
                session: self.set("ALIBABA_CLOUD_ROLE_SESSION_NAME"),
                sts_region: self.set("ALIBABA_CLOUD_STS_REGION"),
                vpc: self.says("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"),
                ..Role::default()
            },
        }))
    }

    /// `named`: by a flag, so that one of the two files must have it.
    fn profile(
        &self,
        config: &Path,
        wanted: Option<&str>,
        named: bool,
    ) -> Result<Option<Way>, AccessError> {
        let disabled = self.says("ALIBABA_CLOUD_CLI_PROFILE_DISABLED");
        if let Some(text) = read(config)?.filter(|_| !disabled) {
            let way = profile::of_cli(&text, wanted).map_err(AccessError::Credentials)?;
            return Ok(Some(way));
        }
        let ini = self.path(
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            ".alibabacloud/credentials",
        );
        if let Some(text) = read(&ini)? {
            let way = profile::of_ini(&text, wanted).map_err(AccessError::Credentials)?;
            if way.is_some() {
                return Ok(way);
            }
        }
        if named {
            let config = config.to_owned();
            return Err(AccessError::NoKeys {
                config,
                tried: None,
            });
        }
        Ok(None)
    }

    fn instance(&self) -> Option<Way> {
        let allowed = !self.says("ALIBABA_CLOUD_ECS_METADATA_DISABLED");
        allowed.then(|| Way::Instance {
            role: self.set("ALIBABA_CLOUD_ECS_METADATA"),
            v1: !self.says("ALIBABA_CLOUD_IMDSV1_DISABLED"),
        })
    }
}

fn read(path: &Path) -> Result<Option<String>, AccessError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(AccessError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What asking for keys is done with on this machine.
pub(crate) fn tools(transport: Arc<HttpTransport>) -> Result<Tools, AccessError> {
    let near = HttpTransport::new(HttpOptions {
        connect_timeout: NEAR,
        timeout: NEAR,
        ..HttpOptions::default()
    });
    let read: ReadFile = Arc::new(|path| std::fs::read_to_string(path));
    let run: RunProgram = Arc::new(|words| Box::pin(printed(words)));
    Ok(Tools {
        transport,
        near: Arc::new(near.map_err(AccessError::Transport)?),
        nonce: Arc::new(|| uuid::Uuid::new_v4().to_string()),
        user_agent: user_agent(),
        sts: None,
        metadata: metadata::endpoint(),
        read,
        run,
    })
}

/// Runs a program without a shell. What it prints is a secret; what it complains of goes to
/// the terminal, where it may also ask for something.
async fn printed(words: Vec<String>) -> io::Result<Vec<u8>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::Error::other("no program is named"));
    };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    let ended = tokio::time::timeout(PROGRAM, child.wait_with_output()).await;
    let output = ended.map_err(|_| io::Error::other("it printed nothing within 60 s"))??;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(io::Error::other(format!("it ended with {}", output.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"current": "a", "profiles": [
        {"name": "a", "mode": "AK", "access_key_id": "ia", "access_key_secret": "s"},
        {"name": "b", "mode": "EcsRamRole", "ram_role_name": "box"}]}"#;
    const INI: &str = "[default]\ntype = access_key\naccess_key_id = ii\naccess_key_secret = s\n";

    /// A home with these files, and these variables.
    fn found(
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
        profile: Option<&str>,
    ) -> Result<Found, AccessError> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let variable = |name: &str| {
            if name == "HOME" {
                return Some(home.path().to_str().unwrap().to_owned());
            }
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        };
        find(&variable, profile)
    }

    const ENVIRONMENT: &[(&str, &str)] = &[
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ie"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s"),
    ];
    const OIDC: &[(&str, &str)] = &[
        ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/ci"),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/t"),
    ];
    const URI: (&str, &str) = ("ALIBABA_CLOUD_CREDENTIALS_URI", "http://localhost/keys");

    #[test]
    fn the_order_is_that_of_the_official_clients() {
        let cli = (".aliyun/config.json", CONFIG);
        let ini = (".alibabacloud/credentials", INI);
        let way = |files: &[_], variables: &[&[(&str, &str)]], profile| {
            let found = found(files, &variables.concat(), profile).unwrap();
            (found.way.to_string(), found.last_resort)
        };
        let said = |text: &str| (text.to_owned(), false);
        let all = [cli, ini];
        let uri = [URI];
        assert_eq!(
            way(&all, &[ENVIRONMENT, OIDC, &uri], None),
            said("the environment")
        );
        assert_eq!(
            way(&all, &[OIDC, &uri], None),
            said("role acs:ram::1:role/ci by a token of OIDC")
        );
        assert_eq!(way(&all, &[&uri], None), said("profile 'a'"));
        assert_eq!(
            way(&all, &[&[("ALIBABA_CLOUD_PROFILE", "b")]], None),
            said("the role box of this instance")
        );
        assert_eq!(
            way(&all, &[ENVIRONMENT], Some("b")),
            said("the role box of this instance")
        );
        let no_cli = [("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")];
        assert_eq!(way(&all, &[&no_cli, &uri], None), said("section 'default'"));
        assert_eq!(way(&[ini], &[&uri], None), said("section 'default'"));
        assert_eq!(
            way(&[], &[&uri], None),
            said("the role of this instance, else http://localhost/keys")
        );
        let no_instance = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "TRUE")];
        assert_eq!(
            way(&[], &[&uri, &no_instance], None),
            said("http://localhost/keys")
        );
        assert_eq!(
            way(&[], &[], None),
            ("the role of this instance".to_owned(), true)
        );
        let nothing = found(&[], &no_instance, None).unwrap_err();
        assert!(matches!(nothing, AccessError::NoKeys { .. }));
    }

    #[test]
    fn half_of_what_is_needed_is_said() {
        let error = found(&[], &ENVIRONMENT[..1], None).unwrap_err();
        assert!(
            error
                .hint()
                .unwrap()
                .contains("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        );
        for missing in 0..3 {
            let mut some = OIDC.to_vec();
            let (name, _) = some.remove(missing);
            let error = found(&[], &some, None).unwrap_err();
            let hint = error.hint().unwrap();
            assert!(hint.contains(name), "{hint}");
        }
        // A role alone may be meant for somebody else.
        assert!(found(&[], &OIDC[..1], None).unwrap().last_resort);
        let named = found(&[], &[], Some("work")).unwrap_err();
        assert!(named.hint().unwrap().contains("aliyun configure"));
    }

    #[tokio::test]
    async fn a_program_prints_keys_or_says_nothing_of_them() {
        let run = |line: &str| printed(line.split_whitespace().map(str::to_owned).collect());
        assert_eq!(run("echo {}").await.unwrap(), b"{}\n");
        assert!(
            run("false")
                .await
                .unwrap_err()
                .to_string()
                .contains("exit status: 1")
        );
        assert!(run("/nowhere/at-all").await.is_err() && run("").await.is_err());
    }
}
