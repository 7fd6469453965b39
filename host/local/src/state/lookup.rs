//! Finding rows by what they say: by a tag, a name, the instance that a disk is of.
//!
//! A row's keys lie in a table of their own, written with the row (`rows::put`), so that
//! a request for one of ten thousand rows doesn't read the others. Used by the actions
//! for what they narrow a list down to; what a request says beyond that they look at
//! themselves. Nothing here knows requests.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use darkroom_ecs::action::Tag;
use darkroom_ecs::id::{AccountId, RegionId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::rows::{
    self, DiskRow, FileRow, ImageRow, InstanceRow, InvocationRow, Placed, Row, RowTag,
    SecurityGroupRow, SnapshotRow, VSwitchRow, VpcRow,
};
use super::store::StoreError;
use crate::network::Range;

/// A name and a value.
pub(crate) type Key = (Cow<'static, str>, String);

/// A row's keys.
pub(crate) trait Keyed {
    /// What it is looked up by beside its id and its place.
    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

impl Keyed for VpcRow {}
impl Keyed for VSwitchRow {}
impl Keyed for SecurityGroupRow {}
impl Keyed for FileRow {}

fn tag_name(key: &str) -> Cow<'static, str> {
    Cow::Owned(format!("tag:{key}"))
}

fn tag_keys(tags: &[RowTag]) -> Vec<Key> {
    let keys = tags.iter();
    keys.map(|(key, value)| (tag_name(key), value.clone()))
        .collect()
}

/// The value of the key `image` of an instance: public ids are the same everywhere.
pub(crate) fn image_of(region: &RegionId, image: &impl AsRef<str>) -> String {
    format!("{region}/{}", image.as_ref())
}

/// The name of the key under which the types of an account's instances in a region are.
fn type_name(region: &RegionId, account: &AccountId) -> Cow<'static, str> {
    Cow::Owned(format!("type {region} {account}"))
}

/// The name of the key under which an account's addresses in a region are.
fn address_name(region: &RegionId, account: &AccountId) -> Cow<'static, str> {
    Cow::Owned(format!("address {region} {account}"))
}

fn address_value(address: Ipv4Addr) -> String {
    format!("{:08x}", address.to_bits())
}

impl Keyed for InstanceRow {
    fn keys(&self) -> Vec<Key> {
        let mut keys = tag_keys(&self.tags);
        let groups = self.security_groups.iter();
        keys.extend(groups.map(|group| ("group".into(), group.to_string())));
        keys.push(("vswitch".into(), self.vswitch.to_string()));
        keys.push(("image".into(), image_of(&self.region, &self.image.as_str())));
        keys.push((
            address_name(&self.region, &self.account),
            address_value(self.private_ip),
        ));
        keys.push((
            type_name(&self.region, &self.account),
            self.instance_type.clone(),
        ));
        let release = self.auto_release_at;
        keys.extend(release.map(|moment| ("release".into(), second(moment))));
        keys
    }
}

impl Keyed for DiskRow {
    fn keys(&self) -> Vec<Key> {
        let mut keys = tag_keys(&self.tags);
        keys.push(("instance".into(), self.instance.to_string()));
        keys
    }
}

impl Keyed for SnapshotRow {
    fn keys(&self) -> Vec<Key> {
        tag_keys(&self.tags)
    }
}

impl Keyed for ImageRow {
    fn keys(&self) -> Vec<Key> {
        let mut keys = tag_keys(&self.tags);
        keys.push(("name".into(), self.name.clone()));
        keys.push(("family".into(), self.family.clone()));
        let snapshots = self.snapshots();
        keys.extend(snapshots.map(|one| ("snapshot".into(), one.to_string())));
        keys
    }
}

impl Keyed for InvocationRow {
    fn keys(&self) -> Vec<Key> {
        tag_keys(&self.tags)
    }
}

/// A moment as a key: the second that it is in, in twelve digits.
fn second(moment: Timestamp) -> String {
    format!("{:012}", moment.as_second())
}

