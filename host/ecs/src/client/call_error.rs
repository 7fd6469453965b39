//! Why a call failed, with the action and the region in every message, and hints.

use std::fmt;

use super::class::Class;
use crate::credentials::keyring::KeyError;
use crate::endpoint::EndpointError;
use crate::error::{ApiError, ErrorCode};
use crate::id::RegionId;
use crate::params::ParamError;
use crate::transport::TransportError;

/// How much of an answer that wasn't understood is kept for the message.
const EXCERPT: usize = 200;

/// A call that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The request can't be written as parameters. Nothing was sent.
    #[error("{action} in {region}: the request can't be written")]
    Request {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// Why.
        source: ParamError,
    },
    /// There is no endpoint to call.
    #[error("{action} in {region}: no endpoint")]
    Endpoint {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// Why.
        source: EndpointError,
    },
    /// There is no key to sign the call with. Nothing was sent.
    #[error("{action} in {region}: no keys to sign it with")]
    Keys {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// Why.
        source: KeyError,
    },
    /// No answer came.
    #[error("{action} in {region} had no answer{}", after(*attempts))]
    Transport {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// How often it was tried.
        attempts: u32,
        /// What happened to the last attempt.
        source: TransportError,
    },
    /// ECS answered with an error.
    #[error("{action} in {region} failed{}", after(*attempts))]
    Api {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// How often it was tried.
        attempts: u32,
        /// The error.
        source: Box<ApiError>,
    },
    /// The answer is not one of ECS, or not of this action.
    #[error(
        "{action} in {region}: the answer (status {status}) is not understood: {problem}; it begins: {excerpt}"
    )]
    Response {
        /// The action.
        action: String,
        /// The region.
        region: RegionId,
        /// The status of the answer.
        status: u16,
        /// What is wrong with it.
        problem: String,
        /// Its first characters.
        excerpt: String,
    },
}

/// " after 3 attempts".
fn after(attempts: u32) -> String {
    if attempts > 1 {
        format!(" after {attempts} attempts")
    } else {
        String::new()
    }
}

impl CallError {
    pub(super) fn response(
        action: &str,
        region: &RegionId,
        status: u16,
        problem: &dyn fmt::Display,
        body: &[u8],
    ) -> Self {
        let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self::Response {
            action: action.to_owned(),
            region: region.clone(),
            status,
            problem: problem.to_string(),
            excerpt: text.chars().take(EXCERPT).map(printable).collect(),
        }
    }

    /// The error of ECS, when there is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The code of ECS, when there is one.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.api().map(|error| &error.code)
    }

    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Request { .. } => Class::Mistake,
            Self::Keys { source, .. } if !source.passing => Class::Mistake,
            Self::Keys { .. }
            | Self::Endpoint { .. }
            | Self::Transport { .. }
            | Self::Response { .. } => Class::Lost,
            Self::Api { action, source, .. } => Class::of_error(action, source),
        }
    }

    /// Whether the call may have taken effect although it failed, so that one must look
    /// before it is made again.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Endpoint { .. } | Self::Keys { .. } => false,
            Self::Transport { source, .. } => !source.is_unseen(),
            Self::Api { .. } => self.class() == Class::Fault,
            Self::Response { .. } => true,
        }
    }

    /// Whether the cloud could not be reached or failed, rather than said no: the same
    /// call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Request { .. } => false,
            Self::Endpoint { .. } | Self::Transport { .. } => true,
            Self::Keys { source, .. } => source.passing,
            Self::Api { .. } => self.class().is_unavailable(),
            Self::Response { status, .. } => *status >= 500,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Transport { source, .. } => transport_hint(source)?.to_owned(),
            Self::Keys { source, .. } => return source.hint.clone(),
            Self::Api { source, action, .. } => return api_hint(action, source),
            Self::Response { .. } => {
                "something between here and ECS may have answered, such as a proxy".to_owned()
            }
            Self::Request { .. } | Self::Endpoint { .. } => return None,
        };
        Some(hint)
    }
}

fn transport_hint(error: &TransportError) -> Option<&'static str> {
    match error {
        TransportError::ConnectionRefused { .. } => Some("check that a server listens there"),
        TransportError::NoConnection { .. } => {
            Some("check the network, the name of the region and, if there is one, the proxy")
        }
        TransportError::Timeout { .. } | TransportError::Broken { .. } => {
            Some("the call may have taken effect; resume the run, which looks before it repeats")
        }
        TransportError::TooLarge { .. } | TransportError::Refused { .. } => None,
    }
}

fn api_hint(action: &str, error: &ApiError) -> Option<String> {
    let code = &error.code;
    let text = match code {
        ErrorCode::InvalidAccessKeyIdNotFound | ErrorCode::ForbiddenAccessKeyDisabled => {
            "the access key doesn't exist or is disabled; check which credentials are used"
        }
        ErrorCode::SignatureDoesNotMatch | ErrorCode::IncompleteSignature => {
            "the secret doesn't belong to the access key; check which credentials are used"
        }
        ErrorCode::InvalidSecurityTokenExpired | ErrorCode::InvalidSecurityTokenMismatch => {
            "the temporary key has ended; get a new one"
        }
        ErrorCode::InvalidTimeStampExpired | ErrorCode::IllegalTimestamp => {
            "this machine's clock is more than 15 minutes wrong; set it"
        }
        ErrorCode::ForbiddenRam
        | ErrorCode::ForbiddenUnauthorized
        | ErrorCode::ForbiddenSubUser
        | ErrorCode::NoPermission => {
            return Some(format!(
                "allow ecs:{action} to the RAM user or role of this key"
            ));
        }
        ErrorCode::InvalidRegionIdNotFound => {
            "see `DescribeRegions` for the regions of the account"
        }
        ErrorCode::OperationDeniedNoStock
        | ErrorCode::ZoneNotOnSale
        | ErrorCode::InvalidInstanceTypeZoneNotSupported => {
            "choose another instance type, or a vSwitch in another zone"
        }
        ErrorCode::AccountArrearage
        | ErrorCode::InsufficientBalance
        | ErrorCode::InvalidAccountStatusNotEnoughBalance => "top up the account",
        ErrorCode::InvalidImageNameDuplicated => "choose another image name, or delete that image",
        _ if code.as_str().starts_with("QuotaExceed") => {
            "delete what is no longer needed, or ask for a higher quota"
        }
        _ if Class::of_code(action, code) == Class::Throttling => {
            "run fewer builds at once, or ask for a higher rate"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
