//! Client tokens and nonces: what makes a repeated request one request, and a
//! replayed one none.
//!
//! A token's row is written in the transaction that has the request's effect, so
//! that there is never an effect without its token. Without an answer it belongs to
//! a request that is being worked on.

use darkroom_ecs::id::AccountId;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::jobs::TokenKey;
use super::store::StoreError;

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) digest: String,
    pub(crate) response: Option<String>,
}

pub(crate) fn key(account: &AccountId, action: &str, token: &str) -> TokenKey {
    TokenKey {
        account: account.to_string(),
        action: action.to_owned(),
        token: token.to_owned(),
    }
}

/// Looks a token up.
pub(crate) fn find(tx: &Transaction<'_>, key: &TokenKey) -> Result<Option<Known>, StoreError> {
    let found = tx
        .prepare_cached(
            "SELECT digest, response FROM tokens WHERE account = ?1 AND action = ?2 AND token = ?3",
        )?
        .query_row(params![key.account, key.action, key.token], |row| {
            Ok(Known {
                digest: row.get(0)?,
                response: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found)
}

/// Keeps a token; false when it is there already and belongs to somebody else's
/// request. A row without an answer gets one.
pub(crate) fn keep(
    tx: &Transaction<'_>,
    key: &TokenKey,
    digest: &str,
    response: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            key.account,
            key.action,
            key.token,
            digest,
            response,
            now.to_string()
        ])?;
    Ok(changed == 1)
}

/// Gives a kept token its answer.
pub(crate) fn answer(
    tx: &Transaction<'_>,
    key: &TokenKey,
    response: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "UPDATE tokens SET response = ?4 WHERE account = ?1 AND action = ?2 AND token = ?3",
    )?
    .execute(params![key.account, key.action, key.token, response])?;
    Ok(())
}

/// Forgets a token.
pub(crate) fn forget(tx: &Transaction<'_>, key: &TokenKey) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM tokens WHERE account = ?1 AND action = ?2 AND token = ?3")?
        .execute(params![key.account, key.action, key.token])?;
    Ok(())
}

/// Keeps a nonce; false when it was used before. Those older than `oldest` can't be
/// replayed any more and are forgotten.
pub(crate) fn use_nonce(
    tx: &Transaction<'_>,
    key_id: &str,
    nonce: &str,
    now: Timestamp,
    oldest: Timestamp,
) -> Result<bool, StoreError> {
    tx.prepare_cached("DELETE FROM nonces WHERE second < ?1")?
        .execute([oldest.as_second()])?;
    let changed = tx
        .prepare_cached("INSERT INTO nonces VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![key_id, nonce, now.as_second()])?;
    Ok(changed == 1)
}
