//! The one place of this crate that tells wasmtime to trust a file.
//!
//! Compiled code is executed as it stands: whoever can write the file can run
//! anything as us. So it is only ever our own cache's file (see `cache`): written by
//! this program into a folder that nobody else may enter, complete before it got
//! its name, and named after the digest of the component and of the compiler's
//! settings. Never may a path come here that a template, a package or a registry
//! had a hand in.
#![expect(
    unsafe_code,
    reason = "wasmtime can't check compiled code; the module says why this file may be trusted"
)]

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Engine, Result};

/// Loads compiled code by mapping it. `path` must be a file of [`crate::cache`].
pub(crate) fn load(engine: &Engine, path: &Path) -> Result<Component> {
    // SAFETY: the file was made by `Component::serialize` of this program and can't
    // have been changed by anybody else, as the module explains. wasmtime itself
    // refuses code of another version or other settings. The file is replaced by
    // renaming only, so that the mapping stays as it is.
    unsafe { Component::deserialize_file(engine, path) }
}
