//! The resources of the cloud, as they are kept.
//!
//! Each is a struct that is written as JSON into the table of its kind. Fields added
//! later get `#[serde(default)]`, so that an older file still reads. What people see
//! of a row is made in [`crate::action`].

use std::net::Ipv4Addr;

use darkroom_ecs::action::{
    CommandType, ContentEncoding, ImageStatus, InstanceStatus, InvocationStatus, Permission,
    SnapshotStatus,
};
use darkroom_ecs::id::{
    AccountId, CommandId, DiskId, ImageId, InstanceId, InvokeId, RegionId, SecurityGroupId,
    SnapshotId, VSwitchId, VpcId, ZoneId,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lookup::{self, Keyed};
use super::store::StoreError;
use crate::driver::{Agent, Finished, LayerId};
use crate::network::Range;

/// A tag, key and value.
pub(crate) type RowTag = (String, String);

/// A resource that has a table.
pub(crate) trait Row: Keyed + Serialize + DeserializeOwned + Send + 'static {
    const TABLE: &'static str;
    fn id(&self) -> &str;
    fn region(&self) -> &RegionId;
    /// The owner; none: the cloud itself.
    fn account(&self) -> Option<&AccountId>;
}

/// What lies on a disk, in the words of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct System {
    pub(crate) platform: String,
    pub(crate) os_name: String,
    pub(crate) architecture: String,
    pub(crate) boot_mode: String,
    /// `linux` or `windows`.
    #[serde(default = "linux")]
    pub(crate) os_type: String,
    /// Whether the agent is there.
    #[serde(default)]
    pub(crate) agent: Agent,
}

fn linux() -> String {
    "linux".to_owned()
}

/// An instance. Its system disk is a [`DiskRow`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceRow {
    pub(crate) id: InstanceId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) zone: ZoneId,
    pub(crate) name: String,
    pub(crate) host_name: String,
    pub(crate) description: String,
    pub(crate) image: ImageId,
    pub(crate) instance_type: String,
    pub(crate) os_name: String,
    pub(crate) status: InstanceStatus,
    pub(crate) disk: DiskId,
    /// The other disks, in the order of their devices. They are rows only: nothing of
    /// them is seen in the instance.
    #[serde(default)]
    pub(crate) data_disks: Vec<DiskId>,
    pub(crate) vpc: VpcId,
    pub(crate) vswitch: VSwitchId,
    pub(crate) security_groups: Vec<SecurityGroupId>,
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) range: Range,
    /// The address that was asked for; it leads nowhere.
    #[serde(default)]
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) bandwidth_out: u32,
    pub(crate) spot_strategy: String,
    pub(crate) deletion_protection: bool,
    pub(crate) auto_release_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) invocations: u64,
    pub(crate) last_invoked_at: Option<Timestamp>,
    pub(crate) tags: Vec<RowTag>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DiskRow {
    pub(crate) id: DiskId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) zone: ZoneId,
    pub(crate) instance: InstanceId,
    pub(crate) image: ImageId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) size_gib: u32,
    #[serde(default)]
    pub(crate) part: Part,
    #[serde(default = "system_device")]
    pub(crate) device: String,
    /// The snapshot that it was made from.
    #[serde(default)]
    pub(crate) snapshot: Option<SnapshotId>,
    pub(crate) system: System,
    pub(crate) layers: Vec<LayerId>,
    pub(crate) created_at: Timestamp,
    pub(crate) tags: Vec<RowTag>,
}

/// What a disk is to its instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// It boots from it.
    #[default]
    System,
    /// Any other.
    Data,
}

impl Part {
    /// The word on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Data => "data",
        }
    }
}

fn system_device() -> String {
    SYSTEM_DEVICE.to_owned()
}