/// Writes down the keys of a row that is written.
pub(super) fn keep<R: Row>(tx: &Transaction<'_>, row: &R) -> Result<(), StoreError> {
    let mut keys = row.keys();
    keys.sort();
    keys.dedup();
    let known: Vec<(String, String)> = tx
        .prepare_cached(
            "SELECT name, value FROM keys WHERE kind = ?1 AND id = ?2 ORDER BY name, value",
        )?
        .query_map([R::TABLE, row.id()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let same = known
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .eq(keys.iter().map(|(name, value)| (name.as_ref(), value)));
    if same {
        return Ok(());
    }
    forget::<R>(tx, row.id())?;
    let mut insert = tx.prepare_cached("INSERT INTO keys VALUES (?1, ?2, ?3, ?4)")?;
    for (name, value) in keys {
        insert.execute(params![R::TABLE, name, value, row.id()])?;
    }
    Ok(())
}

/// Removes the keys of a row that goes.
pub(super) fn forget<R: Row>(tx: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM keys WHERE kind = ?1 AND id = ?2")?
        .execute([R::TABLE, id])?;
    Ok(())
}

/// What a list is narrowed down to. Every row that fits is found; a row that is found
/// fits one of its conditions at least, so that whoever asks looks at the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    ids: Option<Vec<String>>,
    keys: Vec<Key>,
}

impl Look {
    /// Only rows with one of these ids; no id at all is no condition.
    pub(crate) fn ids<T: AsRef<str>>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        let ids: Vec<String> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
        if !ids.is_empty() {
            self.ids = Some(ids);
        }
        self
    }

    /// Only rows with all these tags. One that is asked for without a value may have any
    /// and narrows nothing.
    pub(crate) fn tags(mut self, tags: &[Tag]) -> Self {
        let valued = tags.iter().filter(|tag| !tag.value.is_empty());
        self.keys
            .extend(valued.map(|tag| (tag_name(&tag.key), tag.value.clone())));
        self
    }

    /// Only rows with this value of a key, if one is asked for.
    pub(crate) fn key(mut self, name: &'static str, value: Option<String>) -> Self {
        self.keys
            .extend(value.map(|value| (Cow::Borrowed(name), value)));
        self
    }

    /// The ids that the narrowest condition leaves; none: there is no condition.
    fn narrowest<R: Row>(&self, tx: &Transaction<'_>) -> Result<Option<Vec<String>>, StoreError> {
        // More than this many are not counted: which of two long lists is the longer
        // one is not worth reading them.
        const COUNTED: &str = "SELECT count(*) FROM (SELECT 1 FROM keys
            WHERE kind = ?1 AND name = ?2 AND value = ?3 LIMIT 1000)";
        if let Some(ids) = &self.ids {
            return Ok(Some(ids.clone()));
        }
        let mut best: Option<(u32, &Key)> = None;
        for key in &self.keys {
            let count = match self.keys.len() {
                1 => 0,
                _ => tx
                    .prepare_cached(COUNTED)?
                    .query_row(params![R::TABLE, key.0, key.1], |row| row.get(0))?,
            };
            if best.is_none_or(|(least, _)| count < least) {
                best = Some((count, key));
            }
        }
        let Some((_, (name, value))) = best else {
            return Ok(None);
        };
        ids::<R>(tx, name, value).map(Some)
    }
}

/// The ids of the rows with a key.
fn ids<R: Row>(tx: &Transaction<'_>, name: &str, value: &str) -> Result<Vec<String>, StoreError> {
    let ids = tx
        .prepare_cached("SELECT id FROM keys WHERE kind = ?1 AND name = ?2 AND value = ?3")?
        .query_map([R::TABLE, name, value], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(ids)
}

/// The rows of a region that may fit, the newest first; of one account, or of all.
pub(crate) fn find<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: Option<&AccountId>,
    look: &Look,
) -> Result<Vec<Placed<R>>, StoreError> {
    match look.narrowest::<R>(tx)? {
        None => rows::list(tx, region, account),
        Some(ids) => rows::some(tx, region, account, &ids),
    }
}

