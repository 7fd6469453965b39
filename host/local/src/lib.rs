//! The local cloud: ECS on this machine, behind the same wire.
//!
//! A process of its own that speaks the ECS API with its signatures, states, errors,
//! pages and tokens, keeps everything in SQLite, and runs instances by a driver. The
//! engine reaches it by a URL and can't tell it from Alibaba Cloud; nothing here knows
//! the engine.
//!
//! ```text
//! serve ─ service ┬ auth ─ action ─ state (rows) ─ jobs ─ driver ┬ sim
//!                 └ admin                                         └ sandbox (supervisors)
//! ```
//! - [`mod@serve`]: the listener, idleness, `server.json`. [`service`]: the same without a
//!   socket.
//! - `auth`: signatures, keys, nonces. `action`: one file for each family of actions.
//! - [`state`]: one SQLite file; one transaction for each change.
//! - `jobs`: what takes time. Killing the server at any line loses nothing: the next
//!   one goes on.
//! - [`driver`]: the seam to what runs instances: [`sim`] scripts them, [`sandbox`] runs
//!   them, [`bootstrap`] makes what they start from.
//! - [`files`], [`admin`]: how a command line finds the server and talks to it.
//!
//! The library never prints, exits, or reads the environment.

pub(crate) mod action;
pub mod admin;
pub(crate) mod answer;
pub(crate) mod auth;
pub mod bootstrap;
pub(crate) mod catalogue;
pub mod clock;
pub mod cloud;
#[cfg(test)]
mod crash_tests;
pub mod driver;
pub(crate) mod fault;
pub mod fault_plan;
pub mod files;
pub(crate) mod jobs;
pub mod network;
pub mod sandbox;
pub mod serve;
pub mod service;
pub mod sim;
pub mod state;

pub use cloud::OpenError;
pub use driver::Agent;
pub use files::{Account, AccountsFile, FileError, PROTOCOL, ServerFile};
pub use sandbox::supervise;
pub use serve::{Config, ServeError, Server, serve};
pub use service::{DriverKind, Service, Settings};
