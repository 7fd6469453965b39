//! The primitives that wait: for a moment, a condition, a signal.
//!
//! Polls are not journaled, only that something is awaited until when, and what the
//! answer was. Each wait ends at once when the run is cancelled.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::after;
use crate::journal::CANCEL;
use crate::scope::{Scope, Turn, failed};
use crate::stop::Stop;
use crate::store::record::{self, Answer, Outcome};
use crate::world::{Failure, Poll, World};

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The condition held, with this answer.
    Ready(Value),
    /// The deadline passed first.
    TimedOut,
}

impl Waited {
    /// The answer, none after the deadline.
    pub fn ready(self) -> Option<Value> {
        match self {
            Self::Ready(answer) => Some(answer),
            Self::TimedOut => None,
        }
    }
}

/// The least time between two polls, against a world that says 'at once'.
const BREATH: Duration = Duration::from_millis(1);

impl<W: World> Scope<W> {
    /// Waits for a time. When to wake is journaled, so that a resumed run doesn't begin
    /// the wait anew.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] at once when the run is cancelled.
    pub async fn sleep(&self, time: Duration) -> Result<(), Stop<W::Error>> {
        self.settle(self.sleep_in_turn(time).await)
    }

    /// Waits until a condition holds, at most `timeout`. The deadline is journaled and
    /// stands when the run is resumed; a condition is always asked about at least once.
    ///
    /// # Errors
    /// [`Stop::Failed`] when the poll failed for good; [`Stop::Cancelled`] at once when
    /// the run is cancelled.
    pub async fn wait(
        &self,
        condition: W::Condition,
        timeout: Duration,
    ) -> Result<Waited, Stop<W::Error>> {
        self.settle(self.wait_in_turn(condition, timeout).await)
    }

    /// Waits for a signal and takes it: the oldest of that name that nothing has taken.
    /// One that a race's loser has taken is gone.
    ///
    /// # Errors
    /// [`Stop::Cancelled`] at once when the run is cancelled; [`Stop::Misused`] for the
    /// signal that cancels, which can't be taken.
    pub async fn signal(&self, name: &str) -> Result<Value, Stop<W::Error>> {
        self.settle(self.signal_in_turn(name).await)
    }

    async fn sleep_in_turn(&self, time: Duration) -> Result<(), Stop<W::Error>> {
        let session = self.session();
        let turn = self.turn(json!({ "sleep": null }))?;
        let wake = self.register(&turn, time)?;
        session
            .unless_cancelled(session.clock.sleep_until(wake))
            .await
    }

    async fn wait_in_turn(
        &self,
        condition: W::Condition,
        timeout: Duration,
    ) -> Result<Waited, Stop<W::Error>> {
        let session = self.session();
        let turn = self.turn(json!({ "wait": record::normal(&condition, self.path())? }))?;
        match turn.answer() {
            Some(Answer::TimedOut) => return Ok(Waited::TimedOut),
            Some(answer) => return turn.value(answer).map(Waited::Ready),
            None => {}
        }
        let deadline = self.register(&turn, timeout)?;
        let conclude = |answer| {
            let outcome = Outcome::new(session.clock.now(), answer);
            session.store.conclude(&turn.place, &outcome)
        };
        loop {
            match session
                .unless_cancelled(session.world.poll(&condition))
                .await?
            {
                Ok(Poll::Ready(value)) => {
                    conclude(Answer::Value(value.clone()))?;
                    return Ok(Waited::Ready(value));
                }
                Ok(Poll::Pending { again }) => {
                    let now = session.clock.now();
                    if now >= deadline {
                        conclude(Answer::TimedOut)?;
                        return Ok(Waited::TimedOut);
                    }
                    let next = after(now, again.max(BREATH)).min(deadline);
                    session
                        .unless_cancelled(session.clock.sleep_until(next))
                        .await?;
                }
                Err(Failure::Unavailable(error)) => return Err(Stop::Unavailable(error)),
                Err(Failure::Final(error)) => {
                    conclude(failed(&error, &turn.place.key)?)?;
                    return Err(Stop::Failed(error));
                }
            }
        }
    }

    async fn signal_in_turn(&self, name: &str) -> Result<Value, Stop<W::Error>> {
        let session = self.session();
        let turn = self.turn(json!({ "signal": name }))?;
        if name == CANCEL {
            let problem = "the signal that cancels can't be taken";
            return Err(Stop::Misused {
                key: turn.place.key.clone(),
                problem,
            });
        }
        if let Some(answer) = turn.answer() {
            return turn.value(answer);
        }
        if turn.recorded.is_none() {
            session.store.intend_later(&turn.place, &turn.intent())?;
        }
        let mut arrivals = session.arrivals.clone();
        loop {
            // Noted before looking, so that what arrives meanwhile isn't missed.
            arrivals.mark_unchanged();
            if let Some(payload) = session
                .store
                .take_signal(&turn.place, name, session.clock.now())
                .await?
            {
                return Ok(payload);
            }
            if session.unless_cancelled(arrivals.changed()).await?.is_err() {
                return Err(crate::StoreError::Closed.into());
            }
        }
    }

    /// Journals until when is waited, or returns what was journaled.
    fn register(&self, turn: &Turn<'_, W>, time: Duration) -> Result<Timestamp, Stop<W::Error>> {
        if let Some(entry) = turn.recorded {
            return entry
                .intent
                .until
                .ok_or_else(|| turn.unreadable("it has no deadline".into()));
        }
        let mut intent = turn.intent();
        let until = after(intent.at, time);
        intent.until = Some(until);
        self.session().store.intend_later(&turn.place, &intent)?;
        Ok(until)
    }
}
