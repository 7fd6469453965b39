//! Durable execution: a run is an ordinary `async fn` that is replayed against its
//! journal, so that a process killed at any moment is resumed where it was.
//!
//! The engine describes its effects as data ([`World::Operation`]) and what it waits
//! for as data ([`World::Condition`]), and implements [`World`], which carries them
//! out. Everything else is here: a [`Journal`] is one SQLite file for all runs, a
//! [`Session`] is one process's hold on one run, a [`Scope`] is where the four
//! primitives (`run`, `sleep`, `wait`, `signal`) and the two combinators (`all`,
//! `race`) are called. This crate must know nothing of ECS or WebAssembly, and must
//! never decide what a run does.
//!
//! # What the journal promises
//!
//! - **Intent first.** What changes the world is committed and synced before it is
//!   attempted, together with the entry that undoes it. Outcomes ride with the next
//!   commit: an outcome can be lost in a crash, but never one that a later effect
//!   depended on, because both are in one commit.
//! - **Keys are paths.** An entry's key is the path of its scope and an ordinal in
//!   that scope (`distribute/cn-beijing/3`), so that branches may finish in another
//!   order at replay. Replay compares what was recorded with what is asked now and
//!   stops with [`Stop::Diverged`] where they differ.
//! - **Once, by class.** An attempt that is repeated has the token of the first one
//!   ([`Attempt::token`]) and says so ([`Attempt::repeat`]); see [`Class`] for what
//!   the world does with that.
//! - **Stages are checkpoints.** A finished stage is one record; replay happens only
//!   inside the open one. Another version of the pipeline may go on at a boundary.
//! - **Undo is data.** Any later version lists and performs the pending undo entries
//!   of any run ([`Session::unwind`]).
//! - **One hold at a time.** A lock lets one process drive a run; each session raises the
//!   run's [`Epoch`], by which the world notices one on a copy of the journal.
//! - **Cancelling is a signal**, which any process can send. An operation in flight is
//!   finished and recorded before its caller learns of it.
//!
//! # Fail points
//!
//! `journal.asked` (nothing is recorded yet), `journal.intent` (the intent is recorded,
//! nothing attempted), `journal.attempt` (the same, in the task that attempts it),
//! `journal.effect` (attempted, the outcome not recorded), `journal.outcome` (recorded,
//! not always synced yet), `journal.stage` (the stage's record is committed). The first
//! five say the run and the key.

mod clock;
mod combine;
mod epoch;
mod flight;
mod id;
mod journal;
mod key;
mod lock;
mod scope;
mod session;
mod stop;
mod store;
mod undo;
mod wait;
mod world;

pub use clock::{Clock, SystemClock};
pub use combine::{Branch, branch};
pub use epoch::{Epoch, EpochError};
pub use id::{RunId, RunIdError};
pub use journal::{CANCEL, FindError, Journal, Options};
pub use key::UndoKey;
pub use lock::{HeldBy, LockError, RunLock};
pub use scope::Scope;
pub use session::Session;
pub use stop::Stop;
pub use store::{
    EntrySummary, Finished, RunSummary, StageSummary, StoreError, UndoEntry, UndoState,
};
pub use undo::{UndoFailure, UndoProblem};
pub use wait::Waited;
pub use world::{Attempt, Class, Failure, Poll, Undoes, World};
