//! What is removed, and in which order.
//!
//! Rows go before the blobs that only they name. A process that dies in between leaves
//! blobs without a row, which the next one that prunes removes first.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::row::Row;
use super::{Cache, CacheError, Entry, blobs};
use crate::digest::Digest;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The packages, the one that was not used for the longest time first.
    pub entries: Vec<Entry>,
    /// How many bytes of blobs are gone, those that no package named included.
    pub bytes: u64,
}

impl Cache {
    /// Removes packages, the least recently used first, until the others together have no
    /// more than `max_bytes`; with 0 all of them. Waits until nobody reads or stores.
    ///
    /// # Errors
    /// A file that can't be removed; what was removed before stays so.
    pub fn prune(&self, max_bytes: u64) -> Result<Pruned, CacheError> {
        let _held = self.alone()?;
        self.remove_drafts()?;
        self.prune_held(max_bytes, None)
    }

    /// Removes what is too much after `newest` was stored. While others are at work it is
    /// left to them: each of them comes by here when it has stored.
    pub(super) fn keep_limit(&self, newest: &Path) -> Result<(), CacheError> {
        if self.size()? <= self.limit.bytes {
            return Ok(());
        }
        let Some(_held) = self.try_alone()? else {
            return Ok(());
        };
        let pruned = self.prune_held(self.limit.bytes, Some(newest))?;
        tracing::debug!(
            packages = pruned.entries.len(),
            bytes = pruned.bytes,
            "removed packages to keep the cache's limit"
        );
        Ok(())
    }

    /// How many bytes all blobs have.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn size(&self) -> Result<u64, CacheError> {
        let paths = blobs::files(&self.blobs())?;
        Ok(paths.iter().map(|path| length(path)).sum())
    }

    fn prune_held(&self, max_bytes: u64, keep: Option<&Path>) -> Result<Pruned, CacheError> {
        let mut rows = self.rows_with_paths()?;
        rows.sort_by_key(|(_, row)| row.used());
        let mut uses = Uses::of(&rows);
        let mut pruned = Pruned::default();
        for (path, row) in &rows {
            if uses.bytes <= max_bytes {
                break;
            }
            if keep == Some(path.as_path()) {
                continue;
            }
            uses.remove(row);
            blobs::remove(path)?;
            pruned.entries.push(row.entry());
        }
        // What is no row, or one of another version: its blobs go below.
        for path in blobs::files(&self.rows())? {
            if !rows.iter().any(|(row, _)| *row == path) {
                blobs::remove(&path)?;
            }
        }
        darkroom_failpoint::reach_blocking("registry.cache.prune");
        for path in blobs::files(&self.blobs())? {
            if !uses.has(&path) {
                pruned.bytes += length(&path);
                blobs::remove(&path)?;
            }
        }
        Ok(pruned)
    }
}

fn length(path: &Path) -> u64 {
    // Gone meanwhile: it has none.
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// How many rows name each blob; packages share some.
struct Uses {
    counts: HashMap<Digest, usize>,
    bytes: u64,
}

impl Uses {
    fn of(rows: &[(PathBuf, Row)]) -> Self {
        let mut uses = Self {
            counts: HashMap::new(),
            bytes: 0,
        };
        for blob in rows.iter().flat_map(|(_, row)| row.blobs()) {
            let count = uses.counts.entry(blob.digest).or_default();
            if *count == 0 {
                // Saturating: a row that another wrote may say anything.
                uses.bytes = uses.bytes.saturating_add(blob.bytes);
            }
            *count += 1;
        }
        uses
    }

    fn remove(&mut self, row: &Row) {
        for blob in row.blobs() {
            if let Some(count) = self.counts.get_mut(&blob.digest) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&blob.digest);
                    self.bytes = self.bytes.saturating_sub(blob.bytes);
                }
            }
        }
    }

    fn has(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| Digest::from_hex(name).ok())
            .is_some_and(|digest| self.counts.contains_key(&digest))
    }
}
