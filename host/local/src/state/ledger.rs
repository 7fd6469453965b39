//! The bill: what exists, since when, until when, and what an hour of it costs.
//!
//! Entries are opened and closed in the transactions that make and remove resources.
//! On Alibaba Cloud a forgotten disk or snapshot costs money like an instance; here
//! the ledger is how a test finds what a build left behind.

use darkroom_ecs::id::{AccountId, RegionId};
use jiff::Timestamp;
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::store::StoreError;

/// One entry of the bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The account that pays.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// `instance`, `disk`, `snapshot` or `image`; `vpc`, `vswitch` or `securitygroup`,
    /// which cost nothing, where it is none of the default ones.
    pub kind: String,
    /// The resource's id.
    pub resource: String,
    /// Its type or category.
    pub spec: String,
    /// How many: 1 instance or image, or GiB of disk or snapshot.
    pub quantity: u32,
    /// Yuan an hour for all of it.
    pub price_per_hour: f64,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none: it is billed now.
    pub until: Option<Timestamp>,
}

/// A new entry. `price` is in millionths of a yuan, an hour, for one of the quantity.
pub(crate) struct Opened<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) region: &'a RegionId,
    pub(crate) kind: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) spec: &'a str,
    pub(crate) quantity: u32,
    pub(crate) price: u64,
}

pub(crate) fn open(
    tx: &Transaction<'_>,
    entry: &Opened<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO ledger (account, region, kind, resource, spec, quantity, price, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        entry.account.as_str(),
        entry.region.as_str(),
        entry.kind,
        entry.resource,
        entry.spec,
        entry.quantity,
        entry.price.cast_signed(),
        now.to_string()
    ])?;
    Ok(())
}

pub(crate) fn close(
    tx: &Transaction<'_>,
    resource: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE ledger SET until = ?2 WHERE resource = ?1 AND until IS NULL")?
        .execute(params![resource, now.to_string()])?;
    Ok(())
}

/// All entries in order; only those billed now, unless `closed` ones are wanted too.
pub(crate) fn entries(tx: &Transaction<'_>, closed: bool) -> Result<Vec<Entry>, StoreError> {
    let mut query = tx.prepare(
        "SELECT account, region, kind, resource, spec, quantity, price, since, until FROM ledger
         WHERE ?1 OR until IS NULL ORDER BY seq",
    )?;
    let rows = query.query_map([closed], |row| {
        let time = |text: String| text.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let quantity: u32 = row.get(5)?;
        let micros: u32 = row.get(6)?;
        let (account, region): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Entry {
            account: account.parse().unwrap_or_default(),
            region: region.parse().unwrap_or_default(),
            kind: row.get(2)?,
            resource: row.get(3)?,
            spec: row.get(4)?,
            quantity,
            price_per_hour: f64::from(quantity) * f64::from(micros) / 1e6,
            since: time(row.get(7)?),
            until: row.get::<_, Option<String>>(8)?.map(time),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
