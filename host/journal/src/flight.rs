//! Counts the operations in flight.
//!
//! An operation runs in a task of its own, so that it is finished and recorded even
//! when the future that asked for it is dropped: by a race, or by a cancel. Whoever
//! must not overtake it (a stage's end, an unwind, a close) waits here.

use tokio::sync::watch;

/// The operations in flight of a session.
#[derive(Debug)]
pub(crate) struct Flights(watch::Sender<usize>);

/// One operation in flight; it has landed when this is dropped.
#[derive(Debug)]
pub(crate) struct Flight(watch::Sender<usize>);

impl Flights {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// One more.
    pub(crate) fn start(&self) -> Flight {
        self.0.send_modify(|count| *count += 1);
        Flight(self.0.clone())
    }

    /// Completes when none is in flight.
    pub(crate) async fn landed(&self) {
        // An error would mean that the sender is gone, and it is ours.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
