//! What the end-to-end tests share: guests written as WebAssembly text, a laboratory in
//! which the engine builds in the local cloud's simulation, in one process, and a bench on
//! which one component is tried on a real instance.
//!
//! Tests of whole processes drive the `darkroom` binary instead; see `tests/tests`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]
#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

pub mod bench;
pub mod failing_disk;
pub mod fixtures;
pub mod guests;
pub mod house;
pub mod laboratory;
pub mod packer;
pub mod seat;
pub mod simulated_clock;
pub mod tenant;
pub mod waiting;
