//! The product STS, which grants the keys of a role for a while: to other keys
//! (`AssumeRole`, signed as calls of ECS are) or to the bearer of a token of an identity
//! provider (`AssumeRoleWithOIDC`, which nobody signs; the token is the proof).

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::keyring::{Granted, KeyError};
use super::way::{Role, Tools};
use super::{Credentials, Secret};
use crate::client::Class;
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::ApiError;
use crate::http::HttpRequest;
use crate::params::Params;
use crate::sign::{Call, FORM, acs3, form_encode};

/// The version of its API.
pub const STS_VERSION: &str = "2015-04-01";

/// How long a role's keys hold when nobody says: the official clients' figure.
const SECONDS: u32 = 3600;
/// The name of a session when nobody says.
const SESSION: &str = "darkroom";

/// The address of STS: the central one, or a region's, from outside or within a VPC.
///
/// # Errors
/// The region's id can't be part of a host name.
pub fn endpoint(region: Option<&str>, vpc: bool) -> Result<Endpoint, EndpointError> {
    let prefix = if vpc { "sts-vpc" } else { "sts" };
    match region {
        Some(region) => format!("{prefix}.{region}.aliyuncs.com").parse(),
        None => "sts.aliyuncs.com".parse(),
    }
}

/// Takes on a role with other keys.
pub(super) async fn assume(
    tools: &Tools,
    now: Timestamp,
    base: &Credentials,
    role: &Role,
) -> Result<Granted, KeyError> {
    let mut params = params(role);
    if let Some(id) = &role.external_id {
        params.insert("ExternalId", id);
    }
    let endpoint = endpoint_of(tools, role)?;
    let nonce = (tools.nonce)();
    let call = Call {
        scheme: endpoint.scheme(),
        authority: endpoint.authority(),
        action: "AssumeRole",
        version: STS_VERSION,
        params: &params,
        now,
        nonce: &nonce,
        user_agent: &tools.user_agent,
    };
    let token = base.security_token.as_ref().map_or("", Secret::expose);
    let hidden = [base.access_key_secret.expose(), token];
    send(tools, acs3::sign(&call, base), role, &hidden).await
}

/// Takes on a role with a token.
pub(super) async fn assume_with_oidc(
    tools: &Tools,
    now: Timestamp,
    provider: &str,
    token: &str,
    role: &Role,
) -> Result<Granted, KeyError> {
    let mut form = params(role);
    form.insert("OIDCProviderArn", provider);
    form.insert("OIDCToken", token);
    let query: Params = [
        ("Action", "AssumeRoleWithOIDC".to_owned()),
        ("Format", "JSON".to_owned()),
        ("SignatureNonce", (tools.nonce)()),
        ("Timestamp", crate::time::format(now)),
        ("Version", STS_VERSION.to_owned()),
    ]
    .into_iter()
    .collect();
    let endpoint = endpoint_of(tools, role)?;
    let request = HttpRequest {
        method: "POST".to_owned(),
        scheme: endpoint.scheme().to_owned(),
        authority: endpoint.authority().to_owned(),
        target: format!("/?{}", form_encode(&query)),
        headers: vec![
            ("host".to_owned(), endpoint.authority().to_owned()),
            ("content-type".to_owned(), FORM.to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), tools.user_agent.clone()),
        ],
        body: Bytes::from(form_encode(&form)),
    };
    send(tools, request, role, &[token]).await
}

fn params(role: &Role) -> Params {
    let mut params = Params::new();
    params.insert("RoleArn", &role.arn);
    params.insert(
        "RoleSessionName",
        role.session.as_deref().unwrap_or(SESSION),
    );
    params.insert(
        "DurationSeconds",
        role.seconds.unwrap_or(SECONDS).to_string(),
    );
    if let Some(policy) = &role.policy {
        params.insert("Policy", policy);
    }
    params
}

fn endpoint_of(tools: &Tools, role: &Role) -> Result<Endpoint, KeyError> {
    if let Some(endpoint) = &tools.sts {
        return Ok(endpoint.clone());
    }
    endpoint(role.sts_region.as_deref(), role.vpc).map_err(|error| KeyError {
        source_name: role_name(role),
        problem: error.to_string(),
        hint: Some("check the region of STS".to_owned()),
        passing: false,
    })
}

fn role_name(role: &Role) -> String {
    format!("STS, asked for role {},", role.arn)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Credentials")]
    credentials: Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    access_key_secret: String,
    security_token: String,
    expiration: Timestamp,
}

/// `hidden` is blacked out in what the server says.
async fn send(
    tools: &Tools,
    request: HttpRequest,
    role: &Role,
    hidden: &[&str],
) -> Result<Granted, KeyError> {
    let refuse = |problem: String, hint: Option<String>, passing| KeyError {
        source_name: role_name(role),
        problem: hidden
            .iter()
            .filter(|text| !text.is_empty())
            .fold(problem, |text, hidden| text.replace(hidden, "…")),
        hint,
        passing,
    };
    let response = tools.transport.send(request).await.map_err(|error| {
        let hint = "check the network and, if there is one, the proxy";
        refuse(error.to_string(), Some(hint.into()), error.is_retryable())
    })?;
    if response.status != 200 {
        let passing = response.status >= 500;
        return Err(match ApiError::from_response(&response) {
            Some(error) => {
                let class = Class::of_error("AssumeRole", &error);
                let passing = passing || class.is_unavailable();
                refuse(error.to_string(), hint(error.code.as_str(), role), passing)
            }
            None => refuse(
                format!("it answered with status {}", response.status),
                None,
                passing,
            ),
        });
    }
    let answer: Answer = serde_json::from_slice(&response.body)
        .map_err(|_| refuse("its answer has no keys in it".into(), None, false))?;
    let keys = answer.credentials;
    Ok(Granted {
        credentials: Credentials {
            access_key_id: keys.access_key_id,
            access_key_secret: Secret::new(keys.access_key_secret),
            security_token: Some(Secret::new(keys.security_token)),
        },
        expires: Some(keys.expiration),
    })
}

fn hint(code: &str, role: &Role) -> Option<String> {
    let text = match code {
        "EntityNotExist.Role" | "EntityNotExist.RoleName" => {
            format!("there is no role {}: check its ARN", role.arn)
        }
        "NoPermission" | "Forbidden.RAM" => format!(
            "allow sts:AssumeRole on {} to these keys, and name their account in the role's trust policy",
            role.arn
        ),
        "InvalidParameter.DurationSeconds" => {
            "ask for no more seconds than the role's longest session".to_owned()
        }
        "InvalidAccessKeyId.NotFound" | "InvalidAccessKeyId.Inactive" => {
            "the key that takes on the role doesn't exist or is disabled".to_owned()
        }
        "SignatureDoesNotMatch" => {
            "the secret doesn't belong to the key that takes on the role".to_owned()
        }
        "InvalidTimeStamp.Expired" => {
            "this machine's clock is more than 15 minutes wrong; set it".to_owned()
        }
        "InvalidSecurityToken.Expired" => {
            "the temporary key that takes on the role has ended; get a new one".to_owned()
        }
        _ if code.starts_with("AuthenticationFail.OIDCToken") => {
            "the token is not taken: look whether it has ended, and whether its issuer and audience are those of the identity provider in RAM".to_owned()
        }
        _ if code.starts_with("AuthenticationFail") || code.starts_with("EntityNotExist") => {
            "check the ARNs of the role and of the identity provider".to_owned()
        }
        _ => return None,
    };
    Some(text)
}
