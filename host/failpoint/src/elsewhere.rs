//! What this process is doing on threads beside its asynchronous runtime: a simulation's
//! time stands still meanwhile, because a runtime with nothing to do is then only
//! waiting for one of them.
//!
//! Whoever hands work to a thread of its own begins a [`Work`] and lets that thread drop
//! it after it has answered. It costs two counters.

use std::sync::atomic::{AtomicU64, Ordering};

static BEGUN: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

/// Work on another thread, from when it is handed over until it has been answered.
#[derive(Debug)]
pub struct Work(());

impl Work {
    /// Something is handed over.
    #[must_use]
    pub fn begin() -> Self {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        DONE.fetch_add(1, Ordering::SeqCst);
    }
}

/// How much has been begun so far, when all of it is done; else none. Two equal answers
/// mean that nothing was done between them.
pub fn quiet() -> Option<u64> {
    let done = DONE.load(Ordering::SeqCst);
    let begun = BEGUN.load(Ordering::SeqCst);
    (begun == done).then_some(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_all_is_done() {
        let before = quiet().unwrap();
        let work = Work::begin();
        assert_eq!(quiet(), None);
        drop(work);
        assert_eq!(quiet(), Some(before + 1));
    }
}
