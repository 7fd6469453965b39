//! Opens the journal's file: its tables, its schema version, and who may write when.
//!
//! A schema is never changed in place: a new one gets the next number and a step from
//! the one before. A newer one than ours is refused, never guessed at.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::StoreError;

/// `DARK` in ASCII: tells a journal from other databases.
const APPLICATION: i64 = 0x4441_524b;

/// The newest schema that this version knows.
pub(crate) const VERSION: i64 = 2;

/// How long another process may hold the file before we give up.
const PATIENCE: Duration = Duration::from_secs(15);

const TABLES: &str = "
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    begun TEXT NOT NULL,
    header TEXT NOT NULL,
    finished TEXT,
    result TEXT,
    epoch INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE stages (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs,
    stage TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    opened TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    record TEXT,
    UNIQUE (run, stage)
) STRICT;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs,
    stage TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    key TEXT NOT NULL,
    intent TEXT NOT NULL,
    outcome TEXT,
    UNIQUE (run, key)
) STRICT;
CREATE INDEX entries_of_stage ON entries (run, stage, epoch);
CREATE TABLE undo (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs,
    stage TEXT NOT NULL,
    key TEXT NOT NULL,
    record TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'kept')),
    attempted TEXT,
    problem TEXT,
    UNIQUE (run, key)
) STRICT;
CREATE TABLE signals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES runs,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    sent TEXT NOT NULL,
    taken TEXT
) STRICT;
CREATE INDEX signals_of_run ON signals (run, name);
";

/// The steps from one schema to the next, the first from version 1. A run of a journal
/// without epochs has had a session, which is its first.
const STEPS: [&str; 1] = ["ALTER TABLE runs ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1"];

/// Opens the journal at `path`, and makes it if there is none.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Open {
        path: path.into(),
        source: Arc::new(source),
    };
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    // Looked at before anything is changed: the file may be somebody else's.
    look(&connection, path)?;
    use_wal(&connection).map_err(failed)?;
    // FULL, because with NORMAL a power cut forgets the newest commits, and with them
    // the instances that were created after them.
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    connection
        .pragma_update(None, "foreign_keys", "ON")
        .map_err(failed)?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = look(&transaction, path)?;
    if found == 0 {
        transaction.execute_batch(TABLES).map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION)
            .map_err(failed)?;
    }
    for (version, step) in (1..).zip(STEPS) {
        if (1..=version).contains(&found) {
            transaction.execute_batch(step).map_err(failed)?;
        }
    }
    if found < VERSION {
        transaction
            .pragma_update(None, "user_version", VERSION)
            .map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(connection)
}

/// The schema's version, 0 for an empty file; refuses what isn't ours to write.
fn look(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let failed = |source| StoreError::Open {
        path: path.into(),
        source: Arc::new(source),
    };
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    // In one transaction, or another process could make the tables in between.
    let begun = connection.is_autocommit();
    if begun {
        connection.execute_batch("BEGIN").map_err(failed)?;
    }
    let seen: rusqlite::Result<_> = (|| {
        Ok((
            number("SELECT count(*) FROM sqlite_schema")?,
            number("PRAGMA application_id")?,
            number("PRAGMA user_version")?,
        ))
    })();
    if begun {
        connection.execute_batch("COMMIT").map_err(failed)?;
    }
    let (tables, application, version) = match seen {
        Ok(seen) => seen,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(StoreError::NotAJournal { path: path.into() });
        }
        Err(error) => return Err(failed(error)),
    };
    match (tables, application) {
        (0, _) => Ok(0),
        (_, APPLICATION) if version > VERSION => Err(StoreError::TooNew {
            path: path.into(),
            found: version,
            known: VERSION,
        }),
        (_, APPLICATION) => Ok(version),
        _ => Err(StoreError::NotAJournal { path: path.into() }),
    }
}

/// Turns on the write-ahead log. Doing so fails at once, without the busy timeout,
/// when another process does the same, so it is tried again.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match mode {
            Ok(_) => return Ok(()),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_journal_is_durable_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        drop(open(&path).unwrap());
        let connection = open(&path).unwrap();
        let pragma = |name: &str| {
            connection
                .query_row(&format!("PRAGMA {name}"), [], |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                })
                .unwrap()
        };
        assert_eq!(
            pragma("journal_mode"),
            rusqlite::types::Value::Text("wal".into())
        );
        assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
        assert_eq!(
            pragma("user_version"),
            rusqlite::types::Value::Integer(VERSION)
        );
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        open(&path)
            .unwrap()
            .pragma_update(None, "user_version", VERSION + 6)
            .unwrap();
        let error = open(&path).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::TooNew {
                    found: 8,
                    known: 2,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("schema 8"), "{error}");
        assert!(
            error
                .hint()
                .unwrap()
                .contains("the version of Darkroom that wrote it")
        );
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.sqlite");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE t (x)")
            .unwrap();
        let text = folder.path().join("text");
        std::fs::write(
            &text,
            "no database, but long enough to have a header of its own",
        )
        .unwrap();
        for path in [other, text] {
            let before = std::fs::read(&path).unwrap();
            let error = open(&path).unwrap_err();
            assert!(matches!(error, StoreError::NotAJournal { .. }), "{error:?}");
            assert_eq!(before, std::fs::read(&path).unwrap());
        }
    }

    #[test]
    fn many_may_open_a_new_journal_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| open(&path).map(drop)))
                .collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
    }
}
