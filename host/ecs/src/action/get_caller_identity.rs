//! `GetCallerIdentity`: says whose key signed the call. Of the product STS; nobody needs a
//! right to it.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

/// Says whose key signed the call. Of the product STS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCallerIdentity {}

/// The answer to [`GetCallerIdentity`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GetCallerIdentityResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The account that pays.
    pub account_id: String,
    /// Who it is, such as `acs:ram::1234567890123456:user/builder`; of the account itself
    /// `acs:ram::1234567890123456:root`.
    pub arn: String,
    /// `Account`, `RAMUser` or `AssumedRoleUser`.
    pub identity_type: String,
    /// The id of user, role or account.
    pub principal_id: String,
    /// The id of a RAM user.
    pub user_id: String,
    /// The id of a role that was taken on.
    pub role_id: String,
}
