//! What the journal asks of its user: effects and conditions as data, and a world
//! that carries them out. The engine implements [`World`]; this crate calls it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::epoch::Epoch;

/// How an effect may be repeated after a crash in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// No effect at all: computed here. Its intent needs no synced commit.
    Pure,
    /// Only looks. Its intent needs no synced commit.
    Read,
    /// Carries [`Attempt::token`]; the other side makes the same token once.
    Token,
    /// Brings about a state. When repeated, the world looks first, and 'already so'
    /// is success.
    State,
    /// Neither: what was seen before ([`World::witness`]) is journaled with the intent,
    /// and when repeated the world compares it with the present.
    Witness,
}

impl Class {
    /// Whether the effect changes anything, so that its intent is synced before it.
    pub fn mutates(self) -> bool {
        matches!(self, Self::Token | Self::State | Self::Witness)
    }
}

/// One attempt at an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The path of the scope and the ordinal in it; unique in the run.
    pub key: String,
    /// `UUIDv5` of run and key: the same in each attempt, and in no other operation.
    pub token: Uuid,
    /// When the operation was attempted first; now, if this is the first attempt.
    pub at: Timestamp,
    /// Whose first attempt it was; none of undo entries and in journals that don't say.
    pub epoch: Option<Epoch>,
    /// When the operation was first attempted, if this isn't the first attempt. That
    /// one may have had its effect, wholly, partly or not at all.
    pub repeat: Option<Timestamp>,
    /// What [`World::witness`] saw before the first attempt.
    pub witness: Option<Value>,
    /// For the performance of an undo entry: what it undoes.
    pub undoes: Option<Undoes>,
}

/// The operation that an undo entry undoes.
#[derive(Clone, Debug, PartialEq)]
pub struct Undoes {
    /// Its key.
    pub key: String,
    /// Its token.
    pub token: Uuid,
    /// What it returned, if that was recorded. Without it the operation may still have
    /// had its effect: look for it by token or tag.
    pub outcome: Option<Value>,
}

/// How an operation or a poll can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// It failed for good. Journaled: replay fails the same way.
    Final(E),
    /// It can't be done at present (no network, no credentials). Not journaled: the run
    /// stops, and can be resumed.
    Unavailable(E),
}

/// The answer of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Not yet; ask again after this long. The world chooses, so that it can adapt.
    Pending {
        /// How long to leave it.
        again: Duration,
    },
    /// The condition holds; the answer is journaled.
    Ready(Value),
}

/// Carries out operations and looks at conditions.
///
/// An operation should take no more than 30 seconds: what takes longer is started by
/// one and awaited by a condition, because an operation in flight delays a cancel.
#[async_trait]
pub trait World: Send + Sync + 'static {
    /// An effect, as data. It is journaled, and compared at replay.
    type Operation: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// Something to wait for, as data. It is journaled, and compared at replay.
    type Condition: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// How operations and polls fail. Final ones are journaled.
    type Error: Serialize + DeserializeOwned + std::error::Error + Clone + Send + Sync + 'static;

    /// The effect class of an operation.
    fn class(&self, operation: &Self::Operation) -> Class;

    /// Is asked at the beginning of each stage that isn't finished, before anything of it
    /// is replayed. Must have no effect that a repetition could do harm with.
    ///
    /// # Errors
    /// Why the stage must not be gone on with.
    async fn enter(&self, stage: &str) -> Result<(), Failure<Self::Error>> {
        let _ = stage;
        Ok(())
    }

    /// What there is to see before an operation of [`Class::Witness`]. It is journaled
    /// with the intent. Must have no effect.
    ///
    /// # Errors
    /// As [`World::perform`].
    async fn witness(&self, operation: &Self::Operation) -> Result<Value, Failure<Self::Error>>;

    /// Carries an operation out. Called again with [`Attempt::repeat`] when an earlier
    /// process may have done so.
    ///
    /// # Errors
    /// Final failures are journaled as the outcome, others leave the run resumable.
    async fn perform(
        &self,
        operation: &Self::Operation,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Self::Error>>;

    /// Looks whether a condition holds. Must have no effect; may be dropped unfinished.
    ///
    /// # Errors
    /// Final failures are journaled as the answer, others leave the run resumable.
    async fn poll(&self, condition: &Self::Condition) -> Result<Poll, Failure<Self::Error>>;
}
