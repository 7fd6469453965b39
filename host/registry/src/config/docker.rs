//! `~/.docker/config.json` and the programs that it names, read as `docker login` writes
//! them.
//!
//! For a host, in this order: its program of `credHelpers`, the program of `credsStore`,
//! its entry of `auths`. A program that has nothing for the host is passed over, any
//! other failure of it is an error: quietly asking as nobody would hide it. The protocol
//! of these programs is that of [docker-credential-helpers]: `get`, the host on standard
//! input, JSON on standard output. Nothing here stores credentials.
//!
//! [docker-credential-helpers]: https://github.com/docker/docker-credential-helpers

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use zeroize::Zeroizing;

use super::{ConfigError, Credentials, Secret};

/// How long a program may take: some ask a person to touch a key.
const LONGEST: Duration = Duration::from_mins(1);
/// The name that a program gives for a token in the password's place.
const TOKEN_NAME: &str = "<token>";
/// Docker Hub's entry has an address of its own.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Padding is left out by some who write these files.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What docker knows about registries.
#[derive(Clone, Debug, Default)]
pub struct Docker {
    auths: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
    search: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Known(Credentials),
    /// A token for another protocol (`OAuth2`), which isn't spoken here.
    Identity,
}

/// Why a host has no credentials although the file speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The program isn't there.
    #[error("there is no program {program}")]
    NoProgram {
        /// Its name.
        program: String,
    },
    /// The program failed, or took too long.
    #[error("{program} gave no credentials for {registry}: {why}")]
    Failed {
        /// Its name.
        program: String,
        /// The host.
        registry: String,
        /// Its exit status, never its output: that may hold the password.
        why: String,
    },
    /// Only an identity token is there.
    #[error("the credentials of {registry} are an identity token, which can't be used here")]
    IdentityToken {
        /// The host.
        registry: String,
    },
}

impl CredentialError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::NoProgram { program } => format!(
                "install {program}, or remove it from `credHelpers` or `credsStore` in docker's config.json"
            ),
            Self::Failed {
                program, registry, ..
            } => format!("try `echo {registry} | {program} get`"),
            Self::IdentityToken { registry } => {
                format!(
                    "log in with a name and a password or an access token: docker login {registry}"
                )
            }
        }
    }
}

impl Docker {
    /// Reads the file's text; `file` is how messages call it, `search` are the folders in
    /// which programs are looked for.
    ///
    /// # Errors
    /// It isn't JSON, or a key that matters has another shape.
    pub fn parse(text: &str, file: &str, search: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let shape = |key: &str, expected| ConfigError::Shape {
            file: file.into(),
            key: key.into(),
            expected,
        };
        let json: Value = serde_json::from_str(text)
            .map_err(|error| ConfigError::syntax(file, error.line(), "it is not JSON"))?;
        let table = |key: &str| match json.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(table)) => Ok(table.iter().collect()),
            Some(_) => Err(shape(key, "an object")),
        };
        let mut docker = Self {
            search,
            ..Self::default()
        };
        for (host, entry) in table("auths")? {
            let key = format!("auths.\"{host}\"");
            let entry = entry_of(entry)
                .ok_or_else(|| shape(&key, "{ \"auth\": the base64 of name:password }"))?;
            docker.auths.insert(host_of(host).to_owned(), entry);
        }
        for (host, program) in table("credHelpers")? {
            let program = program.as_str().filter(|name| is_program(name));
            let program = program.ok_or_else(|| shape("credHelpers", "names of programs"))?;
            docker
                .helpers
                .insert(host_of(host).to_owned(), program.into());
        }
        docker.store = match json.get("credsStore") {
            None | Some(Value::Null) => None,
            Some(Value::String(none)) if none.is_empty() => None,
            Some(Value::String(program)) if is_program(program) => Some(program.clone()),
            Some(_) => return Err(shape("credsStore", "the name of a program")),
        };
        Ok(docker)
    }

    /// Who asks a host; anybody, if docker knows nothing about it.
    ///
    /// # Errors
    /// See [`CredentialError`].
    pub async fn credentials(&self, registry: &str) -> Result<Credentials, CredentialError> {
        let host = host_of(
            if registry == "docker.io" || registry == "registry-1.docker.io" {
                DOCKER_HUB
            } else {
                registry
            },
        );
        if let Some(program) = self.helpers.get(host).or(self.store.as_ref()) {
            let asked = if host == host_of(DOCKER_HUB) {
                DOCKER_HUB
            } else {
                host
            };
            if let Some(found) = self.ask(program, asked).await? {
                return Ok(found);
            }
        }
        match self.auths.get(host) {
            None => Ok(Credentials::Anonymous),
            Some(Entry::Known(credentials)) => Ok(credentials.clone()),
            Some(Entry::Identity) => Err(CredentialError::IdentityToken {
                registry: registry.into(),
            }),
        }
    }

    /// Runs a program. `None`: it has nothing for the host.
    async fn ask(&self, name: &str, host: &str) -> Result<Option<Credentials>, CredentialError> {
        let program = format!("docker-credential-{name}");
        let path = self
            .search
            .iter()
            .map(|folder| folder.join(&program))
            .find(|path| path.is_file())
            .ok_or_else(|| CredentialError::NoProgram {
                program: program.clone(),
            })?;
        let failed = |why: String| CredentialError::Failed {
            program: program.clone(),
            registry: host.into(),
            why,
        };
        let mut child = tokio::process::Command::new(path)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut input) = child.stdin.take() {
            // A program that doesn't read it says in its status what it thinks of it.
            drop(input.write_all(format!("{host}\n").as_bytes()).await);
        }
        let output = tokio::time::timeout(LONGEST, child.wait_with_output())
            .await
            .map_err(|_| failed(format!("no answer in {} s", LONGEST.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&text).to_lowercase();
            if said.contains("credentials not found") {
                return Ok(None);
            }
            return Err(failed(output.status.to_string()));
        }
        let json: Value =
            serde_json::from_slice(&text).map_err(|_| failed("its answer is not JSON".into()))?;
        let part = |name| json.get(name).and_then(Value::as_str);
        match (part("Username"), part("Secret")) {
            (Some(TOKEN_NAME), Some(_)) => Err(CredentialError::IdentityToken {
                registry: host.into(),
            }),
            (Some(username), Some(secret)) => Ok(Some(Credentials::Basic {
                username: username.into(),
                password: Secret::new(secret),
            })),
            _ => Err(failed("its answer has no Username and Secret".into())),
        }
    }
}

