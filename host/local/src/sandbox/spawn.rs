//! Starts a supervisor and waits for its first line.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Settings;
use super::folder::Folder;
use super::supervisor::protocol::Answer;
use super::sys;

/// The command of an instance's supervisor: a session of its own, no descriptor of
/// ours but the pipe for its first line.
pub(super) fn command(settings: &Settings, folder: &Folder) -> Command {
    let mut command = Command::new(&settings.executable);
    command
        .args(&settings.arguments)
        .arg(folder.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    sys::detach(&mut command);
    command
}

/// Starts it; returns when the instance's init runs.
///
/// # Errors
/// What the supervisor said, or that it ended without a word.
pub(super) async fn start(mut command: Command, patience: Duration) -> io::Result<()> {
    let started = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(pipe) = child.stdout.take() {
            BufReader::new(pipe).read_line(&mut line)?;
        }
        // It goes on for as long as the instance does; somebody must reap it.
        std::thread::spawn(move || drop(child.wait()));
        match serde_json::from_str(&line) {
            Ok(Answer::Running { .. }) => Ok(()),
            Ok(Answer::Failed(message)) => Err(io::Error::other(message)),
            Ok(answer) => Err(io::Error::other(format!("its supervisor said {answer:?}"))),
            Err(_) => Err(io::Error::other(
                "its supervisor ended early; supervisor.log in the instance's folder may say why",
            )),
        }
    });
    match tokio::time::timeout(patience, started).await {
        Ok(result) => result.map_err(io::Error::other)?,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
