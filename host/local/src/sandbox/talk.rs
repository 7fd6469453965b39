//! The driver's side of a conversation with a supervisor.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::folder::Folder;
use super::supervisor::protocol::{Answer, LONGEST_LINE, PROTOCOL, Question, Request};

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The supervisor answered.
    Answer(Answer),
    /// There is no supervisor, or it died before it answered.
    Nobody,
}

/// Asks the supervisor of an instance.
///
/// # Errors
/// When it lives and doesn't answer in time, or not in our words.
pub(super) async fn ask(folder: &Folder, request: Request, patience: Duration) -> io::Result<Said> {
    tokio::time::timeout(patience, converse(folder, request))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn converse(folder: &Folder, request: Request) -> io::Result<Said> {
    // Connecting to a socket of this machine is immediate or fails.
    let connected = folder.with_socket(|path| std::os::unix::net::UnixStream::connect(path));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(Said::Nobody),
        Err(error) => return Err(error),
    };
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    let mut line = serde_json::to_string(&Question {
        protocol: PROTOCOL,
        request,
    })?;
    line.push('\n');
    let mut answer = String::new();
    let (read, mut write) = stream.split();
    let exchange = async {
        write.write_all(line.as_bytes()).await?;
        let mut read = BufReader::new(read.take(LONGEST_LINE));
        read.read_line(&mut answer).await
    };
    match exchange.await {
        Ok(_) if answer.ends_with('\n') => Ok(Said::Answer(serde_json::from_str(&answer)?)),
        Ok(_) => Ok(Said::Nobody),
        Err(error) if is_nobody(&error) => Ok(Said::Nobody),
        Err(error) => Err(error),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    [
        io::ErrorKind::NotFound,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
    ]
    .contains(&error.kind())
}
