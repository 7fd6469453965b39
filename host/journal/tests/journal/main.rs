//! The journal's tests against its public face: one executable, which is also the
//! process that the crash tests kill (`toy::child`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on should say where"
)]

mod branches;
mod cancel;
mod crash;
mod fixture;
mod processes;
mod replay;
mod script;
mod stages;
mod toy;
mod undo;
mod waits;
