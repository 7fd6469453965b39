//! The ways to keys: what a variable, a profile or a file says about where keys come from,
//! as data, and how they are then asked for.
//!
//! Who reads variables and files decides on a [`Way`]; [`Way::keyring`] makes of it what a
//! client asks. Everything that touches the system is handed in as [`Tools`]: nothing here
//! opens a file or starts a program by itself. A secret never gets into an error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::keyring::{Granted, KeyError, Keyring, Source};
use super::{Credentials, answer, metadata, sts};
use crate::client::{Nonce, Now};
use crate::endpoint::Endpoint;
use crate::transport::Transport;

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// They are written down.
    Fixed {
        /// The keys.
        credentials: Credentials,
        /// Where they are written, such as `the environment`.
        from: String,
    },
    /// A role that other keys may take on (`AssumeRole`).
    Role {
        /// Whose keys take it on.
        base: Box<Way>,
        /// The role.
        role: Role,
    },
    /// A role that the bearer of a token of an identity provider may take on
    /// (`AssumeRoleWithOIDC`).
    Oidc {
        /// The ARN of the identity provider.
        provider: String,
        /// The file that holds the token. It is read each time: its owner renews it.
        token_file: PathBuf,
        /// The role.
        role: Role,
    },
    /// The role of the instance that this runs on.
    Instance {
        /// Its name; asked for when it isn't said.
        role: Option<String>,
        /// Whether the older metadata service, which needs no token, may be asked.
        v1: bool,
    },
    /// What a program prints.
    Program {
        /// Program and arguments, separated by blanks.
        command: String,
        /// Who names it.
        from: String,
    },
    /// What an address answers.
    Uri {
        /// The address.
        uri: String,
    },
    /// The first of these that gives any.
    First(Vec<Way>),
}

/// A role, and how it is taken on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The name of the session in the cloud's logs.
    pub session: Option<String>,
    /// How long its keys hold, in seconds.
    pub seconds: Option<u32>,
    /// A policy that narrows its rights.
    pub policy: Option<String>,
    /// What the role's owner asked to be told.
    pub external_id: Option<String>,
    /// The region whose STS is asked; the central one without.
    pub sts_region: Option<String>,
    /// Whether it is asked from within a VPC.
    pub vpc: bool,
}

/// Reads a text file.
pub type ReadFile = Arc<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;
/// Runs a program with arguments and gives what it printed; an error has no output in it.
pub type RunProgram =
    Arc<dyn Fn(Vec<String>) -> BoxFuture<'static, io::Result<Vec<u8>>> + Send + Sync>;

/// What asking for keys needs.
#[derive(Clone)]
pub struct Tools {
    /// The way to STS and to addresses.
    pub transport: Arc<dyn Transport>,
    /// The way to the metadata service, which answers within a second or isn't there.
    pub near: Arc<dyn Transport>,
    /// Makes nonces for signatures.
    pub nonce: Nonce,
    /// Who asks.
    pub user_agent: String,
    /// Asked instead of the public STS.
    pub sts: Option<Endpoint>,
    /// The metadata service; [`metadata::endpoint`] but in tests.
    pub metadata: Endpoint,
    /// Reads files.
    pub read: ReadFile,
    /// Runs programs.
    pub run: RunProgram,
}

impl Way {
    /// What a client asks for these keys.
    pub fn keyring(self, tools: Tools, now: Now) -> Keyring {
        match self {
            Self::Fixed { credentials, .. } => credentials.into(),
            way => Keyring::renewed(Arc::new(Asking { way, tools }), now),
        }
    }

    /// Whether its keys end and are renewed.
    pub fn is_renewed(&self) -> bool {
        !matches!(self, Self::Fixed { .. })
    }

    fn grant<'a>(
        &'a self,
        tools: &'a Tools,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Granted, KeyError>> {
        Box::pin(async move {
            match self {
                Self::Fixed { credentials, .. } => Ok(Granted {
                    credentials: credentials.clone(),
                    expires: None,
                }),
                Self::Role { base, role } => {
                    let base = base.grant(tools, now).await?.credentials;
                    sts::assume(tools, now, &base, role).await
                }
                Self::Oidc {
                    provider,
                    token_file,
                    role,
                } => {
                    let token = (tools.read)(token_file).map_err(|error| {
                        self.refuse(&unreadable(token_file, &error), TOKEN_FILE)
                    })?;
                    sts::assume_with_oidc(tools, now, provider, token.trim(), role).await
                }
                Self::Instance { role, v1 } => metadata::ask(tools, role.as_deref(), *v1).await,
                Self::Program { command, .. } => self.ask_program(tools, command).await,
                Self::Uri { uri } => answer::ask(tools, uri).await,
                Self::First(ways) => first(ways, tools, now).await,
            }
        })
    }

    async fn ask_program(&self, tools: &Tools, command: &str) -> Result<Granted, KeyError> {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let hint = "run it by hand: it must print the keys as JSON";
        let printed = (tools.run)(words)
            .await
            .map_err(|error| self.refuse(&error.to_string(), hint))?;
        answer::printed(&printed).map_err(|problem| self.refuse(&problem, hint))
    }

    fn refuse(&self, problem: &str, hint: &str) -> KeyError {
        KeyError {
            source_name: self.to_string(),
            problem: problem.to_owned(),
            hint: Some(hint.to_owned()),
            passing: false,
        }
    }
}

const TOKEN_FILE: &str = "check ALIBABA_CLOUD_OIDC_TOKEN_FILE, or oidc_token_file of the profile";

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}

async fn first(ways: &[Way], tools: &Tools, now: Timestamp) -> Result<Granted, KeyError> {
    let mut failures = Vec::new();
    for way in ways {
        match way.grant(tools, now).await {
            Ok(granted) => return Ok(granted),
            Err(error) => failures.push(error),
        }
    }
    // The last is the one that was asked for by name.
    let hint = failures.last().and_then(|error| error.hint.clone());
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    Err(KeyError {
        source_name: "nobody".to_owned(),
        problem: texts.join("; "),
        hint,
        passing: failures.iter().any(|error| error.passing),
    })
}

impl fmt::Display for Way {
    /// Where keys come from, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { from, .. } => f.write_str(from),
            Self::Role { base, role } => write!(f, "role {} by {base}", role.arn),
            Self::Oidc { role, .. } => write!(f, "role {} by a token of OIDC", role.arn),
            Self::Instance { role, .. } => match role {
                Some(role) => write!(f, "the role {role} of this instance"),
                None => f.write_str("the role of this instance"),
            },
            // The arguments may say more than others should read.
            Self::Program { command, from } => {
                let program = command.split_whitespace().next().unwrap_or_default();
                write!(f, "the program {program} of {from}")
            }
            Self::Uri { uri } => {
                let plain = uri.split(['?', '#']).next().unwrap_or_default();
                write!(f, "{plain}")
            }
            Self::First(ways) => {
                let texts: Vec<_> = ways.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", else "))
            }
        }
    }
}

struct Asking {
    way: Way,
    tools: Tools,
}

#[async_trait]
impl Source for Asking {
    async fn grant(&self, now: Timestamp) -> Result<Granted, KeyError> {
        self.way.grant(&self.tools, now).await
    }

    fn describe(&self) -> String {
        self.way.to_string()
    }
}