/// The device name of system disks.
pub(crate) const SYSTEM_DEVICE: &str = "/dev/xvda";

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SnapshotRow {
    pub(crate) id: SnapshotId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Empty for a snapshot that came with a copied image.
    pub(crate) disk: DiskId,
    pub(crate) disk_size_gib: u32,
    #[serde(default)]
    pub(crate) part: Part,
    pub(crate) system: System,
    pub(crate) status: SnapshotStatus,
    pub(crate) layers: Vec<LayerId>,
    pub(crate) size_bytes: u64,
    pub(crate) retention_days: Option<u32>,
    pub(crate) created_at: Timestamp,
    pub(crate) tags: Vec<RowTag>,
}

/// An account that may use an image, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) account: AccountId,
    pub(crate) since: Timestamp,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// What the row is found by: the id, of a public image with its region before it.
    pub(crate) key: String,
    pub(crate) id: ImageId,
    pub(crate) region: RegionId,
    /// None: a public image, made from a driver's base.
    pub(crate) account: Option<AccountId>,
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) system: System,
    pub(crate) status: ImageStatus,
    pub(crate) size_gib: u32,
    pub(crate) snapshot: Option<SnapshotId>,
    /// Its other disks.
    #[serde(default)]
    pub(crate) data: Vec<DataPart>,
    /// Of a public image: empty until it is used for the first time.
    pub(crate) layers: Vec<LayerId>,
    /// The base's digest, of a public image.
    pub(crate) base: Option<String>,
    /// Where it was copied from.
    pub(crate) copied_from: Option<(RegionId, ImageId)>,
    pub(crate) shares: Vec<Share>,
    pub(crate) created_at: Timestamp,
    pub(crate) tags: Vec<RowTag>,
}

/// A disk of an image beside its system disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataPart {
    pub(crate) device: String,
    pub(crate) snapshot: SnapshotId,
    pub(crate) size_gib: u32,
}

impl ImageRow {
    /// The snapshots that it is made of, the system disk's first.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        let data = self.data.iter().map(|part| &part.snapshot);
        self.snapshot.iter().chain(data)
    }
}

/// A VPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VpcRow {
    pub(crate) id: VpcId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The default one, which nobody has asked for.
    pub(crate) default: bool,
    pub(crate) range: Range,
    pub(crate) created_at: Timestamp,
    pub(crate) tags: Vec<RowTag>,
}

/// A vSwitch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VSwitchRow {
    pub(crate) id: VSwitchId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) zone: ZoneId,
    pub(crate) vpc: VpcId,
    #[serde(default = "default_name")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// One of the default ones. Once there were no others.
    #[serde(default = "yes")]
    pub(crate) default: bool,
    pub(crate) range: Range,
    pub(crate) created_at: Timestamp,
    #[serde(default)]
    pub(crate) tags: Vec<RowTag>,
}

fn default_name() -> String {
    "default".to_owned()
}

fn yes() -> bool {
    true
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecurityGroupRow {
    pub(crate) id: SecurityGroupId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) vpc: VpcId,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// Whether its instances may not reach each other. Here they never do.
    #[serde(default)]
    pub(crate) apart: bool,
    /// What somebody has added; they are only shown.
    #[serde(default)]
    pub(crate) rules: Vec<Permission>,
    pub(crate) created_at: Timestamp,
    pub(crate) tags: Vec<RowTag>,
}

/// A command that was run in some instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InvocationRow {
    pub(crate) id: InvokeId,
    pub(crate) command: CommandId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) kind: CommandType,
    /// As it came, in `encoding`.
    pub(crate) content: String,
    pub(crate) encoding: ContentEncoding,
    pub(crate) timeout: u64,
    pub(crate) working_dir: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) termination: String,
    pub(crate) created_at: Timestamp,
    pub(crate) executions: Vec<Execution>,
    pub(crate) tags: Vec<RowTag>,
}

/// A command in one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Execution {
    pub(crate) instance: InstanceId,
    /// Whether the driver has it.
    pub(crate) delivered: bool,
    /// Its end, as it was first seen.
    pub(crate) finished: Option<Finished>,
}

/// A file that was sent to some instances. Its content is not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileRow {
    pub(crate) id: InvokeId,
    pub(crate) region: RegionId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) target_dir: String,
    pub(crate) description: String,
    pub(crate) owner: String,
    pub(crate) group: String,
    pub(crate) mode: String,
    pub(crate) overwrite: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) tags: Vec<RowTag>,
}