/// `None` for an entry of another shape. An empty one, as `docker login` leaves it beside
/// a store, is nobody.
fn entry_of(entry: &Value) -> Option<Entry> {
    let table = entry.as_object()?;
    let names = [
        "identitytoken",
        "registrytoken",
        "auth",
        "username",
        "password",
    ];
    let mut texts = [""; 5];
    for (name, text) in names.iter().zip(&mut texts) {
        match table.get(*name) {
            None | Some(Value::Null) => {}
            Some(value) => *text = value.as_str()?,
        }
    }
    let [identity, token, auth, username, password] = texts;
    if !identity.is_empty() {
        return Some(Entry::Identity);
    }
    Some(Entry::Known(if !token.is_empty() {
        Credentials::Bearer(Secret::new(token))
    } else if !auth.is_empty() {
        basic_from_base64(auth)?
    } else if username.is_empty() {
        Credentials::Anonymous
    } else {
        Credentials::Basic {
            username: username.into(),
            password: Secret::new(password),
        }
    }))
}

/// From the base64 of `name:password`.
pub(super) fn basic_from_base64(text: &str) -> Option<Credentials> {
    let bytes = Zeroizing::new(BASE64.decode(text.trim()).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(Credentials::Basic {
        username: username.into(),
        password: Secret::new(password.trim_end_matches('\0')),
    })
}

/// Keys may be addresses.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

/// A name that stays in its folder.
fn is_program(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    #[tokio::test]
    async fn entries_of_the_file() {
        let text = r#"{
            "auths": {
                "https://index.docker.io/v1/": { "auth": "cGluZzpwb25n" },
                "localhost:5000": { "username": "a", "password": "b" },
                "token.example": { "registrytoken": "t" },
                "acr.example": { "auth": "MDAwOg==", "identitytoken": "i" },
                "empty.example": {}
            },
            "HttpHeaders": { "User-Agent": "x" }
        }"#;
        let docker = Docker::parse(text, "config.json", Vec::new()).expect("it is read");
        assert_eq!(
            docker.credentials("docker.io").await,
            Ok(basic("ping", "pong"))
        );
        assert_eq!(
            docker.credentials("localhost:5000").await,
            Ok(basic("a", "b"))
        );
        assert_eq!(
            docker.credentials("token.example").await,
            Ok(Credentials::Bearer(Secret::new("t")))
        );
        for nobody in ["empty.example", "ghcr.io", "localhost"] {
            assert_eq!(docker.credentials(nobody).await, Ok(Credentials::Anonymous));
        }
        let error = docker
            .credentials("acr.example")
            .await
            .expect_err("a token");
        assert!(error.hint().contains("docker login acr.example"));
    }

    #[tokio::test]
    async fn programs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker-credential-test");
        std::fs::write(
            &path,
            "#!/bin/sh\nread host\ncase $host in\n\
             good.example) echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"hunter2\"}';;\n\
             token.example) echo '{\"Username\":\"<token>\",\"Secret\":\"hunter2\"}';;\n\
             broken.example) echo hunter2; exit 3;;\n\
             *) echo 'credentials not found in native keychain'; exit 1;;\nesac\n",
        )
        .expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        let text = r#"{ "credsStore": "test", "credHelpers": { "gone.example": "gone" },
                        "auths": { "file.example": { "auth": "cGluZzpwb25n" } } }"#;
        let search = vec![folder.path().to_owned()];
        let docker = Docker::parse(text, "config.json", search).expect("it is read");
        assert_eq!(
            docker.credentials("good.example").await,
            Ok(basic("u", "hunter2"))
        );
        assert_eq!(
            docker.credentials("file.example").await,
            Ok(basic("ping", "pong"))
        );
        assert_eq!(
            docker.credentials("other.example").await,
            Ok(Credentials::Anonymous)
        );
        for (host, said) in [
            ("broken.example", "exit status: 3"),
            ("token.example", "identity token"),
            ("gone.example", "docker-credential-gone"),
        ] {
            let error = docker.credentials(host).await.expect_err(host);
            let shown = format!("{error} {error:?} {}", error.hint());
            assert!(shown.contains(said), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn mistakes_name_their_key_and_never_a_value() {
        for text in [
            r#"{"auths": {"x": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"x": "hunter2"}}"#,
            r#"{"auths": ["hunter2"]}"#,
            r#"{"credsStore": "../hunter2"}"#,
            r#"{"credHelpers": {"x": "/bin/hunter2"}}"#,
            r#"{"auths": {"x": {"auth": "hunter2"#,
        ] {
            let error = Docker::parse(text, "config.json", Vec::new()).expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("config.json") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
    }
}
