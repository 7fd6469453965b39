//! The ECS actions, each thin over the state: check, one transaction, answer.
//!
//! [`Serve`] is what an action is; the table in [`dispatch`] is the whole of what this
//! cloud can do. Who asks has been settled before (see [`crate::auth`]). To add an
//! action: its types in the `ecs` crate, its `Serve` in the file of its family here,
//! its name in the table. A parameter that Alibaba Cloud knows and an action here
//! doesn't is refused, never ignored.

mod account;
mod assistant;
mod command;
mod create_instance;
mod data_disk;
mod disk;
mod file;
mod image;
mod image_copy;
mod image_create;
mod image_share;
mod instance;
mod network;
mod page;
mod place;
mod run_instances;
mod security_group;
mod security_rule;
mod snapshot;
mod tag;
mod vpc;
pub(crate) mod words;

use std::sync::Arc;

use darkroom_ecs::action as ecs;
use darkroom_ecs::action::Action;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, RegionId};
use darkroom_ecs::params::{self, Params};
use jiff::Timestamp;
use rusqlite::Transaction;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::catalogue;
use crate::cloud::Cloud;
use crate::fault::Fault;
use crate::state::jobs::TokenKey;
use crate::state::tokens;

/// What an action has at hand.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cloud: Arc<Cloud>,
    /// Who asks.
    pub(crate) account: AccountId,
    pub(crate) now: Timestamp,
    /// The request's client token, if it has one that is not used yet.
    pub(crate) token: Option<Token>,
}

/// A client token that is to be kept with the request's effect.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) key: TokenKey,
    digest: String,
    now: Timestamp,
}

impl Token {
    /// Keeps the token with the request's answer, in the transaction of its effect.
    pub(crate) fn keep(
        token: Option<&Self>,
        tx: &Transaction<'_>,
        response: &impl Serialize,
    ) -> Result<(), Fault> {
        let Some(this) = token else { return Ok(()) };
        let text = text(response)?;
        this.insert(tx, Some(&text))
    }

    /// Keeps the token of a request that will be answered later.
    pub(crate) fn reserve(token: Option<&Self>, tx: &Transaction<'_>) -> Result<(), Fault> {
        token.map_or(Ok(()), |this| this.insert(tx, None))
    }

    /// Gives a reserved token its answer.
    pub(crate) fn answer(
        token: Option<&Self>,
        tx: &Transaction<'_>,
        response: &impl Serialize,
    ) -> Result<(), Fault> {
        let Some(this) = token else { return Ok(()) };
        Ok(tokens::answer(tx, &this.key, &text(response)?)?)
    }

    fn insert(&self, tx: &Transaction<'_>, response: Option<&str>) -> Result<(), Fault> {
        if tokens::keep(tx, &self.key, &self.digest, response, self.now)? {
            Ok(())
        } else {
            Err(in_progress())
        }
    }
}

fn text(response: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(response).map_err(|error| Fault::internal(&error))
}

fn in_progress() -> Fault {
    Fault::forbidden(
        ErrorCode::LastTokenProcessing,
        "The last token request is processing.",
    )
}

/// An action that this cloud serves.
pub(crate) trait Serve: Action {
    /// The request's client token.
    fn token(&self) -> Option<&str> {
        None
    }

    /// Does it. The answer's request id is filled in afterwards.
    fn serve(self, cx: &Context) -> impl Future<Output = Result<Self::Response, Fault>> + Send;
}

macro_rules! table {
    ($($name:ident)*) => {
        /// The names of all actions served.
        #[cfg(test)]
        pub(crate) const SERVED: &[&str] = &[$(stringify!($name)),*];

        /// Does what a request asks for.
        ///
        /// # Errors
        /// The refusal, as ECS words it.
        pub(crate) async fn dispatch(
            cx: Context,
            action: &str,
            version: &str,
            params: &Params,
        ) -> Result<Value, Fault> {
            match action {
                $(<ecs::$name as Action>::NAME => run::<ecs::$name>(cx, version, params).await,)*
                _ => Err(Fault::missing(
                    ErrorCode::InvalidActionNotFound,
                    format!("The specified action {action} is not served by the local cloud."),
                )),
            }
        }
    };
}

table! {
    GetCallerIdentity DescribeAccountAttributes
    DescribeRegions DescribeZones DescribeAvailableResource DescribeInstanceTypes
    DescribeSpotPriceHistory DescribePrice
    CreateVpc DescribeVpcs DeleteVpc CreateVSwitch DescribeVSwitches DeleteVSwitch
    CreateSecurityGroup AuthorizeSecurityGroup AuthorizeSecurityGroupEgress
    ModifySecurityGroupPolicy DescribeSecurityGroups DeleteSecurityGroup
    DescribeSecurityGroupAttribute DescribeNatGateways
    DescribeImages DescribeImageFromFamily
    RunInstances CreateInstance AllocatePublicIpAddress DescribeInstances
    StartInstance StopInstance RebootInstance DeleteInstance
    ModifyInstanceAutoReleaseTime DescribeCloudAssistantStatus
    InstallCloudAssistant RunCommand DescribeInvocations DescribeInvocationResults StopInvocation
    SendFile DescribeSendFileResults
    CreateImage CopyImage CancelCopyImage ModifyImageAttribute
    ModifyImageSharePermission DescribeImageSharePermission DeleteImage
    CreateSnapshot DescribeSnapshots DeleteSnapshot DescribeDisks
    TagResources UntagResources
}