/// What became of a file in one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) instance: InstanceId,
    pub(crate) status: InvocationStatus,
    pub(crate) error_code: String,
    pub(crate) error_info: String,
    pub(crate) finished_at: Timestamp,
}

macro_rules! row {
    ($type:ty, $table:literal) => {
        impl Row for $type {
            const TABLE: &'static str = $table;
            fn id(&self) -> &str {
                self.id.as_str()
            }
            fn region(&self) -> &RegionId {
                &self.region
            }
            fn account(&self) -> Option<&AccountId> {
                Some(&self.account)
            }
        }
    };
}

row!(InstanceRow, "instances");
row!(DiskRow, "disks");
row!(SnapshotRow, "snapshots");
row!(VpcRow, "vpcs");
row!(VSwitchRow, "vswitches");
row!(SecurityGroupRow, "security_groups");
row!(InvocationRow, "invocations");
row!(FileRow, "files");

impl Row for ImageRow {
    const TABLE: &'static str = "images";
    fn id(&self) -> &str {
        &self.key
    }
    fn region(&self) -> &RegionId {
        &self.region
    }
    fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }
}

/// A row with its place in the order of creation.
#[derive(Clone, Debug)]
pub(crate) struct Placed<R> {
    pub(crate) seq: i64,
    pub(crate) row: R,
}

fn parse<R: Row>(text: &str) -> Result<R, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row {
        table: R::TABLE,
        source,
    })
}

/// The row of this id.
pub(crate) fn get<R: Row>(tx: &Transaction<'_>, id: &str) -> Result<Option<R>, StoreError> {
    let text: Option<String> = tx
        .prepare_cached(&format!("SELECT data FROM {} WHERE id = ?1", R::TABLE))?
        .query_row([id], |row| row.get(0))
        .optional()?;
    text.map(|text| parse(&text)).transpose()
}

/// Writes a row, new or changed; a changed one keeps its place.
pub(crate) fn put<R: Row>(tx: &Transaction<'_>, row: &R) -> Result<(), StoreError> {
    let text = serde_json::to_string(row).map_err(|source| StoreError::Row {
        table: R::TABLE,
        source,
    })?;
    tx.prepare_cached(&format!(
        "INSERT INTO {} (id, region, account, data) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET region = ?2, account = ?3, data = ?4",
        R::TABLE
    ))?
    .execute(params![
        row.id(),
        row.region().as_str(),
        row.account().map_or("", AccountId::as_str),
        text
    ])?;
    lookup::keep(tx, row)
}

/// Removes the row of this id.
pub(crate) fn remove<R: Row>(tx: &Transaction<'_>, id: &str) -> Result<(), StoreError> {
    tx.prepare_cached(&format!("DELETE FROM {} WHERE id = ?1", R::TABLE))?
        .execute([id])?;
    lookup::forget::<R>(tx, id)
}

/// Those of the given ids that are rows of a region, the newest first; of one account,
/// or of all.
pub(crate) fn some<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: Option<&AccountId>,
    ids: &[String],
) -> Result<Vec<Placed<R>>, StoreError> {
    let mut query = tx.prepare_cached(&format!(
        "SELECT seq, data FROM {} WHERE id = ?1 AND region = ?2 AND (?3 IS NULL OR account = ?3)",
        R::TABLE
    ))?;
    let mut found: Vec<Placed<R>> = Vec::new();
    for id in ids {
        let values = params![id, region.as_str(), account.map(AccountId::as_str)];
        let row: Option<(i64, String)> = query
            .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((seq, text)) = row {
            let row = parse(&text)?;
            found.push(Placed { seq, row });
        }
    }
    found.sort_by_key(|placed| std::cmp::Reverse(placed.seq));
    found.dedup_by_key(|placed| placed.seq);
    Ok(found)
}

