//! For tests of crashes: a server that stops for ever at its nth effect.
//!
//! A fuse is burnt before and after each change of the state and each call of the
//! driver. When it is used up, whoever burns it waits for ever, which is what a
//! killed process looks like to those who find its files afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Counts effects down; negative: never.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Default for Fuse {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl Fuse {
    /// Lets `count` effects pass and none after them.
    pub(crate) fn set(&self, count: i64) {
        self.0.store(count, Ordering::SeqCst);
    }

    /// Whether somebody was stopped.
    pub(crate) fn blown(&self) -> bool {
        let left = self.0.load(Ordering::SeqCst);
        left < 0 && left > i64::MIN / 2
    }

    /// One effect.
    pub(crate) async fn burn(&self) {
        if self.0.load(Ordering::SeqCst) <= i64::MIN / 2 {
            return;
        }
        if self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
            std::future::pending::<()>().await;
        }
    }
}
