//! The tests of the runtime that run components, in one program, because each
//! program with wasmtime in it takes seconds to link.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

mod bad;
mod checking;
mod packing;
mod roles;
mod support;
mod wasip2;
