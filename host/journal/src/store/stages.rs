//! The table of stages: the checkpoints of a run.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::record::{self, Stage};
use super::runs::moment;
use super::{Entry, Store, StoreError, entries};
use crate::id::RunId;

/// Who writes a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The pipeline's version: an open stage is replayed only by the one that began it.
    pub pipeline: String,
    /// The version of the stage's result: a finished stage is read only by the same.
    pub stage: u32,
}

/// A stage as it is found.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Finished, by a version that wrote the same kind of result.
    Finished(Value),
    /// To be run, or replayed.
    Open {
        epoch: u32,
        history: HashMap<String, Entry>,
    },
    /// Another version's.
    Other { was: Versions, finished: bool },
}

/// A stage, for people to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// The version of its result.
    pub version: u32,
    /// The version of the pipeline that began it.
    pub pipeline: String,
    /// When it was begun.
    pub opened: Timestamp,
    /// When it was finished, if it is.
    pub finished: Option<Timestamp>,
}

const DOING: &str = "opening a stage";

impl Store {
    /// Finds a stage, or begins it.
    pub(crate) async fn open_stage(
        &self,
        run: &RunId,
        stage: &str,
        ours: &Versions,
        now: Timestamp,
    ) -> Result<Opened, StoreError> {
        let (run, stage, ours) = (run.clone(), stage.to_owned(), ours.clone());
        self.commit(DOING, move |connection| {
            let Some((epoch, was, record)) = find(connection, &run, &stage)? else {
                insert(connection, &run, &stage, &ours, now)?;
                return Ok(Opened::Open {
                    epoch: 1,
                    history: HashMap::new(),
                });
            };
            if let Some(text) = record {
                if was.stage != ours.stage {
                    return Ok(Opened::Other {
                        was,
                        finished: true,
                    });
                }
                let record: Stage = record::read(&text, &stage)?;
                return Ok(Opened::Finished(record.result));
            }
            let history = entries::of_stage(connection, &run, &stage, epoch)?;
            if was != ours {
                if !history.is_empty() {
                    return Ok(Opened::Other {
                        was,
                        finished: false,
                    });
                }
                adopt(connection, &run, &stage, &ours)?;
            }
            Ok(Opened::Open { epoch, history })
        })
        .await
    }

    /// Records a stage as finished, with all that was left for later.
    pub(crate) async fn finish_stage(
        &self,
        run: &RunId,
        stage: &str,
        record: &Stage,
    ) -> Result<(), StoreError> {
        let text = record::write(record, stage)?;
        let (run, stage) = (run.clone(), stage.to_owned());
        self.commit("finishing a stage", move |connection| {
            connection
                .execute(
                    "UPDATE stages SET record = ? WHERE run = ? AND stage = ?",
                    params![text, run.as_str(), stage],
                )
                .map_err(StoreError::sqlite("finishing a stage"))?;
            Ok(())
        })
        .await
    }

    /// Lets a stage begin anew, with keys and tokens of its own.
    pub(crate) async fn restart_stage(&self, run: &RunId, stage: &str) -> Result<(), StoreError> {
        let (run, stage) = (run.clone(), stage.to_owned());
        self.commit("restarting a stage", move |connection| {
            let updates = [
                // What it was told, it is to be told again.
                "UPDATE signals SET taken = NULL WHERE run = ?1 AND taken IN
                    (SELECT key FROM entries WHERE run = ?1 AND stage = ?2)",
                "UPDATE stages SET epoch = epoch + 1, record = NULL WHERE run = ?1 AND stage = ?2",
            ];
            for update in updates {
                connection
                    .execute(update, params![run.as_str(), stage])
                    .map_err(StoreError::sqlite("restarting a stage"))?;
            }
            Ok(())
        })
        .await
    }

    /// All stages of a run, in the order in which they were begun.
    pub(crate) async fn stages(&self, run: &RunId) -> Result<Vec<StageSummary>, StoreError> {
        type Columns = (String, u32, String, String, Option<String>);
        let run = run.clone();
        self.commit("reading stages", move |connection| {
            let rows: Vec<Columns> = connection
                .prepare_cached(
                    "SELECT stage, version, pipeline, opened, record FROM stages WHERE run = ? ORDER BY number",
                )
                .and_then(|mut query| {
                    query
                        .query_map([run.as_str()], |row| {
                            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                        })?
                        .collect()
                })
                .map_err(StoreError::sqlite("reading stages"))?;
            rows.into_iter()
                .map(|(name, version, pipeline, opened, record)| {
                    let record: Option<Stage> =
                        record.map(|record| record::read(&record, &name)).transpose()?;
                    Ok(StageSummary {
                        opened: moment(&opened, &name)?,
                        finished: record.map(|record| record.at),
                        name,
                        version,
                        pipeline,
                    })
                })
                .collect()
        })
        .await
    }
}

type Found = (u32, Versions, Option<String>);

fn find(connection: &Connection, run: &RunId, stage: &str) -> Result<Option<Found>, StoreError> {
    connection
        .query_row(
            "SELECT epoch, pipeline, version, record FROM stages WHERE run = ? AND stage = ?",
            params![run.as_str(), stage],
            |row| {
                let was = Versions {
                    pipeline: row.get(1)?,
                    stage: row.get(2)?,
                };
                Ok((row.get(0)?, was, row.get(3)?))
            },
        )
        .optional()
        .map_err(StoreError::sqlite(DOING))
}

fn insert(
    connection: &Connection,
    run: &RunId,
    stage: &str,
    ours: &Versions,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO stages (run, stage, epoch, opened, pipeline, version) VALUES (?, ?, 1, ?, ?, ?)",
            params![run.as_str(), stage, now.to_string(), ours.pipeline, ours.stage],
        )
        .map_err(StoreError::sqlite(DOING))?;
    Ok(())
}

/// An open stage in which nothing was recorded is anybody's.
fn adopt(
    connection: &Connection,
    run: &RunId,
    stage: &str,
    ours: &Versions,
) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE stages SET pipeline = ?, version = ? WHERE run = ? AND stage = ?",
            params![ours.pipeline, ours.stage, run.as_str(), stage],
        )
        .map_err(StoreError::sqlite(DOING))?;
    Ok(())
}
