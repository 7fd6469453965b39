//! A person's way into an instance: whoever has a terminal asks the instance's supervisor
//! for a shell on it. The command line uses this directly, past the server: a shell is no
//! part of the ECS protocol.

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::folder::Folder;
use super::supervisor::protocol::{Answer, PROTOCOL, Question, Request};

/// Runs root's login shell in an instance until it ends, and returns its exit code.
///
/// `root` is the local cloud's folder. `terminal` is the end of a pseudo terminal that
/// the shell gets, `kind` what `TERM` calls it; the other end is the caller's, who also
/// sets its size. It blocks.
///
/// # Errors
/// When the instance doesn't run here, or its supervisor can't start a shell.
pub fn shell(root: &Path, instance: &str, kind: &str, terminal: OwnedFd) -> io::Result<i32> {
    let name = super::folder::plain_name(instance)?;
    let folder = Folder::new(root.join("instances").join(name));
    let stream = folder.with_socket(|path| UnixStream::connect(path))?;
    let mut line = serde_json::to_string(&Question {
        protocol: PROTOCOL,
        request: Request::Shell {
            terminal: kind.to_owned(),
        },
    })?;
    line.push('\n');
    send(&stream, line.as_bytes(), &terminal)?;
    // The session's end is seen on the other side only when nobody holds this one.
    drop(terminal);
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Ended { exit }) => Ok(exit),
        Ok(Answer::Failed(problem)) => Err(io::Error::other(problem)),
        Ok(Answer::NoAgent) => Err(io::Error::other("the instance is not up")),
        Ok(_) => Err(io::Error::other("the supervisor gave another answer")),
        Err(_) if answer.is_empty() => Err(io::Error::other("the instance has stopped")),
        Err(error) => Err(error.into()),
    }
}

/// Sends the question with the terminal.
fn send(stream: &UnixStream, line: &[u8], terminal: &OwnedFd) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [terminal.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = rustix::net::sendmsg(
        stream,
        &[io::IoSlice::new(line)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    // A line is far shorter than a socket's buffer.
    if sent == line.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}
