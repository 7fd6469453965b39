//! The contract between Darkroom and its components, as pure types and rules.
//!
//! The WIT package `darkroom:component` says what a component may call; this crate
//! says what each call means, without knowing WebAssembly. `runtime` converts the
//! calls of a guest into calls of a [`Session`]; `engine` carries out the [`Step`]s
//! that a session has gathered and hands the results back as a [`History`];
//! `template` checks arguments against a [`Description`].
//!
//! One call of a role is one session:
//!
//! ```text
//! Session::new ── declare, refine, ask ──> a question without an answer ── end ──> Ended (Suspended)
//!        │                                                                            │
//!        │                                             the host carries out the steps, then again
//!        └──────────────────────────────> the role returns ──────────────── end ──> Ended (Returned)
//! ```
//!
//! Nothing here does input or output, reads a clock, or starts a thread; the only
//! thing that may touch a disk is the [`Content`] that the host put into a history.

mod arguments;
mod call;
mod description;
mod digest;
mod expectations;
mod fault;
mod history;
mod inputs;
mod limits;
mod machine;
mod report;
mod requirement;
mod role;
pub mod secret;
mod session;
mod step;

pub use arguments::{ArgumentMistake, PathPart};
pub use call::{Call, Transcript};
pub use description::{Description, DescriptionError};
pub use digest::{Digest, DigestError, hex, sha256};
pub use expectations::{Expectations, Unmet};
pub use fault::Fault;
pub use history::{Content, History, StepResult};
pub use inputs::Inputs;
pub use limits::Limits;
pub use machine::Machine;
pub use report::{Case, CaseStatus, Item, ItemStatus, Level, Message, Report, Risk};
pub use requirement::{Requirement, RequirementError};
pub use role::Role;
pub use session::{Ended, Ending, Session};
pub use step::{FileContent, Language, Step, StepKind};
