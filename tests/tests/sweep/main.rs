//! The crash sweep: a build with everything in it ends at every moment of every call that
//! changes something, and what it leaves in the end is what no crash leaves.
//!
//! One process, simulated time, the same bytes as on a socket (`darkroom_chaos`). The
//! cells come from what the cloud's recorder has seen of an undisturbed run, so that a
//! call that is new is swept without anybody thinking of it. With `DARKROOM_LONG=1` all
//! are played; else a sample whose seed is printed (`DARKROOM_SEED` gives it).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]
#![expect(clippy::print_stdout, reason = "the numbers of a sweep are its result")]

mod cells;
mod disks;
mod draw;
mod faults;
mod processes;
mod scene;
