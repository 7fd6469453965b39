//! Jobs: what the cloud has promised and not done yet.
//!
//! A job is a row, written in the transaction that makes the promise and removed in
//! the one that keeps it. [`crate::jobs`] works on it; a successor of a killed server
//! finds it here, in the phase that was reached.

use darkroom_ecs::id::{ImageId, InstanceId, RegionId, SnapshotId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::rows::{self, ImageRow, InstanceRow};
use super::store::StoreError;

const TABLE: &str = "jobs";

/// A promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) created_at: Timestamp,
}

/// What was promised, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    /// Instances are being made and nobody has been told their ids: a successor
    /// unmakes them. `token` is what the request's token row is found by.
    Reserve {
        instances: Vec<InstanceId>,
        token: Option<TokenKey>,
    },
    /// Boot an instance.
    Start { instance: InstanceId, fresh: bool },
    /// Shut an instance down.
    Stop { instance: InstanceId, force: bool },
    /// Boot an instance again: done when its boot id isn't `before`.
    Reboot {
        instance: InstanceId,
        force: bool,
        before: Option<String>,
    },
    /// Delete an instance and its disk.
    Delete { instance: InstanceId },
    /// Make a snapshot of an instance's disk, and an image of it if one is named.
    Snapshot {
        instance: InstanceId,
        snapshot: SnapshotId,
        image: Option<ImageId>,
        phase: SnapshotPhase,
    },
    /// Make an image of a snapshot that is there.
    Image { image: ImageId },
    /// Copy an image from another region (or within one).
    Copy {
        image: ImageId,
        snapshot: SnapshotId,
        from: RegionId,
        source: ImageId,
        to: RegionId,
        phase: CopyPhase,
    },
}

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SnapshotPhase {
    /// The disk has not been written as a layer yet.
    Committing,
    /// It has, and the snapshot is accomplished: the image remains.
    Committed,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CopyPhase {
    /// Waiting for its turn.
    Waiting,
    /// Being copied.
    Copying,
}

/// What a token's row is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenKey {
    pub(crate) account: String,
    pub(crate) action: String,
    pub(crate) token: String,
}

impl Task {
    /// The ids that it works on. Jobs with a common one are done in order.
    pub(crate) fn subjects(&self) -> Vec<&str> {
        match self {
            Self::Reserve { instances, .. } => instances.iter().map(InstanceId::as_str).collect(),
            Self::Start { instance, .. }
            | Self::Stop { instance, .. }
            | Self::Reboot { instance, .. }
            | Self::Delete { instance } => vec![instance.as_str()],
            Self::Snapshot {
                instance,
                snapshot,
                image,
                phase,
            } => {
                let mut ids = vec![snapshot.as_str()];
                ids.extend(image.as_ref().map(ImageId::as_str));
                // The instance is free when its disk has been written.
                ids.extend((*phase == SnapshotPhase::Committing).then_some(instance.as_str()));
                ids
            }
            Self::Image { image } | Self::Copy { image, .. } => vec![image.as_str()],
        }
    }

    /// A word for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Reserve { .. } => "reserve",
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Reboot { .. } => "reboot",
            Self::Delete { .. } => "delete-instance",
            Self::Snapshot { image: None, .. } => "create-snapshot",
            Self::Snapshot { .. } | Self::Image { .. } => "create-image",
            Self::Copy { .. } => "copy-image",
        }
    }
}

/// The region in which a task works.
pub(crate) fn region(tx: &Transaction<'_>, task: &Task) -> Result<Option<String>, StoreError> {
    let place = |id: &InstanceId| -> Result<Option<String>, StoreError> {
        let row = rows::get::<InstanceRow>(tx, id.as_str())?;
        Ok(row.map(|row| row.region.to_string()))
    };
    match task {
        Task::Reserve { instances, .. } => instances.first().map_or(Ok(None), place),
        Task::Start { instance, .. }
        | Task::Stop { instance, .. }
        | Task::Reboot { instance, .. }
        | Task::Delete { instance }
        | Task::Snapshot { instance, .. } => place(instance),
        Task::Image { image } | Task::Copy { image, .. } => {
            let row = rows::get::<ImageRow>(tx, image.as_str())?;
            Ok(row.map(|row| row.region.to_string()))
        }
    }
}

