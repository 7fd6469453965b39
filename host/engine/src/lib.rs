//! The engine: an image template and its components become a durable pipeline.
//!
//! ```text
//! text ──check──> Checked ──plan──> Plan                 (looks only)
//!                    │
//!                  begin ──> run (journal, folder) ──drive──> Outcome
//!                                       ▲                        │ killed
//!                                       └────────resume──────────┘
//! ```
//!
//! The engine knows one cloud: the ECS OpenAPI behind a
//! [`Client`](darkroom_ecs::client::Client). Whether that is
//! Alibaba Cloud or the local one it can't tell, and must not. Everything it does to the
//! cloud is an [`Operation`](operation::Operation) of the journal; [`cloud`] carries them
//! out. It never prints, reads no environment, and takes time from the journal's clock:
//! `clippy.toml` beside this crate refuses clocks, randomness and spawned tasks.
//!
//! | module | what it is |
//! |---|---|
//! | [`check`](mod@check) | template and components, every mistake at once |
//! | [`plan`](mod@plan) | what a build would do, without doing it |
//! | [`engine`](crate::Engine) | begin, drive, resume, cancel, list |
//! | `stage` | the seven stages, one file each |
//! | [`copied`] | files of the template's folder, packed |
//! | [`verb`] | what is done to images that are there |
//! | `role` | one role of one component, from first call to last |
//! | [`carry`] | one step on an instance |
//! | [`operation`], `effects`, [`cloud`] | effects as data, their classes, and who carries them out |
//! | [`secret`], `mask` | values of secrets: in memory, and out of sight |
//! | [`rights`] | what a template needs to be allowed, as a RAM policy |
//! | [`gc`] | what runs have left, cleared away by tags |
//! | [`event`], [`folder`], [`manifest`] | what is told and kept |

pub mod carry;
pub mod check;
pub mod cloud;
pub mod components;
pub mod copied;
mod effects;
mod engine;
pub mod event;
mod families;
pub mod folder;
pub mod forecast;
pub mod gc;
mod key;
pub mod manifest;
mod mask;
pub mod operation;
mod pipeline;
pub mod plan;
pub mod rights;
mod role;
pub mod secret;
mod stage;
pub mod survey;
pub mod tags;
mod trouble;
pub mod verb;
mod waiter;

pub use check::{CheckWith, Checked, Needed, check};
pub use cloud::Pace;
pub use engine::{
    Begin, BeginVerb, Drive, Engine, EngineError, FailedAt, Header, OnFailure, Outcome, RunView,
    Settings,
};
pub use event::{Event, ImageOf, Kind, Status, Watcher};
pub use plan::Plan;
pub use role::RoleRecord;
pub use secret::{Ask, Secret, SecretError, Vault};
pub use trouble::{Problem, Trouble, chain};
pub use verb::{ImageVerb, LookInto, Tried, TryImage};

use darkroom_ecs::action::Action;
use serde_json::Value;

/// The journal's scope over our world.
pub(crate) type Scope = darkroom_journal::Scope<cloud::Cloud>;
/// Why the pipeline stops.
pub(crate) type Stop = darkroom_journal::Stop<Trouble>;

/// Reads a journaled answer of an action.
fn answer<A: Action>(value: Value) -> Result<A::Response, Stop> {
    serde_json::from_value(value).map_err(|error| Stop::Failed(Trouble::internal(A::NAME, &error)))
}
