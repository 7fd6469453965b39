//! The table of undo entries: what has to be undone, whatever becomes of the run.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::record::{self, Answer, Intent, Outcome, Undo};
use super::runs::moment;
use super::{Place, Store, StoreError, entries};
use crate::id::RunId;
use crate::key::UndoKey;

/// What has become of an undo entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoState {
    /// Still to be performed.
    Pending,
    /// Performed.
    Done,
    /// Not to be performed: what it would undo is to stay.
    Kept,
}

/// An undo entry.
#[derive(Clone, Debug, PartialEq)]
pub struct UndoEntry {
    /// Its name.
    pub key: UndoKey,
    /// The stage that registered it.
    pub stage: String,
    /// The operation that undoes, as data.
    pub operation: Value,
    /// What has become of it.
    pub state: UndoState,
    /// When it was registered.
    pub registered: Timestamp,
    /// When an unwind first attempted it, if one has.
    pub attempted: Option<Timestamp>,
    /// Why the last unwind that attempted it failed, if it did.
    pub problem: Option<String>,
    /// What the operation to be undone returned, if that was recorded.
    pub outcome: Option<Value>,
}

const DOING: &str = "reading undo entries";

const SELECT: &str = "SELECT undo.key, undo.stage, record, state, attempted, problem, outcome
    FROM undo LEFT JOIN entries USING (run, key) WHERE run = ?";

impl Store {
    /// All undo entries of a run, in the order of their registration.
    pub(crate) async fn undo_entries(&self, run: &RunId) -> Result<Vec<UndoEntry>, StoreError> {
        let run = run.clone();
        self.commit(DOING, move |connection| {
            let rows: Vec<Columns> = connection
                .prepare_cached(&format!("{SELECT} ORDER BY undo.number"))
                .and_then(|mut query| query.query_map([run.as_str()], columns)?.collect())
                .map_err(StoreError::sqlite(DOING))?;
            rows.into_iter().map(entry).collect()
        })
        .await
    }

    /// One undo entry. With `intent`, an operation of a scope that performs it is
    /// recorded in the same commit.
    pub(crate) async fn undo_entry(
        &self,
        run: &RunId,
        key: &UndoKey,
        intent: Option<(&Place, &Intent)>,
    ) -> Result<UndoEntry, StoreError> {
        let write = intent
            .map(|(place, intent)| {
                Ok::<_, StoreError>((place.clone(), record::write(intent, &place.key)?))
            })
            .transpose()?;
        let (run, key) = (run.clone(), key.clone());
        self.commit(DOING, move |connection| {
            let found = connection
                .query_row(
                    &format!("{SELECT} AND key = ?"),
                    params![run.as_str(), key.as_str()],
                    columns,
                )
                .optional()
                .map_err(StoreError::sqlite(DOING))?;
            let found = found.ok_or(StoreError::NoUndo { run, key: key.0 })?;
            if let Some((place, intent)) = write {
                entries::insert(connection, &place, &intent)
                    .map_err(StoreError::sqlite("recording an intent"))?;
            }
            entry(found)
        })
        .await
    }

    /// Records that an entry is about to be performed by an unwind, before it is.
    pub(crate) async fn attempt_undo(
        &self,
        run: &RunId,
        key: &UndoKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.update_undo(
            run,
            key,
            "UPDATE undo SET attempted = coalesce(attempted, ?3) WHERE run = ?1 AND key = ?2",
            Some(now.to_string()),
        )
        .await
    }

    /// Records what came of a performance: done, or pending still with the problem.
    pub(crate) async fn settle_undo(
        &self,
        run: &RunId,
        key: &UndoKey,
        problem: Option<String>,
    ) -> Result<(), StoreError> {
        self.update_undo(
            run,
            key,
            "UPDATE undo SET problem = ?3, state = CASE WHEN ?3 IS NULL THEN 'done' ELSE state END
             WHERE run = ?1 AND key = ?2 AND state = 'pending'",
            problem,
        )
        .await
    }

    /// Marks entries as not to be performed, in one commit.
    pub(crate) async fn keep(&self, run: &RunId, keys: &[UndoKey]) -> Result<(), StoreError> {
        const KEEPING: &str = "keeping what an undo would undo";
        let (run, keys) = (run.clone(), keys.to_vec());
        self.commit(KEEPING, move |connection| {
            // All are looked for first: the commit is of many writers, and is not taken
            // back because one of them failed.
            for key in &keys {
                must_exist(connection, &run, key)?;
            }
            for key in &keys {
                connection
                    .execute(
                        "UPDATE undo SET state = 'kept' WHERE run = ? AND key = ? AND state = 'pending'",
                        params![run.as_str(), key.as_str()],
                    )
                    .map_err(StoreError::sqlite(KEEPING))?;
            }
            Ok(())
        })
        .await
    }

    /// Records, with the next commit, what came of an undo performed in a scope; a
    /// success marks the entry as done in the same commit.
    pub(crate) fn conclude_undo(
        &self,
        place: &Place,
        key: &UndoKey,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let text = record::write(outcome, &place.key)?;
        let done = matches!(outcome.result, Answer::Value(_));
        let (place, key) = (place.clone(), key.clone());
        self.later(move |connection| {
            entries::concluding(connection, &place, &text)?;
            if done {
                connection.execute(
                    "UPDATE undo SET state = 'done' WHERE run = ? AND key = ? AND state = 'pending'",
                    params![place.run.as_str(), key.as_str()],
                )?;
            }
            Ok(())
        })
    }

    async fn update_undo(
        &self,
        run: &RunId,
        key: &UndoKey,
        update: &'static str,
        value: Option<String>,
    ) -> Result<(), StoreError> {
        let (run, key) = (run.clone(), key.clone());
        self.commit("recording an undo", move |connection| {
            must_exist(connection, &run, &key)?;
            connection
                .execute(update, params![run.as_str(), key.as_str(), value])
                .map_err(StoreError::sqlite("recording an undo"))?;
            Ok(())
        })
        .await
    }
}

type Columns = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
    ))
}

fn entry(
    (key, stage, text, state, attempted, problem, outcome): Columns,
) -> Result<UndoEntry, StoreError> {
    let Undo { at, operation, .. } = record::read(&text, &key)?;
    let outcome: Option<Outcome> = outcome
        .map(|outcome| record::read(&outcome, &key))
        .transpose()?;
    Ok(UndoEntry {
        stage,
        operation,
        state: match state.as_str() {
            "pending" => UndoState::Pending,
            "kept" => UndoState::Kept,
            // The table's CHECK allows no other.
            _ => UndoState::Done,
        },
        registered: at,
        attempted: attempted.map(|at| moment(&at, &key)).transpose()?,
        problem,
        outcome: outcome.and_then(|outcome| match outcome.result {
            Answer::Value(value) => Some(value),
            _ => None,
        }),
        key: UndoKey(key),
    })
}

/// Refuses a key without entry. The updates above can't: an entry that is settled
/// already is no mistake.
fn must_exist(connection: &Connection, run: &RunId, key: &UndoKey) -> Result<(), StoreError> {
    connection
        .query_row(
            "SELECT 1 FROM undo WHERE run = ? AND key = ?",
            params![run.as_str(), key.as_str()],
            |_| Ok(()),
        )
        .optional()
        .map_err(StoreError::sqlite(DOING))?
        .ok_or_else(|| StoreError::NoUndo {
            run: run.clone(),
            key: key.0.clone(),
        })
}
