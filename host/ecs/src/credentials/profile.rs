//! Profiles: `~/.aliyun/config.json` of the `aliyun` command line, and the older
//! `~/.alibabacloud/credentials`. Pure functions from their texts to a [`Way`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::way::{Role, Way};
use super::{Credentials, CredentialsError, Secret, VARIABLE_ID, VARIABLE_SECRET};

/// Profiles that take on a role by another one; more are a mistake or a circle.
const DEEPEST: usize = 5;

/// Reads a profile of the `aliyun` command line: the one named, else the current one.
///
/// # Errors
/// The text isn't such a configuration, or the profile isn't there, is incomplete or of a
/// mode that needs a person.
pub fn of_cli(json: &str, profile: Option<&str>) -> Result<Way, CredentialsError> {
    let config: Config = serde_json::from_str(json)
        // What stands there may be a secret: only the place is told.
        .map_err(|error| {
            CredentialsError::Malformed(format!("line {}, column {}", error.line(), error.column()))
        })?;
    let name = profile.unwrap_or(&config.current).to_owned();
    config.way(&name, 0)
}

#[derive(Deserialize)]
struct Config {
    #[serde(default = "default_name")]
    current: String,
    profiles: Vec<Profile>,
}

fn default_name() -> String {
    "default".to_owned()
}

#[derive(Deserialize)]
#[serde(default)]
struct Profile {
    name: String,
    mode: String,
    access_key_id: String,
    access_key_secret: String,
    sts_token: String,
    ram_role_arn: String,
    ram_session_name: String,
    expired_seconds: Option<u32>,
    sts_region: String,
    enable_vpc: bool,
    policy: String,
    external_id: String,
    #[serde(rename = "source_profile")]
    source: String,
    ram_role_name: String,
    oidc_provider_arn: String,
    oidc_token_file: String,
    process_command: String,
    credentials_uri: String,
}

impl Default for Profile {
    fn default() -> Self {
        let empty = String::new;
        Self {
            name: default_name(),
            // A configuration as old as that has no other mode.
            mode: "AK".to_owned(),
            access_key_id: empty(),
            access_key_secret: empty(),
            sts_token: empty(),
            ram_role_arn: empty(),
            ram_session_name: empty(),
            expired_seconds: None,
            sts_region: empty(),
            enable_vpc: false,
            policy: empty(),
            external_id: empty(),
            source: empty(),
            ram_role_name: empty(),
            oidc_provider_arn: empty(),
            oidc_token_file: empty(),
            process_command: empty(),
            credentials_uri: empty(),
        }
    }
}

impl Config {
    fn way(&self, name: &str, depth: usize) -> Result<Way, CredentialsError> {
        let Some(profile) = self.profiles.iter().find(|known| known.name == name) else {
            return Err(CredentialsError::NoProfile {
                name: name.to_owned(),
                known: self.profiles.iter().map(|one| one.name.clone()).collect(),
            });
        };
        if depth > DEEPEST {
            return Err(CredentialsError::Circle {
                profile: name.to_owned(),
            });
        }
        let base = |way| Box::new(way);
        Ok(match profile.mode.as_str() {
            "AK" | "" => profile.keys(false)?,
            "StsToken" => profile.keys(true)?,
            "RamRoleArn" => Way::Role {
                base: base(profile.keys(!profile.sts_token.is_empty())?),
                role: profile.role()?,
            },
            "EcsRamRole" => profile.instance(),
            "RamRoleArnWithEcs" | "RamRoleArnWithRoleName" => Way::Role {
                base: base(profile.instance()),
                role: profile.role()?,
            },
            "ChainableRamRoleArn" => {
                let source = profile.field(&profile.source, "source_profile")?;
                Way::Role {
                    base: base(self.way(&source, depth + 1)?),
                    role: profile.role()?,
                }
            }
            "OIDC" => Way::Oidc {
                provider: profile.field(&profile.oidc_provider_arn, "oidc_provider_arn")?,
                token_file: profile
                    .field(&profile.oidc_token_file, "oidc_token_file")?
                    .into(),
                role: profile.role()?,
            },
            "External" => Way::Program {
                command: profile.field(&profile.process_command, "process_command")?,
                from: profile.called(),
            },
            "CredentialsURI" => Way::Uri {
                uri: profile.field(&profile.credentials_uri, "credentials_uri")?,
            },
            mode => {
                return Err(CredentialsError::Mode {
                    profile: name.to_owned(),
                    mode: mode.to_owned(),
                });
            }
        })
    }
}

impl Profile {
    fn called(&self) -> String {
        format!("profile '{}'", self.name)
    }

    fn field(&self, value: &str, field: &'static str) -> Result<String, CredentialsError> {
        some(value).ok_or_else(|| CredentialsError::Incomplete {
            profile: self.name.clone(),
            field,
        })
    }

