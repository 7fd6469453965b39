//! Which instance types are sold out where. Without a row everything is in stock.

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::store::StoreError;

/// A statement about the stock, set over the admin API. The last one that fits
/// counts; an absent field fits everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The instance type.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// Whether there is any.
    pub available: bool,
}

impl Stock {
    fn fits(&self, region: &str, zone: &str, instance_type: &str) -> bool {
        let same =
            |said: &Option<String>, asked: &str| said.as_ref().is_none_or(|text| text == asked);
        same(&self.region, region)
            && same(&self.zone, zone)
            && same(&self.instance_type, instance_type)
    }
}

/// Replaces all statements.
pub(crate) fn set(tx: &Transaction<'_>, stock: &[Stock]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM stock", [])?;
    for line in stock {
        tx.execute(
            "INSERT INTO stock (region, zone, instance_type, available) VALUES (?1, ?2, ?3, ?4)",
            params![line.region, line.zone, line.instance_type, line.available],
        )?;
    }
    Ok(())
}

/// All statements in order.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Stock>, StoreError> {
    let mut query =
        tx.prepare_cached("SELECT region, zone, instance_type, available FROM stock ORDER BY seq")?;
    let rows = query.query_map([], |row| {
        Ok(Stock {
            region: row.get(0)?,
            zone: row.get(1)?,
            instance_type: row.get(2)?,
            available: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a type is in stock.
pub(crate) fn has(stock: &[Stock], region: &str, zone: &str, instance_type: &str) -> bool {
    stock
        .iter()
        .rev()
        .find(|line| line.fits(region, zone, instance_type))
        .is_none_or(|line| line.available)
}
