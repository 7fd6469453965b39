//! The image template, `image.yaml`: reading, checking and resolving it.
//!
//! [`parse`] reads the text of a template and reports every mistake at once, each
//! with file, line, column and what to write instead. [`Template::resolve`] then
//! merges what the template says for one cloud (`on:`), checks and fills in the
//! parameters and puts their values where `${{ parameters.x }}` stands. The
//! [`Resolved`] template is what the engine plans from; nothing after it checks
//! names and types again. The engine and the command line use this crate.
//!
//! What is known only elsewhere stays out of here: whether a component exists and
//! accepts its arguments (the engine, which reports at the place in the file by
//! [`Resolved::mistake_at`] and [`Uses::argument_span`]), whether a region, an
//! instance type or an account exists (the cloud). This crate opens no file, reads
//! no environment and prints nothing.
//!
//! | step | module |
//! |---|---|
//! | text to nodes with positions, with limits | `yaml` |
//! | nodes to values, collecting mistakes | `read` |
//! | the keys of each section, and those not supported | `keys` |
//! | one section of the template each | `section::*` |
//! | rules for names, regions, accounts, tags | `rules` |
//! | `${{ parameters.x }}` | `reference` |
//! | overlays, parameters, the final template | `resolve` |

mod body;
mod expression;
mod format;
mod keys;
pub mod lock;
mod mistake;
mod nearest;
mod one_line;
mod places;
mod read;
mod resolve;
mod resolved;
mod rules;
mod schema;
mod section;
mod span;
mod template;
mod yaml;

pub use format::format;
pub use mistake::{Mistake, Mistakes, Severity};
pub use nearest::nearest;
pub use one_line::{OneLine, one_line};
pub use resolve::{Cloud, ParseCloudError, ResolveWith};
pub use resolved::{
    BuildItem, Copy, DataDisk, Distribute, ImageSettings, Instance, OnTestFailure, Rebuild,
    Resolved, Retain, Run, Secret, SecretFrom, TestItem, Uses,
};
pub use schema::{schema, schema_with};
pub use section::parameters::{Parameter, ParameterType};
pub use section::repair::Repair;
pub use section::source::Source;
pub use section::uses::UsesRef;
pub use span::{SourceFile, Span, Spanned};
pub use template::{Draft, Template, draft, parse};
