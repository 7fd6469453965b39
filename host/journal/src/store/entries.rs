//! The table of entries: what was asked, and what came of it.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::record::{self, Answer, Intent, Outcome, Undo};
use super::{Store, StoreError};
use crate::id::RunId;

/// Where an entry stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub run: RunId,
    pub stage: String,
    pub epoch: u32,
    pub key: String,
}

impl Place {
    /// A point at which a test may end this process.
    pub(crate) async fn reach(&self, point: &str) {
        darkroom_failpoint::reach_at(point, self.run.as_str(), &self.key).await;
    }
}

/// An entry as recorded.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub intent: Intent,
    pub outcome: Option<Outcome>,
}

/// An entry, for people to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct EntrySummary {
    /// The path of the scope and the ordinal in it.
    pub key: String,
    /// What was asked: `{"run": …}`, `{"wait": …}`, `{"sleep": null}`, …
    pub what: Value,
    /// When it was first asked.
    pub asked: Timestamp,
    /// When its outcome was known, if it is.
    pub answered: Option<Timestamp>,
    /// Whether the outcome is a final failure.
    pub failed: bool,
}

const DOING: &str = "reading entries";

impl Store {
    /// Records an intent, and the entry that undoes it, and returns when it is synced.
    pub(crate) async fn intend(
        &self,
        place: &Place,
        intent: &Intent,
        undo: Option<&Undo>,
    ) -> Result<(), StoreError> {
        let write = intending(place, intent, undo)?;
        self.commit("recording an intent", move |connection| {
            write(connection).map_err(StoreError::sqlite("recording an intent"))
        })
        .await
    }

    /// Records an intent with the next commit.
    pub(crate) fn intend_later(&self, place: &Place, intent: &Intent) -> Result<(), StoreError> {
        self.later(intending(place, intent, None)?)
    }

    /// Records an outcome with the next commit.
    pub(crate) fn conclude(&self, place: &Place, outcome: &Outcome) -> Result<(), StoreError> {
        let text = record::write(outcome, &place.key)?;
        let place = place.clone();
        self.later(move |connection| concluding(connection, &place, &text))
    }

    /// All entries of a run.
    pub(crate) async fn entries(&self, run: &RunId) -> Result<Vec<EntrySummary>, StoreError> {
        let run = run.clone();
        self.commit(DOING, move |connection| {
            let rows = select(
                connection,
                "SELECT key, intent, outcome FROM entries WHERE run = ? ORDER BY number",
                params![run.as_str()],
            )?;
            Ok(rows.into_iter().map(EntrySummary::from).collect())
        })
        .await
    }
}

impl From<(String, Entry)> for EntrySummary {
    fn from((key, entry): (String, Entry)) -> Self {
        Self {
            key,
            what: entry.intent.what,
            asked: entry.intent.at,
            answered: entry.outcome.as_ref().map(|outcome| outcome.at),
            failed: matches!(
                entry.outcome,
                Some(Outcome {
                    result: Answer::Failed(_),
                    ..
                })
            ),
        }
    }
}

/// The writing of an intent.
fn intending(
    place: &Place,
    intent: &Intent,
    undo: Option<&Undo>,
) -> Result<impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static, StoreError> {
    let intent = record::write(intent, &place.key)?;
    let undo = undo
        .map(|undo| record::write(undo, &place.key))
        .transpose()?;
    let place = place.clone();
    Ok(move |connection: &Connection| {
        insert(connection, &place, &intent)?;
        if let Some(undo) = &undo {
            connection
                .prepare_cached("INSERT INTO undo (run, stage, key, record, state) VALUES (?, ?, ?, ?, 'pending')")?
                .execute(params![place.run.as_str(), place.stage, place.key, undo])?;
        }
        Ok(())
    })
}

/// The row of an intent.
pub(super) fn insert(connection: &Connection, place: &Place, intent: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entries (run, stage, epoch, key, intent) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            place.run.as_str(),
            place.stage,
            place.epoch,
            place.key,
            intent
        ])?;
    Ok(())
}

/// The row of an outcome.
pub(super) fn concluding(
    connection: &Connection,
    place: &Place,
    outcome: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE entries SET outcome = ? WHERE run = ? AND key = ?")?
        .execute(params![outcome, place.run.as_str(), place.key])?;
    Ok(())
}

/// The entries of an open stage, by key.
pub(super) fn of_stage(
    connection: &Connection,
    run: &RunId,
    stage: &str,
    epoch: u32,
) -> Result<HashMap<String, Entry>, StoreError> {
    let rows = select(
        connection,
        "SELECT key, intent, outcome FROM entries WHERE run = ? AND stage = ? AND epoch = ?",
        params![run.as_str(), stage, epoch],
    )?;
    Ok(rows.into_iter().collect())
}

fn select(
    connection: &Connection,
    query: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<(String, Entry)>, StoreError> {
    type Columns = (String, String, Option<String>);
    let rows: Vec<Columns> = connection
        .prepare_cached(query)
        .and_then(|mut query| {
            query
                .query_map(parameters, |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect()
        })
        .map_err(StoreError::sqlite(DOING))?;
    rows.into_iter()
        .map(|(key, intent, outcome)| {
            let entry = Entry {
                intent: record::read(&intent, &key)?,
                outcome: outcome
                    .map(|outcome| record::read(&outcome, &key))
                    .transpose()?,
            };
            Ok((key, entry))
        })
        .collect()
}
