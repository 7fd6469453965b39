//! End to end, through the real `darkroom` binary and its local cloud in their own
//! processes: what a template makes of an image, and what is left when it does not.
//!
//! One program, because each would link all of wasmtime again. Files are named for what
//! they promise. What kills processes is elsewhere.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what surprises a test ends it, also in its own functions"
)]

mod asked;
mod copied;
mod copies;
mod effects;
mod guests;
mod hostile;
mod images;
mod imports;
mod interrupts;
mod layers;
mod looking;
mod many;
mod mistakes;
mod network;
mod output;
mod plan;
mod repair;
mod reuse;
mod secrets;
mod services;
mod sharing;
mod support;
mod together;
mod values;
mod verbs;