/// How many rows have a key.
pub(crate) fn count<R: Row>(
    tx: &Transaction<'_>,
    name: &str,
    value: &str,
) -> Result<usize, StoreError> {
    let count: i64 = tx
        .prepare_cached("SELECT count(*) FROM keys WHERE kind = ?1 AND name = ?2 AND value = ?3")?
        .query_row([R::TABLE, name, value], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Whether any row has a key.
pub(crate) fn any<R: Row>(
    tx: &Transaction<'_>,
    name: &str,
    value: &str,
) -> Result<bool, StoreError> {
    Ok(tx
        .prepare_cached("SELECT 1 FROM keys WHERE kind = ?1 AND name = ?2 AND value = ?3")?
        .exists([R::TABLE, name, value])?)
}

/// How many instances of each type an account has in a region.
pub(crate) fn types(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: &AccountId,
) -> Result<Vec<(String, u32)>, StoreError> {
    let counted = tx
        .prepare_cached(
            "SELECT value, count(*) FROM keys WHERE kind = ?1 AND name = ?2 GROUP BY value",
        )?
        .query_map(
            params![InstanceRow::TABLE, type_name(region, account)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    Ok(counted)
}

/// The instance that is released next, if any has a release time.
pub(crate) fn next_release(tx: &Transaction<'_>) -> Result<Option<InstanceRow>, StoreError> {
    let id: Option<String> = tx
        .prepare_cached(
            "SELECT id FROM keys WHERE kind = ?1 AND name = 'release' ORDER BY value LIMIT 1",
        )?
        .query_row([InstanceRow::TABLE], |row| row.get(0))
        .optional()?;
    id.map_or(Ok(None), |id| rows::get(tx, &id))
}

/// The first `amount` addresses of a range that no instance of the account in the region
/// has, or as many as there are.
pub(crate) fn free_addresses(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: &AccountId,
    range: Range,
    amount: usize,
) -> Result<Vec<Ipv4Addr>, StoreError> {
    let mut query = tx.prepare_cached(
        "SELECT value FROM keys WHERE kind = ?1 AND name = ?2 AND value >= ?3 ORDER BY value",
    )?;
    let first = range.hosts().next().map_or_else(String::new, address_value);
    let name = address_name(region, account);
    let mut used = query.query(params![InstanceRow::TABLE, name, first])?;
    let next_used = |used: &mut rusqlite::Rows<'_>| -> Result<Option<String>, StoreError> {
        Ok(used.next()?.map(|row| row.get(0)).transpose()?)
    };
    let mut taken = next_used(&mut used)?;
    let mut free = Vec::new();
    for address in range.hosts() {
        if free.len() == amount {
            break;
        }
        let value = address_value(address);
        while taken.as_ref().is_some_and(|taken| *taken < value) {
            taken = next_used(&mut used)?;
        }
        if taken.as_ref() != Some(&value) {
            free.push(address);
        }
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::words::new_id;
    use crate::state::MIGRATIONS;
    use crate::state::jobs::{self, Job, Task};
    use darkroom_ecs::id::ImageId;
    use rusqlite::Connection;

    fn place() -> (RegionId, AccountId) {
        (
            "cn-hangzhou".parse().unwrap(),
            "1234567890123456".parse().unwrap(),
        )
    }

    /// A row as a file has it, of which these tests look at little.
    fn image(name: &str, tags: &[(&str, &str)]) -> ImageRow {
        let (region, account) = place();
        let id: ImageId = new_id("m-");
        let tags: Vec<RowTag> = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let value = serde_json::json!({
            "key": id, "id": id, "region": region, "account": account, "name": name,
            "family": "web", "version": "", "description": "",
            "system": {"platform": "", "os_name": "", "architecture": "", "boot_mode": ""},
            "status": "Available", "size_gib": 20, "snapshot": format!("s-of-{name}"),
            "layers": [], "base": null, "copied_from": null, "shares": [],
            "created_at": "2026-01-01T00:00:00Z", "tags": tags,
        });
        serde_json::from_value(value).unwrap()
    }

    fn with(steps: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in MIGRATIONS.iter().take(steps) {
            connection.execute_batch(step).unwrap();
        }
        connection
    }

    fn names(tx: &Transaction<'_>, look: &Look) -> Vec<String> {
        let (region, account) = place();
        let found = find::<ImageRow>(tx, &region, Some(&account), look).unwrap();
        found.into_iter().map(|placed| placed.row.name).collect()
    }

    fn tag(key: &str, value: &str) -> Tag {
        Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn rows_are_found_by_what_they_say_now() {
        let mut connection = with(MIGRATIONS.len());
        let tx = connection.transaction().unwrap();
        let mut one = image("one", &[("run", "1"), ("by", "me")]);
        let two = image("two", &[("run", "2"), ("by", "me")]);
        rows::put(&tx, &one).unwrap();
        rows::put(&tx, &two).unwrap();
        let run = |value| Look::default().tags(&[tag("by", "me"), tag("run", value)]);
        assert_eq!(names(&tx, &run("1")), ["one"]);
        assert_eq!(
            names(&tx, &Look::default().tags(&[tag("by", "me")])),
            ["two", "one"]
        );
        // A tag that may have any value narrows nothing.
        assert_eq!(
            names(&tx, &Look::default().tags(&[tag("no", "")])),
            ["two", "one"]
        );
        let both = [two.id.clone(), one.id.clone(), two.id.clone()];
        assert_eq!(names(&tx, &Look::default().ids(both)), ["two", "one"]);
        assert!(any::<ImageRow>(&tx, "snapshot", "s-of-one").unwrap());
        one.tags = vec![("run".to_owned(), "3".to_owned())];
        rows::put(&tx, &one).unwrap();
        assert_eq!(names(&tx, &run("1")), [""; 0]);
        assert_eq!(
            names(&tx, &Look::default().tags(&[tag("run", "3")])),
            ["one"]
        );
        rows::remove::<ImageRow>(&tx, one.id.as_str()).unwrap();
        assert_eq!(count::<ImageRow>(&tx, "family", "web").unwrap(), 1);
    }

    #[test]
    fn an_older_file_has_the_same_keys_as_a_new_one() {
        let (region, account) = place();
        let mut row = image("old", &[("run", "1")]);
        row.data = vec![rows::DataPart {
            device: "/dev/xvdb".to_owned(),
            snapshot: "s-data".parse().unwrap(),
            size_gib: 20,
        }];
        let instance = serde_json::json!({
            "id": "i-1", "region": region, "account": account, "zone": "cn-hangzhou-h",
            "name": "", "host_name": "", "description": "", "image": "m-1",
            "instance_type": "", "os_name": "", "status": "Running", "disk": "d-1",
            "vpc": "vpc-1", "vswitch": "vsw-1", "security_groups": ["sg-1", "sg-2"],
            "private_ip": "10.20.3.4", "range": "10.20.0.0/16", "bandwidth_out": 0,
            "spot_strategy": "", "deletion_protection": false,
            "auto_release_at": "2026-03-01T01:02:03Z", "created_at": "2026-01-01T00:00:00Z",
            "started_at": null, "invocations": 0, "last_invoked_at": null,
            "tags": [["run", "1"]],
        });
        let instance: InstanceRow = serde_json::from_value(instance).unwrap();
        let old = with(MIGRATIONS.len() - 1);
        for (table, id, data) in [
            (
                "images",
                row.id.to_string(),
                serde_json::to_string(&row).unwrap(),
            ),
            (
                "instances",
                "i-1".to_owned(),
                serde_json::to_string(&instance).unwrap(),
            ),
        ] {
            let sql =
                format!("INSERT INTO {table} (id, region, account, data) VALUES (?, ?, ?, ?)");
            old.execute(&sql, params![id, region.as_str(), account.as_str(), data])
                .unwrap();
        }
        let task = Task::Reserve {
            instances: vec!["i-1".parse().unwrap(), "i-2".parse().unwrap()],
            token: None,
        };
        let created_at = Timestamp::UNIX_EPOCH;
        let job = serde_json::to_string(&Job { task, created_at }).unwrap();
        old.execute(
            "INSERT INTO jobs (subjects, data) VALUES (' i-1 i-2 ', ?)",
            [job],
        )
        .unwrap();
        old.execute_batch(MIGRATIONS[MIGRATIONS.len() - 1]).unwrap();
        let mut new = with(MIGRATIONS.len());
        let tx = new.transaction().unwrap();
        rows::put(&tx, &row).unwrap();
        rows::put(&tx, &instance).unwrap();
        let keys = |connection: &Connection| -> Vec<(String, String, String, String)> {
            let mut query = connection
                .prepare("SELECT * FROM keys ORDER BY 1, 2, 3, 4")
                .unwrap();
            let rows = query
                .query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(keys(&old), keys(&tx));
        assert_eq!(keys(&old).len(), 13);
        let mut old = old;
        let tx = old.transaction().unwrap();
        for id in ["i-1", "i-2"] {
            assert_eq!(jobs::of(&tx, id).unwrap().len(), 1);
        }
    }

    #[test]
    fn addresses_are_the_first_that_are_free() {
        let mut connection = with(MIGRATIONS.len());
        let tx = connection.transaction().unwrap();
        let (region, account) = place();
        let range: Range = "10.0.0.0/29".parse().unwrap();
        let name = address_name(&region, &account);
        for last in [1_u8, 3, 4, 200] {
            let value = address_value(Ipv4Addr::new(10, 0, 0, last));
            let values = params![InstanceRow::TABLE, name, value, format!("i-{last}")];
            tx.execute("INSERT INTO keys VALUES (?1, ?2, ?3, ?4)", values)
                .unwrap();
        }
        let free = |amount| free_addresses(&tx, &region, &account, range, amount).unwrap();
        assert_eq!(
            free(2),
            [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 5)]
        );
        assert_eq!(free(9).len(), 3);
    }
}
