//! The table of signals: what people and other processes tell a run.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::record::{Answer, Outcome, parse, write};
use super::{Arrivals, Place, Store, StoreError, entries, runs};
use crate::id::RunId;
use crate::journal::CANCEL;

const DOING: &str = "reading signals";

impl Store {
    /// Sends a signal to a run, whoever runs it.
    pub(crate) async fn send_signal(
        &self,
        run: &RunId,
        name: &str,
        payload: &Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let payload = write(payload, name)?;
        let (subject, name) = (run.clone(), name.to_owned());
        let run = subject.clone();
        self.commit("sending a signal", move |connection| {
            runs::must_exist(connection, &run)?;
            connection
                .execute(
                    "INSERT INTO signals (run, name, payload, sent) VALUES (?, ?, ?, ?)",
                    params![run.as_str(), name, payload, now.to_string()],
                )
                .map_err(StoreError::sqlite("sending a signal"))?;
            Ok(())
        })
        .await?;
        self.look(&subject)
    }

    /// Takes the oldest signal of a name that nobody has taken, for the entry at
    /// `place`; its payload becomes the entry's outcome in the same commit.
    pub(crate) async fn take_signal(
        &self,
        place: &Place,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Value>, StoreError> {
        let (place, name) = (place.clone(), name.to_owned());
        self.commit("taking a signal", move |connection| {
            let failed = StoreError::sqlite("taking a signal");
            let taken = connection
                .query_row(
                    "UPDATE signals SET taken = ?1 WHERE number = (
                        SELECT min(number) FROM signals WHERE run = ?2 AND name = ?3 AND taken IS NULL
                     ) RETURNING payload",
                    params![place.key, place.run.as_str(), name],
                    |row| row.get::<_, String>(0),
                )
                .optional()
                .map_err(&failed)?;
            let Some(text) = taken else { return Ok(None) };
            let payload: Value = parse(&text, &name)?;
            let outcome = Outcome::new(now, Answer::Value(payload.clone()));
            entries::concluding(connection, &place, &write(&outcome, &place.key)?).map_err(&failed)?;
            Ok(Some(payload))
        })
        .await
    }
}

/// What has been sent to a run.
pub(super) fn arrivals(connection: &Connection, run: &RunId) -> Result<Arrivals, StoreError> {
    connection
        .prepare_cached(
            "SELECT ifnull(max(number), 0), ifnull(max(name = ?), 0) FROM signals WHERE run = ?",
        )
        .and_then(|mut query| {
            query.query_row(params![CANCEL, run.as_str()], |row| {
                Ok(Arrivals {
                    newest: row.get(0)?,
                    cancelled: row.get(1)?,
                })
            })
        })
        .map_err(StoreError::sqlite(DOING))
}