/// The public rows of a region, which belong to nobody, the newest first.
pub(crate) fn public<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
) -> Result<Vec<Placed<R>>, StoreError> {
    select(tx, "region = ?1 AND account = ''", params![region.as_str()])
}

/// How many rows an account has in a region.
pub(crate) fn count<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: &AccountId,
) -> Result<usize, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE region = ?1 AND account = ?2",
        R::TABLE
    );
    let count: i64 = tx
        .prepare_cached(&sql)?
        .query_row([region.as_str(), account.as_str()], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// The rows of a region, the newest first; of one account, or of all.
pub(crate) fn list<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: Option<&AccountId>,
) -> Result<Vec<Placed<R>>, StoreError> {
    select(
        tx,
        "region = ?1 AND (?2 IS NULL OR account = ?2)",
        params![region.as_str(), account.map(AccountId::as_str)],
    )
}

/// An account's rows of a region, the newest first; where an id is given, only the row
/// of this id. Polls name one, and must not read all others each time.
pub(crate) fn own<R: Row>(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: &AccountId,
    id: Option<&str>,
) -> Result<Vec<Placed<R>>, StoreError> {
    let place = "region = ?1 AND account = ?2";
    let (region, account) = (region.as_str(), account.as_str());
    match id {
        Some(id) => select(
            tx,
            &format!("{place} AND id = ?3"),
            params![region, account, id],
        ),
        None => select(tx, place, params![region, account]),
    }
}

/// All rows of a kind, the newest first.
pub(crate) fn all<R: Row>(tx: &Transaction<'_>) -> Result<Vec<Placed<R>>, StoreError> {
    select(tx, "1", params![])
}

fn select<R: Row>(
    tx: &Transaction<'_>,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Placed<R>>, StoreError> {
    let sql = format!(
        "SELECT seq, data FROM {} WHERE {condition} ORDER BY seq DESC",
        R::TABLE
    );
    let mut query = tx.prepare_cached(&sql)?;
    let rows: Vec<(i64, String)> = query
        .query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(seq, text)| {
            Ok(Placed {
                seq,
                row: parse(&text)?,
            })
        })
        .collect()
}

/// Notes that a command runs in an instance.
pub(crate) fn mark_running(
    tx: &Transaction<'_>,
    invoke: &InvokeId,
    instance: &InstanceId,
) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR IGNORE INTO running VALUES (?1, ?2)")?
        .execute([invoke.as_str(), instance.as_str()])?;
    Ok(())
}

/// The account's executions in a region that nobody has seen the end of, as [`own`].
pub(crate) fn own_running(
    tx: &Transaction<'_>,
    region: &RegionId,
    account: &AccountId,
) -> Result<Vec<Placed<InvocationRow>>, StoreError> {
    select(
        tx,
        "region = ?1 AND account = ?2 AND id IN (SELECT invoke FROM running)",
        params![region.as_str(), account.as_str()],
    )
}

/// Notes that it has ended.
pub(crate) fn mark_ended(
    tx: &Transaction<'_>,
    invoke: &InvokeId,
    instance: &InstanceId,
) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM running WHERE invoke = ?1 AND instance = ?2")?
        .execute([invoke.as_str(), instance.as_str()])?;
    Ok(())
}

/// The commands whose end has not been seen; of one instance, or of all.
pub(crate) fn running(
    tx: &Transaction<'_>,
    instance: Option<&InstanceId>,
) -> Result<Vec<InvocationRow>, StoreError> {
    const OF_ONE: &str = "SELECT DISTINCT invoke FROM running WHERE instance = ?1 ORDER BY invoke";
    const OF_ALL: &str = "SELECT DISTINCT invoke FROM running ORDER BY invoke";
    let ids: Vec<String> = match instance {
        Some(instance) => tx
            .prepare_cached(OF_ONE)?
            .query_map([instance.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?,
        None => tx
            .prepare_cached(OF_ALL)?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?,
    };
    let mut found = Vec::new();
    for id in ids {
        found.extend(get::<InvocationRow>(tx, &id)?);
    }
    Ok(found)
}
