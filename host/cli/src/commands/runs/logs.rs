//! `darkroom runs logs`: the whole output of a run's steps, as it was.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use darkroom_engine::event::{self, Kind};
use serde_json::json;

use super::RunArg;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;
use crate::workshop;

/// Print the output of a run's steps
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom runs logs last\n  \
    darkroom runs logs last build/1-packages/0\n  \
    darkroom runs logs last --events")]
pub(crate) struct Logs {
    #[command(flatten)]
    run: RunArg,
    /// A step, or a component or stage with all of its steps
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// List the logs instead of printing them
    #[arg(long)]
    list: bool,
    /// Print the run's events as JSON, one a line
    #[arg(long, conflicts_with_all = ["list", "path"])]
    events: bool,
}

/// A log of one attempt.
#[derive(Debug, PartialEq, Eq)]
struct Log {
    step: String,
    attempt: String,
    file: PathBuf,
}

/// There is no such log.
#[derive(Debug, thiserror::Error)]
#[error("run {run} has no log of {path}")]
struct NoLog {
    run: String,
    path: String,
}

impl Logs {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let engine = workshop::open(&Roots::of_process()?).await?;
        let run = engine.find(&self.run.run).await?;
        let folder = engine.folder(&run);
        let events_file = folder.file("events.ndjson");
        if self.events {
            copy(&events_file)?;
            return Ok(exit::DONE);
        }
        let order: Vec<_> = event::read(&events_file)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|event| match event.kind {
                Kind::StepStarted { path, .. } => Some(path),
                _ => None,
            })
            .collect();
        let mut logs = find(&folder.file("logs")).map_err(Failure::config)?;
        logs.sort_by_key(|log| order.iter().position(|step| *step == log.step));
        if let Some(path) = &self.path {
            let wanted = path.trim_end_matches('/');
            logs.retain(|log| {
                let rest = log.step.strip_prefix(wanted);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if logs.is_empty() {
                let error = NoLog {
                    run: run.to_string(),
                    path: path.clone(),
                };
                return Err(Failure::user(error)
                    .hint(format!("`darkroom runs logs {run} --list` lists them")));
            }
        }
        for log in &logs {
            self.print(log, logs.len() > 1, terminal)?;
        }
        if logs.is_empty() {
            terminal.note("no step has written anything yet");
        }
        Ok(exit::DONE)
    }

    fn print(&self, log: &Log, titles: bool, terminal: &Terminal) -> Result<(), Failure> {
        let size = log.file.metadata().map_or(0, |file| file.len());
        if self.list || terminal.is_json() {
            terminal.json(&json!({
                "step": log.step, "attempt": log.attempt, "bytes": size, "file": log.file,
            }));
            terminal.line(format!(
                "{}  attempt {}  {size} bytes",
                log.step, log.attempt
            ));
            return Ok(());
        }
        if titles {
            terminal.note(format!("==> {} (attempt {})", log.step, log.attempt));
        }
        copy(&log.file)
    }
}

fn copy(file: &Path) -> Result<(), Failure> {
    let mut file = File::open(file).map_err(Failure::config)?;
    Terminal::copy(&mut file).map_err(Failure::config)
}

/// Every `logs/<step path>/<attempt>.log`, attempts in order. Links are not followed.
fn find(root: &Path) -> io::Result<Vec<Log>> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(step) = folders.pop() {
        let entries = match std::fs::read_dir(root.join(&step)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(if step.is_empty() {
                    name
                } else {
                    format!("{step}/{name}")
                });
            } else if let Some(attempt) = name.strip_suffix(".log").filter(|_| kind.is_file()) {
                found.push(Log {
                    step: step.clone(),
                    attempt: attempt.to_owned(),
                    file: entry.path(),
                });
            }
        }
    }
    found.sort_by(|a, b| {
        (&a.step, a.attempt.len(), &a.attempt).cmp(&(&b.step, b.attempt.len(), &b.attempt))
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_found_by_step_and_attempts_counted() {
        let root = tempfile::tempdir().unwrap();
        for path in ["build/1-a/0", "build/1-a/1", "test/1-b/0"] {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        for file in [
            "build/1-a/0/10.log",
            "build/1-a/0/9.log",
            "test/1-b/0/1.log",
            "build/1-a/1/x.txt",
        ] {
            std::fs::write(root.path().join(file), "x").unwrap();
        }
        let found = find(root.path()).unwrap();
        let said: Vec<_> = found
            .iter()
            .map(|log| (log.step.as_str(), log.attempt.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("build/1-a/0", "9"),
                ("build/1-a/0", "10"),
                ("test/1-b/0", "1")
            ]
        );
        assert_eq!(find(&root.path().join("missing")).unwrap(), []);
    }
}
