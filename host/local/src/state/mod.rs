//! What the cloud knows: rows in one SQLite file, and nothing in memory that a
//! successor of a killed server would miss.
//!
//! - [`store`]: the file and its thread. One closure is one transaction.
//! - `rows`: the resources, each a struct kept as JSON beside the columns that it
//!   is looked up by.
//! - `jobs`: what has been promised and not done.
//! - `lookup`: what rows are found by beside their id.
//! - `layers`: which disks, snapshots and images need which layer.
//! - `tokens`, [`requests`], [`ledger`], [`stock`], [`quotas`]: idempotency, the recorder,
//!   the bill, the stock, what an account may have.
//!
//! Nothing here knows requests, statuses' rules or drivers.

#[cfg(test)]
pub(crate) mod fuse;
pub(crate) mod jobs;
pub(crate) mod layers;
pub mod ledger;
pub(crate) mod lookup;
pub(crate) mod meta;
pub mod quotas;
pub mod requests;
pub(crate) mod rows;
pub mod stock;
pub mod store;
pub(crate) mod tokens;

/// The schema's steps; the file's version is how many of them it has seen.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("networks.sql"),
    include_str!("lookups.sql"),
];
