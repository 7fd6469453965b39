//! The tests of the runtime that run components, in one program, because each
//! program with wasmtime in it takes seconds to link.

mod bad;
mod packing;
mod roles;
mod support;
mod wasip2;
