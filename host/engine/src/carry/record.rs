//! What is kept of a step: for its component, for the manifest, for people.

use std::sync::Arc;

use darkroom_contract::StepResult;
use serde::{Deserialize, Serialize};

use crate::folder::{FileContent, RunFolder};

/// Bytes of output that a component is given as text.
const TAIL: u64 = 16 << 10;

/// One attempt of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// `1`, `2`, …; `1.2` is the one after `1` was interrupted.
    pub attempt: String,
    /// How it ended, in words.
    pub ended: String,
    /// Whether the instance went away in the middle of it.
    pub interrupted: bool,
    /// Its exit code, if it has one.
    pub exit_code: Option<i32>,
    /// Bytes of the whole output.
    pub size: u64,
    /// SHA-256 of the whole output.
    pub sha256: String,
    /// Where the output is, relative to the run's folder; empty where there is none.
    pub log: String,
    /// When it began, in the cloud's time.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// What did not hold, in words.
    pub unmet: Vec<String>,
}

/// A step that has been carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its path in the run.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is, such as `a script`.
    pub what: String,
    /// Whether all that should hold held.
    pub succeeded: bool,
    /// Whether the component goes on without it.
    pub tolerated: bool,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRecord>,
    /// The file it brought along, relative to the run's folder.
    pub collected: Option<String>,
}

impl StepRecord {
    /// The last attempt.
    pub fn last(&self) -> Option<&AttemptRecord> {
        self.attempts.last()
    }

    /// Why it failed, in one sentence.
    pub fn problem(&self) -> String {
        let Some(last) = self.last() else {
            return "it was not attempted".into();
        };
        let mut text = if last.unmet.is_empty() {
            last.ended.clone()
        } else {
            last.unmet.join("; ")
        };
        if self.attempts.len() > 1 {
            text = format!(
                "{text} (attempt {} of {})",
                last.attempt,
                self.attempts.len()
            );
        }
        text
    }

    /// The end of the last attempt's output.
    pub fn tail(&self, folder: &RunFolder) -> String {
        let Some(last) = self.last().filter(|last| !last.log.is_empty()) else {
            return String::new();
        };
        let bytes = folder.tail(&last.log, TAIL).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What its component is told.
    pub fn result(&self, folder: &RunFolder) -> StepResult {
        let last = self.last();
        let content = self
            .collected
            .clone()
            .or_else(|| last.map(|last| last.log.clone()))
            .filter(|path| !path.is_empty());
        let size = match (&content, last) {
            (Some(path), _) => std::fs::metadata(folder.file(path)).map_or(0, |meta| meta.len()),
            (None, Some(last)) => last.size,
            (None, None) => 0,
        };
        StepResult {
            succeeded: self.succeeded,
            exit_code: last.and_then(|last| last.exit_code).unwrap_or(-1),
            output_tail: self.tail(folder),
            size,
            content: content.map(|path| Arc::new(FileContent(folder.file(&path))) as _),
        }
    }
}
