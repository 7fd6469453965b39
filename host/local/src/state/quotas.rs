//! How much an account may have in a region. The same for all; set over the admin API.

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::meta;
use super::store::StoreError;

/// Where they stand among the facts about the cloud.
const NAME: &str = "quotas";

/// The quotas that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// vCPUs of all instances, also of those that are off.
    pub vcpus: u64,
    /// Security groups.
    pub security_groups: u32,
}

impl Default for Quotas {
    /// More than this machine can have.
    fn default() -> Self {
        Self {
            vcpus: 1_000_000,
            security_groups: 100_000,
        }
    }
}

/// The quotas in force.
pub(crate) fn get(tx: &Transaction<'_>) -> Result<Quotas, StoreError> {
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|source| StoreError::Row {
            table: "meta",
            source,
        })
    };
    let known = meta::get(tx, NAME)?.map(parse).transpose()?;
    Ok(known.unwrap_or_default())
}

/// Puts others in force. What there is beyond them stays.
pub(crate) fn set(tx: &Transaction<'_>, quotas: &Quotas) -> Result<(), StoreError> {
    let text = serde_json::to_string(quotas).map_err(|source| StoreError::Row {
        table: "meta",
        source,
    })?;
    meta::put(tx, NAME, &text)
}
