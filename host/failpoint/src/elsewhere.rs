//! What a thread has handed to others: a simulation, which has its asynchronous runtime
//! on one thread, lets its time stand still meanwhile, because a runtime with nothing to
//! do is then only waiting for one of them.
//!
//! Whoever hands work to a thread of its own begins a [`Work`] and lets that thread drop
//! it after it has answered. It costs two counters, which are the thread's own, so that
//! simulations beside each other don't wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// What one thread has handed to others.
#[derive(Debug)]
struct Counters {
    begun: AtomicU64,
    done: AtomicU64,
    /// Who handed it over, and may be waiting.
    owner: Thread,
}

thread_local! {
    static OURS: Arc<Counters> = Arc::new(Counters {
        begun: AtomicU64::new(0),
        done: AtomicU64::new(0),
        owner: thread::current(),
    });
}

/// Work on another thread, from when it is handed over until it has been answered.
#[derive(Debug)]
pub struct Work(Option<Arc<Counters>>);

impl Work {
    /// Something is handed over by this thread.
    #[must_use]
    pub fn begin() -> Self {
        // A thread that ends waits for nothing.
        let ours = OURS.try_with(Arc::clone).ok();
        if let Some(ours) = &ours {
            ours.begun.fetch_add(1, Ordering::SeqCst);
        }
        Self(ours)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(owner) = &self.0 {
            owner.done.fetch_add(1, Ordering::SeqCst);
            owner.owner.unpark();
        }
    }
}

/// How much this thread has handed over so far, when all of it is done; else none. Two
/// equal answers mean that nothing was done between them.
pub fn quiet() -> Option<u64> {
    OURS.with(|ours| {
        let done = ours.done.load(Ordering::SeqCst);
        let begun = ours.begun.load(Ordering::SeqCst);
        (begun == done).then_some(begun)
    })
}

/// Blocks this thread until something that it has handed over is done, or a moment has
/// passed; not at all when it is quiet.
pub fn wait() {
    const MOMENT: Duration = Duration::from_millis(1);
    if quiet().is_none() {
        thread::park_timeout(MOMENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_all_is_done() {
        let before = quiet().unwrap();
        let work = Work::begin();
        assert_eq!(quiet(), None);
        wait();
        thread::spawn(move || drop(work)).join().unwrap();
        assert_eq!(quiet(), Some(before + 1));
    }
}
