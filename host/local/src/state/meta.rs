//! Facts about the cloud as a whole, by name.

use rusqlite::{OptionalExtension, Transaction, params};

use super::store::StoreError;

/// The range that the instances' addresses come from.
pub(crate) const RANGE: &str = "range";
/// Whose ids the files of images and instances have: `root`, or `user` (shifted).
pub(crate) const LAYOUT: &str = "layout";

pub(crate) fn get(tx: &Transaction<'_>, name: &str) -> Result<Option<String>, StoreError> {
    let found = tx
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found)
}

pub(crate) fn put(tx: &Transaction<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}
