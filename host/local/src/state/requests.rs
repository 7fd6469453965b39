//! The recorder: every request with its answer, in order.
//!
//! A request that changes something is recorded before it is worked on, so that
//! there is no effect without its record; its answer is added afterwards. What must
//! not lie in a file (contents, user data, passwords) has been replaced by length and
//! digest before it comes here.

use darkroom_ecs::id::AccountId;
use jiff::Timestamp;
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::store::StoreError;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its place in the order, from 1.
    pub number: i64,
    /// When it came.
    pub at: Timestamp,
    /// Who signed it; none when the signature was refused.
    pub account: Option<AccountId>,
    /// The region that it named, if any.
    pub region: Option<String>,
    /// What was asked for.
    pub action: String,
    /// `ACS3` or `RPC`.
    pub signature: String,
    /// The parameters, without those of the signature. A parameter that is not kept
    /// stands as `{"length": …, "sha256": …}`.
    pub params: Map<String, Value>,
    /// The HTTP status of the answer; none when the server died over it.
    pub status: Option<u16>,
    /// The error code, if it was refused.
    pub code: Option<String>,
    /// The answer's request id.
    pub request_id: String,
}

/// How many requests are remembered.
const REMEMBERED: i64 = 200_000;

/// Writes a request and answers its number, which is not taken from `request`. Now
/// and then the oldest are forgotten.
pub(crate) fn add(tx: &Transaction<'_>, request: &Recorded) -> Result<i64, StoreError> {
    let parameters = serde_json::to_string(&request.params).map_err(|source| StoreError::Row {
        table: "requests",
        source,
    })?;
    tx.prepare_cached(
        "INSERT INTO requests (at, account, region, action, signature, params, status, code,
         request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        request.at.to_string(),
        request.account.as_ref().map(AccountId::as_str),
        request.region,
        request.action,
        request.signature,
        parameters,
        request.status,
        request.code,
        request.request_id
    ])?;
    let number = tx.last_insert_rowid();
    if number % 1000 == 0 {
        tx.execute(
            "DELETE FROM requests WHERE seq <= ?1",
            [number - REMEMBERED],
        )?;
    }
    Ok(number)
}

/// Adds the answer.
pub(crate) fn answer(
    tx: &Transaction<'_>,
    number: i64,
    status: u16,
    code: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE requests SET status = ?2, code = ?3 WHERE seq = ?1")?
        .execute(params![number, status, code])?;
    Ok(())
}

/// How many are recorded.
pub(crate) fn count(tx: &Transaction<'_>) -> Result<u32, StoreError> {
    Ok(tx.query_row("SELECT count(*) FROM requests", [], |row| row.get(0))?)
}

/// The requests after the given number, in order, at most `limit`; of one action, or
/// of all.
pub(crate) fn list(
    tx: &Transaction<'_>,
    after: i64,
    limit: u32,
    action: Option<&str>,
) -> Result<Vec<Recorded>, StoreError> {
    let mut query = tx.prepare(
        "SELECT seq, at, account, region, action, signature, params, status, code, request_id
         FROM requests WHERE seq > ?1 AND (?3 IS NULL OR action = ?3) ORDER BY seq LIMIT ?2",
    )?;
    let rows = query.query_map(params![after, limit, action], |row| {
        let at: String = row.get(1)?;
        let account: Option<String> = row.get(2)?;
        let parameters: String = row.get(6)?;
        Ok(Recorded {
            number: row.get(0)?,
            at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
            account: account.and_then(|text| text.parse().ok()),
            region: row.get(3)?,
            action: row.get(4)?,
            signature: row.get(5)?,
            params: serde_json::from_str(&parameters).unwrap_or_default(),
            status: row.get(7)?,
            code: row.get(8)?,
            request_id: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
