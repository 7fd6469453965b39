//! Why the journal's file can't be read or written.

use std::path::PathBuf;
use std::sync::Arc;

use crate::id::RunId;

/// The journal can't be read or written. Cheap to clone, since one failed commit is
/// the failure of everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file can't be opened as a journal.
    #[error("can't open the journal {path}", path = path.display())]
    Open {
        /// The journal's file.
        path: PathBuf,
        /// What `SQLite` says.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The file is a database of something else.
    #[error("{path} is not a journal of Darkroom", path = path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later version.
    #[error("the journal {path} has schema {found}, and this version knows up to {known}", path = path.display())]
    TooNew {
        /// The journal's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// `SQLite` failed.
    #[error("the journal failed while {doing}")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// What `SQLite` says.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A record can't be read, or isn't of a version that is known here.
    #[error("the journal's record of {subject} can't be read: {problem}")]
    Record {
        /// Whose record.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value can't be written as JSON.
    #[error("{subject} can't be written to the journal: {problem}")]
    Unwritable {
        /// Whose value.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The run isn't in the journal.
    #[error("there is no run {run} in the journal")]
    NoRun {
        /// The run.
        run: RunId,
    },
    /// The run is in the journal already.
    #[error("run {run} is in the journal already")]
    RunExists {
        /// The run.
        run: RunId,
    },
    /// The run has no such undo entry.
    #[error("run {run} has no undo entry {key}")]
    NoUndo {
        /// The run.
        run: RunId,
        /// The entry's key.
        key: String,
    },
    /// The journal's thread is gone, because the process is ending.
    #[error("the journal is closed")]
    Closed,
}

impl StoreError {
    /// What to do about it, for the line under the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooNew { .. } => {
                Some("use the version of Darkroom that wrote it, or another state folder".into())
            }
            Self::NotAJournal { .. } => Some("choose another state folder".into()),
            Self::Sqlite { source, .. } | Self::Open { source, .. } => match source
                .sqlite_error_code()
            {
                Some(rusqlite::ErrorCode::DiskFull) => {
                    Some("the disk is full; free some space and resume".into())
                }
                Some(rusqlite::ErrorCode::DatabaseBusy) => Some(
                    "another process holds the journal for very long; see who has it open".into(),
                ),
                _ => None,
            },
            _ => None,
        }
    }

    /// For `map_err`: an error of `SQLite` while `doing` something.
    pub(crate) fn sqlite(doing: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Sqlite {
            doing,
            source: Arc::new(source),
        }
    }
}
