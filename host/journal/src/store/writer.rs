//! The journal's thread: one connection, group commit, and a look at what other
//! processes have sent.
//!
//! Everything that is waiting when a commit begins is in it, so that a thousand runs
//! cost few syncs. Work left for later keeps its order and comes first. A commit that
//! fails is the failure of all who wait for it; what was left for later stays and is
//! tried again, so that it is never lost while the process lives.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};

use super::{Arrivals, Listeners, Settings, StoreError, signals};
use crate::id::RunId;

/// Called when the commit has succeeded or failed.
pub(super) type Completion = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Work that somebody waits for; gets the error when no transaction could be begun.
pub(super) type Now = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Completion + Send>;

/// Work that nobody waits for.
pub(super) type Later = Box<dyn Fn(&Connection) -> rusqlite::Result<()> + Send>;

/// What the thread is asked.
pub(super) enum Message {
    Now(Now),
    Later(Later),
    /// Tell a run's listeners of signals, though no other process has written.
    Look(RunId),
}

/// How many messages are taken along into one commit: bounds how long the first waits.
const GROUP: usize = 1024;

pub(super) struct Writer {
    connection: Connection,
    receiver: Receiver<Message>,
    listeners: Listeners,
    settings: Settings,
    now: Vec<Now>,
    later: Vec<Later>,
    /// When `later` is written even though nobody waits.
    flush_at: Option<Instant>,
    /// `SQLite`'s counter of other processes' commits when last looked at.
    seen: Option<i64>,
    /// The runs to be looked at whether or not another process has written.
    look: BTreeSet<RunId>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        receiver: Receiver<Message>,
        listeners: Listeners,
        settings: Settings,
    ) -> Self {
        Self {
            connection,
            receiver,
            listeners,
            settings,
            now: Vec::new(),
            later: Vec::new(),
            flush_at: None,
            seen: None,
            look: BTreeSet::new(),
        }
    }

    /// Serves until every handle is gone, then writes what is left.
    pub(super) fn serve(mut self) {
        loop {
            match self.next() {
                Ok(message) => self.accept(message),
                Err(RecvTimeoutError::Timeout) => self.forget_closed(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.commit();
                    return;
                }
            }
            for message in self.receiver.try_iter().take(GROUP).collect::<Vec<_>>() {
                self.accept(message);
            }
            let due = self.flush_at.is_some_and(|at| at <= Instant::now());
            if due || !self.now.is_empty() {
                self.commit();
            }
            self.look();
        }
    }

    /// The next message, or nothing when it is time to write or to look.
    fn next(&self) -> Result<Message, RecvTimeoutError> {
        let now = Instant::now();
        let looking = !self.listening().is_empty();
        let look_at = looking.then(|| now + self.settings.look_every);
        match [self.flush_at, look_at].into_iter().flatten().min() {
            Some(until) => self
                .receiver
                .recv_timeout(until.saturating_duration_since(now)),
            None => self
                .receiver
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Now(work) => self.now.push(work),
            Message::Look(run) => drop(self.look.insert(run)),
            Message::Later(work) => {
                self.later.push(work);
                self.flush_at = self
                    .flush_at
                    .or_else(|| Instant::now().checked_add(self.settings.flush_after));
            }
        }
    }

    /// One commit of everything at hand.
    fn commit(&mut self) {
        if self.now.is_empty() && self.later.is_empty() {
            return;
        }
        let work = std::mem::take(&mut self.now);
        let mut completions = Vec::with_capacity(work.len());
        let done = self.transact(work, &mut completions);
        match &done {
            Ok(()) => {
                self.later.clear();
                self.flush_at = None;
            }
            Err(error) => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "journal not written"
                );
                self.flush_at = (!self.later.is_empty())
                    .then(|| Instant::now().checked_add(self.settings.flush_after))
                    .flatten();
            }
        }
        for completion in completions {
            completion(done.clone());
        }
    }

    /// The transaction; every piece of work leaves its completion, whatever happens.
    fn transact(
        &self,
        work: Vec<Now>,
        completions: &mut Vec<Completion>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::sqlite("writing");
        // Unchecked only means that it isn't proved that no other is open: none is.
        let begun =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .and_then(|transaction| {
                    self.later
                        .iter()
                        .try_for_each(|write| write(&transaction))?;
                    Ok(transaction)
                })
                .map_err(&failed);
        match begun {
            Ok(transaction) => {
                completions.extend(work.into_iter().map(|work| work(Ok(&*transaction))));
                transaction.commit().map_err(failed)
            }
            Err(error) => {
                completions.extend(work.into_iter().map(|work| work(Err(error.clone()))));
                Err(error)
            }
        }
    }

    /// Tells listeners what has arrived, if anything can have.
    fn look(&mut self) {
        if self.listening().is_empty() {
            return;
        }
        // Cheap: it reads a counter in shared memory.
        let version = self
            .connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .ok();
        let written = version != self.seen || version.is_none();
        if !written && self.look.is_empty() {
            return;
        }
        self.forget_closed();
        let mut told = true;
        let listeners = self.listening();
        let concerned = listeners
            .iter()
            .filter(|(run, _)| written || self.look.contains(run));
        for (run, sender) in concerned {
            match signals::arrivals(&self.connection, run) {
                Ok(found) => drop(sender.send_if_modified(|known: &mut Arrivals| {
                    let news = *known != found;
                    *known = found;
                    news
                })),
                Err(error) => {
                    told = false;
                    tracing::warn!(error = &error as &dyn std::error::Error, "signals not read");
                }
            }
        }
        drop(listeners);
        if told {
            self.seen = version;
            self.look.clear();
        }
    }

    /// Forgets listeners that nobody reads.
    fn forget_closed(&self) {
        self.listening().retain(|(_, sender)| !sender.is_closed());
    }

    fn listening(
        &self,
    ) -> std::sync::MutexGuard<'_, Vec<(RunId, tokio::sync::watch::Sender<Arrivals>)>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
