//! Loads, limits and calls components with wasmtime.
//!
//! `engine` is its user: [`Runtime::load`] turns bytes into a [`Component`],
//! [`Runtime::call`] calls one role of it once, and the engine does what came of it
//! and calls again. `cli` uses [`pack`] to make components out of what compilers
//! produce, and [`examine`] to tell their authors what is wrong.
//!
//! What a call means stands in `darkroom_contract`: `adapter` converts each call of
//! the guest into a call of a [`Session`](darkroom_contract::Session), which is the
//! only meaning it has. This crate adds the machine below it:
//!
//! - a guest gets a fresh store per call, so that nothing leaks from one to the next
//!   and a trap poisons nothing;
//! - calls run on a bounded pool of own threads, never on a thread of the caller;
//! - each resource has a limit (see [`Limits`], which names the attacks);
//! - WASI is there, but empty: a clock that only waiting moves, seeded random
//!   numbers, no files, no environment, no network; standard error is kept for errors;
//! - code that has been compiled once is kept as `.cwasm` in a folder of our own.
//!
//! A suspended call is one that a host function ended with an error: no language
//! can catch it, the store is dropped, and the session knows why.
//!
//! Nothing here carries out a step, reaches the network, prints, or reads the
//! environment.

mod adapter;
mod assets;
mod bindings;
mod cache;
mod call;
mod component;
mod config;
pub mod examine;
mod failure;
mod imports;
mod load;
pub mod pack;
mod pool;
mod runtime;
mod sections;
mod state;
mod ticker;
mod trusted;
mod wasi;

pub use assets::{AssetError, Assets};
pub use call::Call;
pub use component::Component;
pub use config::{Config, Limits};
pub use failure::{CallError, Failure};
pub use load::{LoadError, LoadProblem};
pub use runtime::{Runtime, RuntimeError};