    fn keys(&self, with_token: bool) -> Result<Way, CredentialsError> {
        let token = if with_token {
            Some(Secret::new(self.field(&self.sts_token, "sts_token")?))
        } else {
            None
        };
        let secret = self.field(&self.access_key_secret, "access_key_secret");
        Ok(Way::Fixed {
            credentials: Credentials {
                access_key_id: self.field(&self.access_key_id, "access_key_id")?,
                access_key_secret: Secret::new(secret?),
                security_token: token,
            },
            from: self.called(),
        })
    }

    fn instance(&self) -> Way {
        Way::Instance {
            role: some(&self.ram_role_name),
            v1: true,
        }
    }

    fn role(&self) -> Result<Role, CredentialsError> {
        Ok(Role {
            arn: self.field(&self.ram_role_arn, "ram_role_arn")?,
            session: some(&self.ram_session_name),
            seconds: self.expired_seconds.filter(|seconds| *seconds > 0),
            policy: some(&self.policy),
            external_id: some(&self.external_id),
            sts_region: some(&self.sts_region),
            vpc: self.enable_vpc,
        })
    }
}

fn some(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Reads a section of `~/.alibabacloud/credentials`: the one named, else `default`.
/// `None` when it isn't there and nobody named it.
///
/// # Errors
/// The section isn't there, is incomplete, or of a type that isn't supported.
pub fn of_ini(text: &str, section: Option<&str>) -> Result<Option<Way>, CredentialsError> {
    let sections = sections(text);
    let name = section.unwrap_or("default");
    let Some(found) = sections.get(name) else {
        if section.is_none() {
            return Ok(None);
        }
        return Err(CredentialsError::NoProfile {
            name: name.to_owned(),
            known: sections.into_keys().collect(),
        });
    };
    let get = |key: &str| found.get(key).filter(|value| !value.is_empty()).cloned();
    let need = |key: &'static str| {
        get(key).ok_or_else(|| CredentialsError::Incomplete {
            profile: name.to_owned(),
            field: key,
        })
    };
    let keys = |token: Option<String>| -> Result<Way, CredentialsError> {
        Ok(Way::Fixed {
            credentials: Credentials {
                access_key_id: need("access_key_id")?,
                access_key_secret: Secret::new(need("access_key_secret")?),
                security_token: token.map(Secret::new),
            },
            from: format!("section '{name}'"),
        })
    };
    let role = || -> Result<Role, CredentialsError> {
        Ok(Role {
            arn: need("role_arn")?,
            session: get("role_session_name"),
            policy: get("policy"),
            ..Role::default()
        })
    };
    let way = match get("type").unwrap_or_default().as_str() {
        "access_key" => keys(None)?,
        "sts" => keys(Some(need("security_token")?))?,
        "ecs_ram_role" => Way::Instance {
            role: get("role_name"),
            v1: true,
        },
        "ram_role_arn" => Way::Role {
            base: Box::new(keys(get("security_token"))?),
            role: role()?,
        },
        "oidc_role_arn" => Way::Oidc {
            provider: need("oidc_provider_arn")?,
            token_file: need("oidc_token_file_path")?.into(),
            role: role()?,
        },
        "credentials_uri" => Way::Uri {
            uri: need("credentials_uri")?,
        },
        "" => {
            return Err(CredentialsError::Incomplete {
                profile: name.to_owned(),
                field: "type",
            });
        }
        other => {
            return Err(CredentialsError::Mode {
                profile: name.to_owned(),
                mode: other.to_owned(),
            });
        }
    };
    Ok(Some(way))
}

/// `[section]` and `key = value`; what begins with `#` or `;` is left out.
fn sections(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let header = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, _)) = header {
            current = Some(name.trim().to_owned());
            sections.entry(name.trim().to_owned()).or_default();
        } else if let (Some(name), Some((key, value))) = (&current, line.split_once('=')) {
            let section = sections.entry(name.clone()).or_default();
            section.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    sections
}

