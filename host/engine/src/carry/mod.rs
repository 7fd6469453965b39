//! Carrying out one step on an instance, from declaration to result.
//!
//! ```text
//! step ── request (pure: what is sent) ──> RunCommand ──> wait ──> invocation
//!                                             │  lost (no agent, power cut): revive, send again
//!                                             │  interrupted (started, never ended): new attempt
//!                                             └─ ended ──> log (whole) ──> checks ──> result
//! ```
//!
//! Everything goes through the journal's scope that is handed in, so that a later process
//! takes the same way. What a step *means* is the contract's; this module must not know
//! roles, stages or templates.

mod file;
mod invocation;
mod log;
mod reboot;
mod record;
mod request;
mod revive;
mod script;
mod step;
mod windows;
pub mod wrap;

pub(crate) use file::slices;
pub use invocation::Invocation;
pub use reboot::{BOOT_ID, PROBE_SECONDS};
pub use record::{AttemptRecord, StepRecord};
pub use request::{COMMAND_LIMIT, SLICE, Target};
pub(crate) use request::{Sent, command, parcel, place, secrets, slice_folder, wrapped};
pub(crate) use revive::{meet, through_losses, up};
pub(crate) use script::send;
pub(crate) use step::{Hands, Material, carry, content};
pub(crate) use wrap::quote;
