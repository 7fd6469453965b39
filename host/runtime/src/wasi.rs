//! The empty WASI: what a component finds that was built by a stock toolchain.
//!
//! Components are not stubbed, because a stubbed one dies mute; it gets interfaces
//! in which there is nothing. Each call finds the same: the clock begins at the
//! same instant, random numbers are the same, there is no file, no variable and no
//! argument, sockets and names are denied when they are asked for, and `wasi:http`
//! is not there at all.
//!
//! **Nothing waits.** A wait inside a host function would hold the thread beyond
//! every limit, because epochs are looked at by the guest's code only. The one
//! thing in WASI that could wait is a subscription to the clock: ours is ready at
//! once, and moves the clock on as if the time had passed, so that a loop which
//! sleeps until an instant comes to its end. Streams are a closed one and two that
//! take everything.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, async_trait};

use crate::state::State;

/// Where the wall clock stands at the beginning of each call: 2026-01-01 in UTC. A
/// zero would make certificates and archives of every library look broken.
const BEGINNING: Duration = Duration::from_hours(490_896);

/// Where the monotonic clock stands then, in nanoseconds: one second. Go takes a zero for
/// a machine without a clock and ends at once.
const RUNNING: u64 = 1_000_000_000;

/// Random bytes before they repeat; enough that no rejection loop runs in circles.
const RANDOM_BLOCKS: u32 = 128;

/// The most random bytes of one question: they are allocated by the host.
const RANDOM_BYTES: u64 = 1 << 20;

/// The bytes that a stream takes at once.
const PERMIT: usize = 64 << 10;

/// A context without anything in it, with these two.
pub(crate) fn context(clock: &Clock, stderr: &Stderr) -> WasiCtx {
    static RANDOM: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..RANDOM_BLOCKS)
            .flat_map(|block| Sha256::digest(block.to_be_bytes()))
            .collect()
    });
    WasiCtx::builder()
        .wall_clock(clock.clone())
        .monotonic_clock(clock.clone())
        .secure_random(Deterministic::new(RANDOM.clone()))
        .insecure_random(Deterministic::new(RANDOM.clone()))
        .insecure_random_seed(0)
        .max_random_size(RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .stderr(stderr.clone())
        .build()
}

/// Links all of it, with our clock in place of the one that waits.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let linked = monotonic_clock::add_to_linker::<State, Waitless>(linker, |state| ClockView {
        clock: &state.clock,
        table: &mut state.table,
    });
    linker.allow_shadowing(false);
    linked
}

/// Nanoseconds since the beginning of the call, moved by waiting alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    fn nanoseconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        BEGINNING + Duration::from_nanos(self.nanoseconds())
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        RUNNING + self.nanoseconds()
    }
}

/// `wasi:clocks/monotonic-clock` whose subscriptions are ready at once.
struct Waitless;

struct ClockView<'a> {
    clock: &'a Clock,
    table: &'a mut ResourceTable,
}

impl HasData for Waitless {
    type Data<'a> = ClockView<'a>;
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(RUNNING + self.clock.nanoseconds())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let passed = Passed {
            clock: self.clock.clone(),
            when: when.saturating_sub(RUNNING),
        };
        let passed = self.table.push(passed)?;
        subscribe(self.table, passed)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let now = RUNNING + self.clock.nanoseconds();
        self.subscribe_instant(now.saturating_add(duration))
    }
}

/// An instant that has come as soon as somebody waits for it.
struct Passed {
    clock: Clock,
    when: u64,
}

#[async_trait]
impl Pollable for Passed {
    async fn ready(&mut self) {
        self.clock.0.fetch_max(self.when, Ordering::Relaxed);
    }
}

/// The beginning and the end of what a guest writes to its standard error: Go says in the
/// first line what went wrong, Python in the last.
#[derive(Debug, Clone)]
pub(crate) struct Stderr {
    kept: Arc<Mutex<Kept>>,
    half: usize,
}

#[derive(Debug, Default)]
struct Kept {
    beginning: Vec<u8>,
    end: Vec<u8>,
    dropped: usize,
}

impl Stderr {
    /// Keeps `most` bytes, half of them from each end.
    pub fn keeping(most: usize) -> Self {
        Self {
            kept: Arc::default(),
            half: most / 2,
        }
    }

    /// What has been kept, as text.
    pub fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = kept.beginning.clone();
        if kept.dropped > 0 {
            bytes.extend_from_slice(format!("\n… {} bytes …\n", kept.dropped).as_bytes());
        }
        bytes.extend_from_slice(&kept.end);
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    fn write(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.half.saturating_sub(kept.beginning.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        kept.beginning.extend_from_slice(first);
        // No more than can be kept is copied, however much is written at once.
        let last = &rest[rest.len().saturating_sub(self.half)..];
        let beyond = (kept.end.len() + last.len()).saturating_sub(self.half);
        kept.end.drain(..beyond);
        kept.end.extend_from_slice(last);
        kept.dropped += beyond + rest.len() - last.len();
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Self::write(&self, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_keeps_its_ends() {
        let stderr = Stderr::keeping(8);
        stderr.write(b"12345");
        stderr.write(b"678");
        assert_eq!(stderr.text(), "12345678");
        stderr.write(b"9");
        assert_eq!(stderr.text(), "1234\n… 1 bytes …\n6789");
        stderr.write(b"a very long line\n");
        assert_eq!(stderr.text(), "1234\n… 18 bytes …\nine");
    }
}
