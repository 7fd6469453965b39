//! The conformance component in every language: compiled once, kept, run here through the
//! real runtime, and compared with one list of steps written by hand
//! (`tests/fixtures/golden-steps.toml`).
//!
//! With `DARKROOM_LONG=1` and the toolchains at hand the components are also built anew from
//! their sources (`tests/guests`) and must do the same. What each call takes is printed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]

mod errors;
mod figures;
mod golden;
mod play;
mod same;
