//! Making a component out of what a compiler produced: `darkroom component build`.
//!
//! ```text
//! core module ─ embed ─> typed module ─ encode ─> component ─ strip ─> small component
//!     ─ describe, metadata, assets ─> package
//! ```
//!
//! A compiler with `wit-bindgen` for Rust embeds the type itself, so that `encode`
//! comes first; one for `wasm32-wasip2` makes a component itself, which `encode`
//! passes through. The same input gives the same bytes, wherever and whenever. Nothing
//! here runs a compiler or reads a file.
//!
//! What a package has at its end, in this order:
//!
//! | section | what | who reads it |
//! |---|---|---|
//! | `component-name`, `authors`, `description`, `licenses`, `source`, `homepage`, `version` | [`Metadata`] | `wkg`, `wasm-tools metadata`, registries |
//! | `darkroom:contract` | the version of the contract that it was built against | hosts, registries |
//! | `darkroom:description` | what `describe` answered | hosts, editors |
//! | `darkroom:assets` | the files that ship with it | hosts |

mod attach;
mod contract;
mod encode;
mod error;
mod metadata;
mod package;
mod strip;

pub use attach::{Sections, finish, read_sections};
pub use contract::{CONTRACT_PACKAGE, WIT, wit_package};
pub use encode::{embed, encode};
pub use error::PackError;
pub use metadata::{Metadata, MetadataMistake, is_licence};
pub use package::{Check, Look, Recipe, check, describe, look, pack, package};
pub use strip::Strip;

pub(crate) use package::contract;
