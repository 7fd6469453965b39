//! The table of runs: which there are, what they were begun with, how they ended.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::record::{parse, write};
use super::{Store, StoreError};
use crate::id::RunId;

/// A run in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// When it was begun.
    pub begun: Timestamp,
    /// What it was begun with.
    pub header: Value,
    /// How it ended, if it has.
    pub finished: Option<Finished>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// When it ended.
    pub at: Timestamp,
    /// What came of it.
    pub result: Value,
}

const DOING: &str = "reading the runs";

impl Store {
    /// Adds a run.
    pub(crate) async fn begin(
        &self,
        run: &RunId,
        header: &Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, header) = (run.clone(), write(header, run.as_str())?);
        self.commit("beginning a run", move |connection| {
            let added = connection
                .execute(
                    "INSERT INTO runs (run, begun, header, epoch) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                    params![run.as_str(), now.to_string(), header],
                )
                .map_err(StoreError::sqlite("beginning a run"))?;
            if added == 1 {
                Ok(())
            } else {
                Err(StoreError::RunExists { run })
            }
        })
        .await
    }

    /// All runs, in the order in which they were begun.
    pub(crate) async fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        self.commit(DOING, |connection| {
            let mut query = connection
                .prepare_cached(
                    "SELECT run, begun, header, finished, result FROM runs ORDER BY rowid",
                )
                .map_err(StoreError::sqlite(DOING))?;
            let rows: Vec<_> = query
                .query_map([], columns)
                .and_then(Iterator::collect)
                .map_err(StoreError::sqlite(DOING))?;
            rows.into_iter().map(summary).collect()
        })
        .await
    }

    /// One run.
    pub(crate) async fn run(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        let run = run.clone();
        self.commit(DOING, move |connection| {
            let found = connection
                .query_row(
                    "SELECT run, begun, header, finished, result FROM runs WHERE run = ?",
                    [run.as_str()],
                    columns,
                )
                .optional()
                .map_err(StoreError::sqlite(DOING))?;
            found.map_or(Err(StoreError::NoRun { run }), summary)
        })
        .await
    }

    /// Raises a run's epoch by one, and returns when that is synced.
    pub(crate) async fn raise(&self, run: &RunId) -> Result<u32, StoreError> {
        let run = run.clone();
        self.commit("raising a run's epoch", move |connection| {
            connection
                .query_row(
                    "UPDATE runs SET epoch = epoch + 1 WHERE run = ? RETURNING epoch",
                    [run.as_str()],
                    |row| row.get(0),
                )
                .optional()
                .map_err(StoreError::sqlite("raising a run's epoch"))?
                .ok_or(StoreError::NoRun { run })
        })
        .await
    }

    /// Records how a run ended.
    pub(crate) async fn finish(
        &self,
        run: &RunId,
        result: &Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, result) = (run.clone(), write(result, run.as_str())?);
        self.commit("finishing a run", move |connection| {
            must_exist(connection, &run)?;
            connection
                .execute(
                    "UPDATE runs SET finished = ?, result = ? WHERE run = ?",
                    params![now.to_string(), result, run.as_str()],
                )
                .map_err(StoreError::sqlite("finishing a run"))?;
            Ok(())
        })
        .await
    }
}

/// Refuses a run that isn't in the journal.
pub(super) fn must_exist(connection: &Connection, run: &RunId) -> Result<(), StoreError> {
    connection
        .query_row("SELECT 1 FROM runs WHERE run = ?", [run.as_str()], |_| {
            Ok(())
        })
        .optional()
        .map_err(StoreError::sqlite(DOING))?
        .ok_or_else(|| StoreError::NoRun { run: run.clone() })
}

type Columns = (String, String, String, Option<String>, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

fn summary((run, begun, header, finished, result): Columns) -> Result<RunSummary, StoreError> {
    let finished = match (finished, result) {
        (Some(at), Some(result)) => Some(Finished {
            at: moment(&at, &run)?,
            result: parse(&result, &run)?,
        }),
        _ => None,
    };
    Ok(RunSummary {
        begun: moment(&begun, &run)?,
        header: parse(&header, &run)?,
        finished,
        run: run
            .parse()
            .map_err(|error: crate::id::RunIdError| StoreError::Record {
                subject: run.clone(),
                problem: error.to_string(),
            })?,
    })
}

/// Reads a time column.
pub(super) fn moment(text: &str, subject: &str) -> Result<Timestamp, StoreError> {
    text.parse()
        .map_err(|error: jiff::Error| StoreError::Record {
            subject: subject.into(),
            problem: error.to_string(),
        })
}
