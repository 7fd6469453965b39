//! The journal's file, behind one thread that does all reading and writing.
//!
//! Others hand it closures over a connection: [`Store::commit`] waits until what was
//! done is synced, [`Store::later`] rides with the next commit, at the latest after
//! [`Settings::flush_after`]. What is written in which table is in the files beside
//! this one. Nothing outside this folder may see SQL.

mod entries;
mod error;
pub(crate) mod record;
mod runs;
mod schema;
mod signals;
mod stages;
mod undo;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use darkroom_failpoint::elsewhere::Work;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

pub use entries::EntrySummary;
pub(crate) use entries::{Entry, Place};
pub use error::StoreError;
pub use runs::{Finished, RunSummary};
pub use stages::StageSummary;
pub(crate) use stages::{Opened, Versions};
pub use undo::{UndoEntry, UndoState};

use crate::id::RunId;
use writer::Message;

/// How the store behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long what needn't be synced at once may stay unwritten.
    pub flush_after: Duration,
    /// How often other processes' writing is looked for while a session is open.
    pub look_every: Duration,
}

/// What is known of the signals sent to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// Whether it is to be cancelled.
    pub cancelled: bool,
    /// The newest signal's number.
    pub newest: i64,
}

/// The sessions to be told of signals, shared with the thread.
type Listeners = Arc<Mutex<Vec<(RunId, watch::Sender<Arrivals>)>>>;

/// A handle on the journal's thread; the thread ends, having written everything, with
/// the last one.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// None only while being dropped.
    sender: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    listeners: Listeners,
}

impl Store {
    /// Opens the file and starts its thread.
    pub(crate) async fn open(path: &Path, settings: Settings) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel();
        let (opened, answer) = oneshot::channel();
        let listeners = Listeners::default();
        let theirs = Arc::clone(&listeners);
        let file = path.to_owned();
        let elsewhere = Work::begin();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || match schema::open(&file) {
                Ok(connection) => {
                    // Nobody to tell is nobody to serve: the channel is closed too.
                    drop(opened.send(Ok(())));
                    drop(elsewhere);
                    writer::Writer::new(connection, receiver, theirs, settings).serve();
                }
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)??;
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            sender: Some(sender),
            thread: Some(thread),
            listeners,
        })))
    }

    /// The journal's file.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Does `work` in the next commit, with all that was left for later before it, and
    /// returns when it is synced.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let elsewhere = Work::begin();
        self.send(Message::Now(Box::new(move |connection| {
            let done = connection.and_then(|connection| in_savepoint(connection, doing, work));
            Box::new(move |committed: Result<(), StoreError>| {
                // Whoever asked may be gone, having been dropped.
                drop(reply.send(committed.and(done)));
                drop(elsewhere);
            })
        })))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Leaves `write` for the next commit. It may be done more than once, when a commit
    /// fails, but is in one commit only. Its failure is that of everybody who waits for
    /// a commit after it.
    pub(crate) fn later(
        &self,
        write: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.send(Message::Later(Box::new(write)))
    }

    /// Returns when everything left for later is synced.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.commit("writing", |_| Ok(())).await
    }

    /// What is sent to `run`, from any process, from now on.
    pub(crate) async fn listen(
        &self,
        run: &RunId,
    ) -> Result<watch::Receiver<Arrivals>, StoreError> {
        let (sender, receiver) = watch::channel(Arrivals::default());
        let listener = run.clone();
        let found = self
            .commit("reading signals", move |connection| {
                signals::arrivals(connection, &listener)
            })
            .await?;
        sender.send_replace(found);
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((run.clone(), sender));
        // What arrived between the two is noticed now.
        self.look(run)?;
        Ok(receiver)
    }

    /// Has a run's listeners told of signals that this process sent. Only this run's:
    /// a thousand runs that begin must not each have all others looked at.
    fn look(&self, run: &RunId) -> Result<(), StoreError> {
        self.send(Message::Look(run.clone()))
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.0
            .sender
            .as_ref()
            .and_then(|sender| sender.send(message).ok())
            .ok_or(StoreError::Closed)
    }
}

/// All of `work` or nothing of it, whatever else is in the commit.
fn in_savepoint<T>(
    connection: &Connection,
    doing: &'static str,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let failed = StoreError::sqlite(doing);
    connection
        .execute_batch("SAVEPOINT work")
        .map_err(&failed)?;
    let done = work(connection);
    let end = if done.is_ok() {
        "RELEASE work"
    } else {
        "ROLLBACK TO work; RELEASE work"
    };
    connection.execute_batch(end).map_err(&failed)?;
    done
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It only has to finish one commit. A panic in it has been printed.
            drop(thread.join());
        }
    }
}