fn text(job: &Job) -> Result<(String, String), StoreError> {
    let data = serde_json::to_string(job).map_err(|source| StoreError::Row {
        table: TABLE,
        source,
    })?;
    Ok((format!(" {} ", job.task.subjects().join(" ")), data))
}

fn parse(text: &str) -> Result<Job, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row {
        table: TABLE,
        source,
    })
}

/// Writes a new job and answers its number.
pub(crate) fn add(tx: &Transaction<'_>, job: &Job) -> Result<i64, StoreError> {
    let (subjects, data) = text(job)?;
    tx.prepare_cached("INSERT INTO jobs (subjects, data) VALUES (?1, ?2)")?
        .execute([subjects, data])?;
    let number = tx.last_insert_rowid();
    name_subjects(tx, number, job)?;
    Ok(number)
}

/// Writes how far a job is; false when it has been taken back meanwhile.
pub(crate) fn update(tx: &Transaction<'_>, number: i64, job: &Job) -> Result<bool, StoreError> {
    let (subjects, data) = text(job)?;
    let changed = tx
        .prepare_cached("UPDATE jobs SET subjects = ?2, data = ?3 WHERE seq = ?1")?
        .execute(params![number, subjects, data])?;
    if changed == 1 {
        forget_subjects(tx, number)?;
        name_subjects(tx, number, job)?;
    }
    Ok(changed == 1)
}

/// Removes a job; false when it has been taken back meanwhile.
pub(crate) fn remove(tx: &Transaction<'_>, number: i64) -> Result<bool, StoreError> {
    forget_subjects(tx, number)?;
    let removed = tx
        .prepare_cached("DELETE FROM jobs WHERE seq = ?1")?
        .execute([number])?;
    Ok(removed == 1)
}

fn name_subjects(tx: &Transaction<'_>, number: i64, job: &Job) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO subjects VALUES (?1, ?2)")?;
    for subject in job.task.subjects() {
        insert.execute(params![subject, number])?;
    }
    Ok(())
}

fn forget_subjects(tx: &Transaction<'_>, number: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM subjects WHERE seq = ?1")?
        .execute([number])?;
    Ok(())
}

/// The job of this number.
pub(crate) fn get(tx: &Transaction<'_>, number: i64) -> Result<Option<Job>, StoreError> {
    let found: Option<String> = tx
        .prepare_cached("SELECT data FROM jobs WHERE seq = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    found.map(|text| parse(&text)).transpose()
}

/// All jobs in order.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<(i64, Job)>, StoreError> {
    select(tx, "SELECT seq, data FROM jobs ORDER BY seq", params![])
}

/// The jobs that copy images, in order.
pub(crate) fn copies(tx: &Transaction<'_>) -> Result<Vec<(i64, Job)>, StoreError> {
    select(
        tx,
        "SELECT seq, data FROM jobs WHERE json_extract(data, '$.task.copy') IS NOT NULL
         ORDER BY seq",
        params![],
    )
}

/// The jobs that work on this id, in order.
pub(crate) fn of(tx: &Transaction<'_>, id: &str) -> Result<Vec<(i64, Job)>, StoreError> {
    select(
        tx,
        "SELECT jobs.seq, data FROM subjects JOIN jobs USING (seq) WHERE subject = ?1
         ORDER BY jobs.seq",
        params![id],
    )
}

/// Whether an earlier job works on something that this one works on.
pub(crate) fn blocked(tx: &Transaction<'_>, number: i64, job: &Job) -> Result<bool, StoreError> {
    let mut earlier =
        tx.prepare_cached("SELECT 1 FROM subjects WHERE subject = ?1 AND seq < ?2")?;
    for id in job.task.subjects() {
        if earlier.exists(params![id, number])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn select(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<(i64, Job)>, StoreError> {
    let mut query = tx.prepare_cached(sql)?;
    let rows: Vec<(i64, String)> = query
        .query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(number, text)| Ok((number, parse(&text)?)))
        .collect()
}
