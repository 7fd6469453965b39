//! A refusal as ECS would word it: status, code, message.
//!
//! Every action and the signature check answer with it; [`crate::service`] turns it
//! into bytes. An inner failure (state, driver) is logged where it becomes a fault and
//! answered as `InternalError`, which clients repeat.

use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::params::{ParamError, Problem};

use crate::driver::DriverError;
use crate::state::store::StoreError;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Fault {
    fn new(status: u16, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// What a fault plan says, whatever the request is.
    pub(crate) fn planned(status: u16, code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(status, code, message)
    }

    /// 400: the request itself is wrong.
    pub(crate) fn bad(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// 403: not in this state, or not for this caller.
    pub(crate) fn forbidden(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(403, code, message)
    }

    /// 404: there is no such thing.
    pub(crate) fn missing(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(404, code, message)
    }

    /// A required parameter is not there.
    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self::bad(
            ErrorCode::MissingParameter,
            format!(
                "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
            ),
        )
    }

    /// A parameter has a value that can't be.
    pub(crate) fn invalid(name: &str, why: &str) -> Self {
        Self::bad(
            ErrorCode::InvalidParameter,
            format!("The specified parameter {name} is not valid: {why}."),
        )
    }

    /// A parameter that Alibaba Cloud knows and this cloud doesn't.
    pub(crate) fn unsupported(name: &str) -> Self {
        Self::bad(
            ErrorCode::UnsupportedParameter,
            format!("The parameter {name} is not supported by the local cloud."),
        )
    }

    /// A request with `DryRun` that would have been done.
    pub(crate) fn dry_run() -> Self {
        Self::bad(
            ErrorCode::DryRunOperation,
            "Request validation has been passed with DryRun flag set.",
        )
    }

    /// Something broke in here.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        tracing::error!("{text}");
        Self::new(
            500,
            ErrorCode::InternalError,
            format!("The request processing has failed due to some unknown error: {text}"),
        )
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(&StoreError::Sql(error))
    }
}

impl From<DriverError> for Fault {
    fn from(error: DriverError) -> Self {
        Self::internal(&error)
    }
}

impl From<ParamError> for Fault {
    fn from(error: ParamError) -> Self {
        match error.problem {
            Problem::Missing => Self::missing_parameter(&error.name),
            Problem::Invalid(why) => Self::invalid(&error.name, &why),
        }
    }
}
