//! The metadata service of an ECS instance, which grants the keys of the instance's role.
//!
//! Asked in its newer way, with a token that only a program on the instance can get; in
//! the older way only where the newer one isn't there and nobody forbade it.

use bytes::Bytes;

use super::answer::{self, get};
use super::keyring::{Granted, KeyError};
use super::way::Tools;
use crate::endpoint::Endpoint;
use crate::http::{HttpRequest, HttpResponse};
use crate::transport::{METADATA, TransportError};

/// How long a token may be used, in seconds; the official clients' figure.
const TOKEN_SECONDS: &str = "21600";
const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/ram/security-credentials/";

/// Where every ECS instance finds it.
pub fn endpoint() -> Endpoint {
    Endpoint::plain(METADATA)
}

/// Asks for the keys of the instance's role.
pub(super) async fn ask(tools: &Tools, role: Option<&str>, v1: bool) -> Result<Granted, KeyError> {
    let asking = Asking {
        tools,
        token: token(tools, v1).await?,
    };
    let role = match role {
        Some(role) => role.to_owned(),
        None => asking.role().await?,
    };
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if role.is_empty() || !role.chars().all(named) {
        return Err(refuse(
            "the role's name makes no sense".into(),
            NO_ROLE,
            false,
        ));
    }
    let response = asking.get(&format!("{ROLES_PATH}{role}")).await?;
    answer::read(&response.body).map_err(|problem| refuse(problem, NO_ROLE, false))
}

const NO_ROLE: &str = "attach a RAM role to the instance, or name another source of keys";
const NOT_HERE: &str = "on a machine that is no ECS instance, set keys or a profile";

fn refuse(problem: String, hint: &str, passing: bool) -> KeyError {
    KeyError {
        source_name: "the instance's metadata service".to_owned(),
        problem,
        hint: Some(hint.to_owned()),
        passing,
    }
}

/// The token of the newer way; none for the older one.
async fn token(tools: &Tools, v1: bool) -> Result<Option<String>, KeyError> {
    let request = HttpRequest {
        method: "PUT".to_owned(),
        headers: vec![
            ("host".to_owned(), tools.metadata.authority().to_owned()),
            (
                "x-aliyun-ecs-metadata-token-ttl-seconds".to_owned(),
                TOKEN_SECONDS.to_owned(),
            ),
        ],
        body: Bytes::new(),
        ..get(&tools.metadata, TOKEN_PATH, Vec::new())
    };
    let problem = match tools.near.send(request).await {
        Ok(response) if response.status == 200 => {
            return Ok(Some(
                String::from_utf8_lossy(&response.body).trim().to_owned(),
            ));
        }
        Ok(response) => format!("no token, but status {}", response.status),
        Err(error) => return Err(not_here(&error)),
    };
    if v1 {
        return Ok(None);
    }
    let hint =
        "the instance has only the older service, which ALIBABA_CLOUD_IMDSV1_DISABLED forbids";
    Err(refuse(problem, hint, false))
}

/// Nobody answered. Whether there is an instance around us is not known, so that asking
/// again would make everybody without keys wait.
fn not_here(error: &TransportError) -> KeyError {
    refuse(error.to_string(), NOT_HERE, false)
}

struct Asking<'a> {
    tools: &'a Tools,
    token: Option<String>,
}

impl Asking<'_> {
    async fn role(&self) -> Result<String, KeyError> {
        let response = self.get(ROLES_PATH).await?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    async fn get(&self, target: &str) -> Result<HttpResponse, KeyError> {
        let token = self.token.iter();
        let headers = token.map(|token| ("x-aliyun-ecs-metadata-token".to_owned(), token.clone()));
        let request = get(&self.tools.metadata, target, headers.collect());
        match self.tools.near.send(request).await {
            Ok(response) if response.status == 200 => Ok(response),
            Ok(response) if response.status == 404 => Err(refuse(
                "the instance has no such role".into(),
                NO_ROLE,
                false,
            )),
            Ok(response) => Err(refuse(
                format!("it answered with status {}", response.status),
                NO_ROLE,
                response.status >= 500,
            )),
            Err(error) => Err(refuse(error.to_string(), NOT_HERE, error.is_retryable())),
        }
    }
}