/// What to do when a profile's mode can't be used.
pub(super) fn mode_hint(mode: &str) -> String {
    let rest = format!(
        "use a profile of another mode (AK, StsToken, RamRoleArn, EcsRamRole, OIDC, …), or set \
         {VARIABLE_ID} and {VARIABLE_SECRET}"
    );
    match mode {
        "CloudSSO" | "OAuth" => format!(
            "a person must sign in for it: sign in with the aliyun command line and hand its keys over \
             with a profile of mode External, or {rest}"
        ),
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"current": "work", "meta_path": "", "profiles": [
        {"name": "work", "mode": "AK", "access_key_id": "LTAI1", "access_key_secret": "s1", "region_id": "cn-hangzhou"},
        {"name": "temporary", "mode": "StsToken", "access_key_id": "STS.1", "access_key_secret": "s2", "sts_token": "t"},
        {"name": "role", "mode": "RamRoleArn", "access_key_id": "LTAI2", "access_key_secret": "s3",
         "ram_role_arn": "acs:ram::1:role/b", "ram_session_name": "me", "expired_seconds": 900, "external_id": "x",
         "sts_region": "cn-beijing", "enable_vpc": true},
        {"name": "instance", "mode": "EcsRamRole"},
        {"name": "on-instance", "mode": "RamRoleArnWithEcs", "ram_role_name": "r", "ram_role_arn": "acs:ram::1:role/b"},
        {"name": "chain", "mode": "ChainableRamRoleArn", "source_profile": "role", "ram_role_arn": "acs:ram::2:role/c"},
        {"name": "circle", "mode": "ChainableRamRoleArn", "source_profile": "circle", "ram_role_arn": "acs:ram::2:role/c"},
        {"name": "oidc", "mode": "OIDC", "oidc_provider_arn": "p", "oidc_token_file": "/t", "ram_role_arn": "r"},
        {"name": "program", "mode": "External", "process_command": "get-keys --hush"},
        {"name": "uri", "mode": "CredentialsURI", "credentials_uri": "http://localhost/x?hush"},
        {"name": "sso", "mode": "CloudSSO"},
        {"name": "empty", "mode": "AK", "access_key_id": "LTAI3", "access_key_secret": ""}
    ]}"#;

    #[test]
    fn each_mode_is_a_way() {
        let shown = |name| of_cli(CONFIG, Some(name)).unwrap().to_string();
        assert_eq!(of_cli(CONFIG, None).unwrap().to_string(), "profile 'work'");
        assert_eq!(shown("temporary"), "profile 'temporary'");
        assert_eq!(shown("role"), "role acs:ram::1:role/b by profile 'role'");
        assert_eq!(shown("instance"), "the role of this instance");
        assert_eq!(
            shown("on-instance"),
            "role acs:ram::1:role/b by the role r of this instance"
        );
        assert_eq!(
            shown("chain"),
            "role acs:ram::2:role/c by role acs:ram::1:role/b by profile 'role'"
        );
        assert_eq!(shown("oidc"), "role r by a token of OIDC");
        assert_eq!(
            shown("program"),
            "the program get-keys of profile 'program'"
        );
        assert_eq!(shown("uri"), "http://localhost/x");
        let Way::Role { role, .. } = of_cli(CONFIG, Some("role")).unwrap() else {
            panic!("no role");
        };
        assert_eq!(
            (role.seconds, role.session.as_deref(), role.vpc),
            (Some(900), Some("me"), true)
        );
        assert_eq!(role.external_id.as_deref(), Some("x"));
    }

    #[test]
    fn a_profile_that_gives_no_key_says_why() {
        let error = |profile| of_cli(CONFIG, Some(profile)).unwrap_err();
        assert!(
            error("sso")
                .to_string()
                .contains("mode 'CloudSSO', which is not supported")
        );
        assert!(error("sso").hint().contains("External"));
        assert!(error("nobody").to_string().contains("no profile 'nobody'"));
        assert!(
            error("empty")
                .to_string()
                .contains("has no access_key_secret")
        );
        assert!(error("circle").to_string().contains("circle"));
        assert!(matches!(
            of_cli("[]", None),
            Err(CredentialsError::Malformed(_))
        ));
        let broken = r#"{"profiles": [{"name": "a", "access_key_secret": ["hush"]}]}"#;
        let shown = of_cli(broken, None).unwrap_err().to_string();
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn sections_are_read() {
        let text = "# mine\n[default]\ntype = access_key\naccess_key_id=LTAI\naccess_key_secret = a=b\n\
                    [box]\n; no keys\ntype = ecs_ram_role\nrole_name = r\n\
                    [role]\ntype = ram_role_arn\naccess_key_id = a\naccess_key_secret = s\nrole_arn = x\n\
                    [rsa]\ntype = rsa_key_pair\n[bare]\naccess_key_id = a\n";
        let way = |name| of_ini(text, name).map(|way| way.map(|way| way.to_string()));
        let Ok(Some(Way::Fixed { credentials, .. })) = of_ini(text, None) else {
            panic!("no keys");
        };
        assert_eq!(credentials.access_key_secret, Secret::new("a=b"));
        assert_eq!(
            way(Some("box")).unwrap().unwrap(),
            "the role r of this instance"
        );
        assert_eq!(
            way(Some("role")).unwrap().unwrap(),
            "role x by section 'role'"
        );
        assert!(
            way(Some("rsa"))
                .unwrap_err()
                .to_string()
                .contains("rsa_key_pair")
        );
        assert!(
            way(Some("bare"))
                .unwrap_err()
                .to_string()
                .contains("no type")
        );
        assert!(way(Some("nobody")).is_err());
        assert_eq!(of_ini("", None), Ok(None));
    }
}
