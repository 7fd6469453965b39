//! The heartbeat by which calls are cut off: a thread that moves the engine's epoch
//! on while at least one call runs, and sleeps otherwise.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// The length of one epoch, and so how exactly time limits are kept.
const TICK: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Shared {
    state: Mutex<Running>,
    changed: Condvar,
}

#[derive(Default)]
struct Running {
    calls: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the thread, which ends when the ticker is dropped.
pub(crate) struct Ticker(Arc<Shared>);

/// Keeps the ticker going as long as it lives.
pub(crate) struct Ticking(Arc<Shared>);

impl Ticker {
    pub fn start(engine: Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let ticker = Self(Arc::clone(&shared));
        thread::Builder::new()
            .name("darkroom-ticker".into())
            .spawn(move || run(&engine, &shared))?;
        Ok(ticker)
    }

    pub fn tick(&self) -> Ticking {
        self.0.lock().calls += 1;
        self.0.changed.notify_all();
        Ticking(Arc::clone(&self.0))
    }

    /// The epochs after which so much time has passed for certain.
    pub fn epochs(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }
}

fn run(engine: &Engine, shared: &Shared) {
    let mut state = shared.lock();
    while !state.closed {
        if state.calls == 0 {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(state);
        thread::sleep(TICK);
        engine.increment_epoch();
        state = shared.lock();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}
