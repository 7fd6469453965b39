//! Who asks: the signature of a request, its key, its place and its nonce.
//!
//! What a signature covers and what not is written at
//! [`darkroom_ecs::sign`]; the actions see only what [`Claims`] holds. Here stands
//! what needs memory: which keys there are, under which names this cloud is reached,
//! and which nonces were used.

use std::sync::Arc;

use darkroom_ecs::credentials::Secret;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::sign::{self, Claims, TOLERANCE, VerifyError};

use crate::cloud::Cloud;
use crate::fault::Fault;
use crate::files::Account;
use crate::state::tokens;

/// Checks a request and answers who signed it and what it says.
pub(crate) async fn check(
    cloud: &Arc<Cloud>,
    hosts: &[String],
    request: &HttpRequest,
) -> Result<(Account, Claims), Fault> {
    check_host(hosts, request)?;
    let now = cloud.clock.now();
    let secret = |id: &str| {
        let account = cloud
            .accounts
            .iter()
            .find(|account| account.access_key_id == id)?;
        Some(Secret::new(account.access_key_secret.clone()))
    };
    let claims = sign::verify(request, now, secret).map_err(|error| refusal(&error))?;
    if claims.security_token.is_some() {
        return Err(Fault::bad(
            ErrorCode::InvalidSecurityTokenMismatch,
            "The local cloud's keys have no security token.",
        ));
    }
    let account = cloud
        .accounts
        .iter()
        .find(|account| account.access_key_id == claims.access_key_id)
        .cloned()
        .ok_or_else(|| refusal(&VerifyError::UnknownKey(claims.access_key_id.clone())))?;
    let (key, nonce) = (claims.access_key_id.clone(), claims.nonce.clone());
    // A request can be signed as far ahead as behind: its nonce is kept for both.
    let oldest = now - TOLERANCE - TOLERANCE;
    let fresh = cloud
        .store
        .note(move |tx| tokens::use_nonce(tx, &key, &nonce, now, oldest))
        .await?;
    if !fresh {
        return Err(Fault::bad(
            ErrorCode::SignatureNonceUsed,
            "The request signature nonce has been used.",
        ));
    }
    Ok((account, claims))
}

fn refusal(error: &VerifyError) -> Fault {
    let answer = error.to_api_error();
    Fault {
        status: answer.http_status,
        code: answer.code,
        message: answer.message,
    }
}

/// The older signature doesn't cover the host, so that it is compared here.
fn check_host(hosts: &[String], request: &HttpRequest) -> Result<(), Fault> {
    let mut named = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = named.next().map(|(_, value)| value.as_str());
    let alone = named.next().is_none();
    let here = host.is_some_and(|host| {
        host == request.authority
            && (hosts.is_empty() || hosts.iter().any(|known| known == host) || public(host))
    });
    if alone && here {
        return Ok(());
    }
    Err(Fault::bad(
        ErrorCode::InvalidParameter,
        format!("The Host {} is not this cloud.", host.unwrap_or("(none)")),
    ))
}

/// The names of the real endpoints, for clients that reach this cloud as their proxy.
fn public(host: &str) -> bool {
    let endpoint = |name: &str| {
        let region = name
            .strip_prefix("ecs.")
            .or_else(|| name.strip_prefix("ecs-"));
        name == "ecs" || region.is_some_and(crate::catalogue::is_region)
    };
    host.strip_suffix(".aliyuncs.com").is_some_and(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(authority: &str, hosts: &[&str]) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            scheme: "http".into(),
            authority: authority.into(),
            target: "/".into(),
            headers: hosts
                .iter()
                .map(|host| ("Host".to_owned(), (*host).to_owned()))
                .collect(),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn a_request_for_another_host_is_refused() {
        let known = ["here:1".to_owned()];
        check_host(&known, &request("here:1", &["here:1"])).unwrap();
        check_host(&[], &request("any", &["any"])).unwrap();
        let endpoint = "ecs.cn-hangzhou.aliyuncs.com";
        check_host(&known, &request(endpoint, &[endpoint])).unwrap();
        for wrong in [
            request("here:1", &["here:2"]),
            request("there:1", &["there:1"]),
            request("here:1", &["here:1", "here:1"]),
            request("here:1", &[]),
            request(
                "ecs.cn-hangzhow.aliyuncs.com",
                &["ecs.cn-hangzhow.aliyuncs.com"],
            ),
        ] {
            let fault = check_host(&known, &wrong).unwrap_err();
            assert_eq!(fault.status, 400, "{wrong:?}");
        }
    }
}
