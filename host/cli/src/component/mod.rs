//! `darkroom component`: makes components of crates, checks and shows them.
//!
//! ```text
//! crate ─ toolchain ─> route ─ cargo ─> core module ─┐
//! crate/assets ─ assets ─> files ────────────────────┴─ pack ─> NAME.wasm
//! ```
//!
//! `commands::component` is the only user. Nothing here prints: progress goes to a
//! function of the caller, results and errors are values. What a component is, and how
//! one is encoded and described, is `darkroom_runtime::pack`'s; here are the files, the
//! compiler, and never doing anything twice.

mod assets;
mod build;
mod cargo;
mod inspect;
mod toolchain;

pub(crate) use build::{BuildError, Built, Output, Request, build};
pub(crate) use inspect::{InspectError, Inspection, check, inspect};
pub(crate) use toolchain::Tools;
