//! Ctrl-C, and the polite request to end (SIGTERM), which mean the same here.
//!
//! Signals in quick succession are one: `timeout` and some shells send each twice, and
//! nobody who means a second one is that fast.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Signals within this time are one.
const TOGETHER: Duration = Duration::from_millis(300);

/// From its making on, neither ends the process by itself.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl Interrupts {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(Failure::internal)?,
            terminate: signal(SignalKind::terminate()).map_err(Failure::internal)?,
            last: None,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            let again = self.last.is_some_and(|last| last.elapsed() < TOGETHER);
            if !again {
                self.last = Some(Instant::now());
                return;
            }
        }
    }
}
