//! Which resources need which layer of which region.
//!
//! A layer is needed by the disks, snapshots and images that are made of it, each
//! known by its id. One that nobody needs any more becomes `loose` in the same
//! transaction and is removed afterwards by [`crate::jobs`]; being needed again
//! takes it off that list.

use darkroom_ecs::id::RegionId;
use rusqlite::{Transaction, params};

use super::store::StoreError;
use crate::driver::LayerId;

/// A layer in its region.
pub(crate) type Place = (RegionId, LayerId);

/// Notes that `user` is made of exactly these layers.
pub(crate) fn hold(
    tx: &Transaction<'_>,
    user: &str,
    region: &RegionId,
    layers: &[LayerId],
) -> Result<(), StoreError> {
    release(tx, user)?;
    for layer in layers {
        let key = params![region.as_str(), layer.as_str(), user];
        tx.prepare_cached("INSERT OR IGNORE INTO layer_users VALUES (?1, ?2, ?3)")?
            .execute(key)?;
        tx.prepare_cached("DELETE FROM loose WHERE region = ?1 AND layer = ?2")?
            .execute(params![region.as_str(), layer.as_str()])?;
    }
    Ok(())
}

/// Notes that `user` needs none any more.
pub(crate) fn release(tx: &Transaction<'_>, user: &str) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO loose SELECT region, layer FROM layer_users AS mine
         WHERE user = ?1 AND NOT EXISTS (SELECT 1 FROM layer_users AS other
             WHERE other.region = mine.region AND other.layer = mine.layer AND other.user <> ?1)",
    )?
    .execute([user])?;
    tx.prepare_cached("DELETE FROM layer_users WHERE user = ?1")?
        .execute([user])?;
    Ok(())
}

/// The layers that somebody needs.
pub(crate) fn held(tx: &Transaction<'_>) -> Result<Vec<Place>, StoreError> {
    select(tx, "SELECT DISTINCT region, layer FROM layer_users")
}

/// The layers to be removed.
pub(crate) fn loose(tx: &Transaction<'_>) -> Result<Vec<Place>, StoreError> {
    select(tx, "SELECT region, layer FROM loose ORDER BY region, layer")
}

/// Notes that a layer has been removed.
pub(crate) fn removed(tx: &Transaction<'_>, place: &Place) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM loose WHERE region = ?1 AND layer = ?2")?
        .execute(params![place.0.as_str(), place.1.as_str()])?;
    Ok(())
}

fn select(tx: &Transaction<'_>, sql: &str) -> Result<Vec<Place>, StoreError> {
    let rows: Vec<(String, String)> = tx
        .prepare_cached(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let places = rows
        .iter()
        .map(|(region, layer)| Some((region.parse().ok()?, layer.parse().ok()?)));
    Ok(places.flatten().collect())
}
