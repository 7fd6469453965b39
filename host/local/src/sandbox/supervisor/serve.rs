//! Answers the driver on the instance's socket: one question, one answer, one
//! connection.
//!
//! Used by [`super::keeper`], which owns what happens to the instance as a whole;
//! commands and files are handled here, in blocking threads.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::commands::Accepted;
use super::files;
use super::keeper::{Event, Order, Shared};
use super::protocol::{Answer, LONGEST_LINE, PROTOCOL, Question, Request};
use super::shell;

/// Accepts connections for ever.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>, keeper: Sender<Event>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let (shared, keeper) = (Arc::clone(&shared), keeper.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(connection, &shared, keeper).await {
                shared.log.say(&format!("a conversation ended: {error}"));
            }
        });
    }
}

async fn converse(
    mut connection: UnixStream,
    shared: &Arc<Shared>,
    keeper: Sender<Event>,
) -> io::Result<()> {
    let (line, passed) = read_line(&connection).await?;
    let answer = match serde_json::from_slice::<Question>(&line) {
        Ok(question) if question.protocol == PROTOCOL => {
            answer(question.request, passed, shared, keeper).await
        }
        Ok(question) => Some(Answer::Failed(format!(
            "this supervisor speaks protocol {PROTOCOL}, not {}",
            question.protocol
        ))),
        Err(error) => Some(Answer::Failed(format!("this is no question: {error}"))),
    };
    // Without an answer the connection ends: the keeper has gone another way.
    if let Some(answer) = answer {
        let mut line = serde_json::to_string(&answer)?;
        line.push('\n');
        connection.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

/// Reads the question's line, and the descriptor that came with it, if one did.
async fn read_line(connection: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let (mut line, mut passed) = (Vec::new(), None);
    while !line.ends_with(b"\n") {
        connection.readable().await?;
        let received = connection.try_io(Interest::READABLE, || {
            receive(connection.as_fd(), &mut line, &mut passed)
        });
        match received {
            Ok(0) => break,
            Ok(_) if line.len() as u64 > LONGEST_LINE => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok((line, passed))
}

fn receive(
    socket: BorrowedFd<'_>,
    line: &mut Vec<u8>,
    passed: &mut Option<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; 16 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        socket,
        &mut [io::IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            // Ancillary space is for one; more would be closed here.
            *passed = descriptors.last().or(passed.take());
        }
    }
    line.extend_from_slice(&bytes[..received.bytes]);
    Ok(received.bytes)
}

async fn answer(
    request: Request,
    passed: Option<OwnedFd>,
    shared: &Arc<Shared>,
    keeper: Sender<Event>,
) -> Option<Answer> {
    let order = match request {
        Request::Stop { force } => Order::Stop { force },
        Request::Reboot { force } => Order::Reboot { force },
        Request::Delete => Order::Delete,
        other => {
            let shared = Arc::clone(shared);
            return tokio::task::spawn_blocking(move || at_once(other, passed, &shared))
                .await
                .ok();
        }
    };
    let (reply, answered) = oneshot::channel();
    keeper.send(Event::Order(order, reply)).ok()?;
    answered.await.ok()
}

fn at_once(request: Request, passed: Option<OwnedFd>, shared: &Shared) -> Answer {
    match request {
        Request::Observe => shared.observe(),
        Request::Run(spec) => {
            let Some(boot) = shared.boot() else {
                return Answer::NoAgent;
            };
            match shared.commands.accept(&boot, *spec) {
                Ok(Accepted::Yes) => Answer::Done,
                Ok(Accepted::NoAgent) => Answer::NoAgent,
                Err(error) => Answer::Failed(error.to_string()),
            }
        }
        Request::State(invoke) => match shared.commands.state(&invoke) {
            Some(state) => Answer::Command(state),
            None => Answer::NoCommand,
        },
        Request::StopCommand(invoke) => {
            if shared.commands.stop(&invoke) {
                Answer::Done
            } else {
                Answer::NoCommand
            }
        }
        Request::Place(file) => {
            let Some(boot) = shared.boot().filter(|boot| boot.agent()) else {
                return Answer::NoAgent;
            };
            match files::place(&boot, &file) {
                Ok(result) => Answer::Placed(result.err()),
                Err(error) => Answer::Failed(error.to_string()),
            }
        }
        Request::Shell { terminal } => shell::answer(shared, &terminal, passed),
        // Orders went to the keeper.
        Request::Stop { .. } | Request::Reboot { .. } | Request::Delete => {
            Answer::Failed("this is an order".into())
        }
    }
}
