//! `darkroom component`: makes packages of crates and of what other compilers made, checks
//! and shows them.
//!
//! ```text
//! crate ─ toolchain ─> route ─ cargo ─> core module ─┐
//! module or component of another toolchain ── file ──┼─ packer ─> NAME.wasm
//! assets/ ─ assets ─> files ─────────────────────────┤            NAME.wasm.sbom.json
//! Cargo.toml ─ crates, component.toml ─ beside ──────┘ ─ attest ─> NAME.wasm.provenance.json
//! ```
//!
//! `commands::component` is the only user. Nothing here prints: progress goes to a
//! function of the caller, results and errors are values. What a component is, and how
//! one is encoded and described, is `darkroom_runtime::pack`'s; here are the files, the
//! compiler, and never doing anything twice.

mod assets;
mod attest;
mod beside;
mod build;
mod cargo;
mod crates;
mod file;
mod inspect;
mod output;
mod packer;
mod toolchain;

pub(crate) use attest::{PROVENANCE_TYPE, SBOM_TYPE, attachments};
pub(crate) use build::{BuildError, Built, Output, Request, build};
pub(crate) use inspect::{InspectError, Inspection, attached, check, inspect, seen};
pub(crate) use output::{FileError, write};
pub(crate) use toolchain::Tools;
