//! Packages of registries, as the command line uses them.
//!
//! ```text
//! config.toml, darkroom.toml, wkg's and docker's files ─ sources ─> client, policy, cache
//! template, all of the above ─ bundle ─> one file
//! template ─ wanted ─> names and requirements ─ resolved, as darkroom.lock pins them ─> engine
//! ```
//!
//! What a registry, a signature or a cache is, is `darkroom_registry`'s; here are the
//! files and variables that it must not read itself, and what people are told. The verbs
//! in `commands` are the only users.

mod bundle;
mod failure;
mod shipped;
mod sources;
mod stand_in;
mod wanted;

pub(crate) use bundle::{Bundle, Unpacked, is_bundle};
pub(crate) use sources::{cache, client, policy};
pub(crate) use wanted::{Pinned, Request, resolve};
