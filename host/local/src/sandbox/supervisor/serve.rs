//! Answers the driver on the instance's socket: one question, one answer, one
//! connection.
//!
//! Used by [`super::keeper`], which owns what happens to the instance as a whole;
//! commands and files are handled here, in blocking threads.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::commands::Accepted;
use super::files;
use super::keeper::{Event, Order, Shared};
use super::protocol::{Answer, LONGEST_LINE, PROTOCOL, Question, Request};

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
    let (read, mut write) = connection.split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST_LINE))
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) if question.protocol == PROTOCOL => {
            answer(question.request, shared, keeper).await
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
        write.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

async fn answer(request: Request, shared: &Arc<Shared>, keeper: Sender<Event>) -> Option<Answer> {
    let order = match request {
        Request::Stop { force } => Order::Stop { force },
        Request::Reboot { force } => Order::Reboot { force },
        Request::Delete => Order::Delete,
        other => {
            let shared = Arc::clone(shared);
            return tokio::task::spawn_blocking(move || at_once(other, &shared))
                .await
                .ok();
        }
    };
    let (reply, answered) = oneshot::channel();
    keeper.send(Event::Order(order, reply)).ok()?;
    answered.await.ok()
}

fn at_once(request: Request, shared: &Shared) -> Answer {
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
        // Orders went to the keeper.
        Request::Stop { .. } | Request::Reboot { .. } | Request::Delete => {
            Answer::Failed("this is an order".into())
        }
    }
}