async fn run<A: Serve>(mut cx: Context, version: &str, params: &Params) -> Result<Value, Fault> {
    // ECS has the actions of the product Vpc too, of old.
    let old = A::VERSION == ecs::VPC_VERSION && version == ecs::VERSION;
    if version != A::VERSION && !old {
        return Err(Fault::bad(
            ErrorCode::InvalidVersion,
            "The specified version is not supported.",
        ));
    }
    if let Some(region) = params.get("RegionId").filter(|text| !text.is_empty()) {
        check_region(region)?;
    }
    let request: A = params::from_params(params)?;
    refuse_unknown(&request, params)?;
    if let Some(token) = request.token().filter(|token| !token.is_empty()) {
        if token.len() > 64 || !token.is_ascii() {
            return Err(Fault::bad(
                ErrorCode::InvalidClientTokenValueNotSupported,
                "The specified ClientToken is not valid: at most 64 ASCII characters.",
            ));
        }
        let key = tokens::key(&cx.account, A::NAME, token);
        let digest = digest(params);
        let wanted = key.clone();
        let known = cx
            .cloud
            .store
            .read(move |tx| tokens::find(tx, &wanted))
            .await?;
        if let Some(known) = known {
            return repeat(known, &digest);
        }
        cx.token = Some(Token {
            key,
            digest,
            now: cx.now,
        });
    }
    let response = request.serve(&cx).await?;
    serde_json::to_value(response).map_err(|error| Fault::internal(&error))
}

/// The answer to a request whose token was used before.
fn repeat(known: tokens::Known, digest: &str) -> Result<Value, Fault> {
    if known.digest != digest {
        return Err(Fault::bad(
            ErrorCode::IdempotentParameterMismatch,
            "The specified parameters don't match those of the earlier request with this ClientToken.",
        ));
    }
    let response = known.response.ok_or_else(in_progress)?;
    serde_json::from_str(&response).map_err(|error| Fault::internal(&error))
}

/// The digest of a request's parameters.
fn digest(params: &Params) -> String {
    let mut hash = Sha256::new();
    for (name, value) in params.iter().filter(|(name, _)| *name != "ClientToken") {
        for text in [name, value] {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
    }
    hex(&hash.finalize())
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    let pairs = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    pairs.flatten().collect()
}

/// Parameters that every SDK may send and that mean nothing here.
const IGNORED: &[&str] = &[
    "RegionId",
    "OwnerId",
    "OwnerAccount",
    "ResourceOwnerId",
    "ResourceOwnerAccount",
    "ResourceGroupId",
    "AcceptLanguage",
    "SignatureType",
    "IoOptimized",
];

/// Refuses parameters that the action's type has no field for: what is written back
/// from the parsed request tells which were understood.
fn refuse_unknown<A: Action>(request: &A, params: &Params) -> Result<(), Fault> {
    let understood = params::to_params(request)?;
    let shape = |name: &str| -> String {
        let parts = name.split('.');
        let parts: Vec<&str> = parts
            .map(|part| {
                if part.bytes().all(|byte| byte.is_ascii_digit()) {
                    "N"
                } else {
                    part
                }
            })
            .collect();
        parts.join(".")
    };
    let known: Vec<String> = understood.iter().map(|(name, _)| shape(name)).collect();
    for (name, value) in params.iter() {
        let spelt = shape(name);
        let list = format!("{spelt}.");
        let found = known.iter().any(|known| {
            *known == spelt || known.starts_with(&list) || known.eq_ignore_ascii_case(&spelt)
        });
        if !found && !value.is_empty() && !IGNORED.contains(&name) {
            return Err(Fault::unsupported(name));
        }
    }
    Ok(())
}

fn check_region(region: &str) -> Result<(), Fault> {
    if catalogue::is_region(region) {
        Ok(())
    } else {
        Err(Fault::missing(
            ErrorCode::InvalidRegionIdNotFound,
            format!("The specified RegionId {region} does not exist."),
        ))
    }
}

/// Whether a row is in the region that a request named, if it named one.
fn in_region(region: &RegionId, named: &RegionId) -> bool {
    named.is_empty() || region == named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_wire_is_served() {
        for action in ecs::ACTIONS {
            assert!(
                SERVED.contains(&action.name),
                "{} is not served",
                action.name
            );
        }
        assert_eq!(ecs::ACTIONS.len(), SERVED.len());
    }

    #[test]
    fn a_parameter_that_nobody_understands_is_refused() {
        let parse = |pairs: &[(&str, &str)]| {
            let params: Params = pairs.iter().copied().collect();
            let request: ecs::DescribeInstances = params::from_params(&params).unwrap();
            refuse_unknown(&request, &params)
        };
        let region = ("RegionId", "cn-hangzhou");
        parse(&[
            region,
            ("Tag.1.Key", "a"),
            ("Tag.3.Key", "b"),
            ("OwnerId", "1"),
        ])
        .unwrap();
        parse(&[region, ("InstanceIds", "[\"i-1\"]"), ("Nonsense", "")]).unwrap();
        let fault = parse(&[region, ("Nonsense", "1")]).unwrap_err();
        assert_eq!(fault.code, ErrorCode::UnsupportedParameter);
        assert!(fault.message.contains("Nonsense"));
        assert!(parse(&[region, ("Tag.1.Colour", "x"), ("Tag.1.Key", "a")]).is_err());
    }
}
