//! A bounded pool of threads for the calls of guests.
//!
//! A guest computes for as long as its limit allows; on a thread of the caller's
//! asynchronous runtime it would hold up everything else there. `spawn_blocking`
//! was rejected: its pool is unbounded, and shared with whatever else blocks.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use darkroom_failpoint::elsewhere::Work;
use tokio::sync::{Semaphore, oneshot};

/// The stack of a thread beyond the guest's own: wasmtime's functions run on it too.
const OWN_STACK: usize = 2 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// The job did not answer; it panicked, or the pool has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was lost because its thread failed")]
pub(crate) struct Lost;

pub(crate) struct Pool {
    jobs: Sender<Job>,
    free: Arc<Semaphore>,
}

impl Pool {
    /// Starts the threads; they end when the pool is dropped and their job is done.
    pub fn start(threads: NonZeroUsize, guest_stack: usize) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.get() {
            let receiver = Arc::clone(&receiver);
            // wasmtime-wasi asks for a runtime where it may have to wait. It never
            // has to here, and without one it would start its own with a thread for
            // each core.
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            thread::Builder::new()
                .name(format!("darkroom-guest-{number}"))
                .stack_size(guest_stack + OWN_STACK)
                .spawn(move || {
                    let _entered = runtime.enter();
                    work(&receiver);
                })?;
        }
        Ok(Self {
            jobs,
            free: Arc::new(Semaphore::new(threads.get())),
        })
    }

    /// Runs a job when a thread is free. Dropping the future does not stop a job
    /// that has begun.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        // From here on: the thread that is waited for may work for another simulation.
        let elsewhere = Work::begin();
        let permit = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(|_| Lost)?;
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            let value = job();
            drop(permit);
            // Nobody waits any more where the future has been dropped.
            drop(answer.send(value));
            drop(elsewhere);
        });
        self.jobs.send(job).map_err(|_| Lost)?;
        answered.await.map_err(|_| Lost)
    }

    /// The same for a thread that may block.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let (answer, answered) = mpsc::channel();
        let job = Box::new(move || drop(answer.send(job())));
        self.jobs.send(job).map_err(|_| Lost)?;
        answered.recv().map_err(|_| Lost)
    }
}

fn work(receiver: &Mutex<Receiver<Job>>) {
    loop {
        let job = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else {
            return;
        };
        // A panic loses one call, never a thread of the pool.
        if panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a call of a component panicked in the host");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_loses_one_job_and_no_thread() {
        let pool = Pool::start(NonZeroUsize::MIN, 0).unwrap();
        assert_eq!(pool.run(|| -> u8 { panic!("on purpose") }).await, Err(Lost));
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert_eq!(pool.run_blocking(|| 8), Ok(8));
    }

    #[tokio::test]
    async fn no_more_jobs_run_at_once_than_there_are_threads() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let pool = Pool::start(NonZeroUsize::MIN.saturating_add(1), 0).unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        let jobs = (0..16).map(|_| {
            let running = Arc::clone(&running);
            pool.run(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                now
            })
        });
        for most in futures_join(jobs).await {
            assert!(most.unwrap() <= 2);
        }
    }

    async fn futures_join<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
        let mut all: Vec<_> = all.map(Box::pin).collect();
        let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
        std::future::poll_fn(|context| {
            for (future, slot) in all.iter_mut().zip(&mut done) {
                if slot.is_none()
                    && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
                {
                    *slot = Some(value);
                }
            }
            if done.iter().all(Option::is_some) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        done.into_iter().flatten().collect()
    }
}
