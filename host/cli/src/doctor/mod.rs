//! What `darkroom doctor` looks at, one file a subject. Each check tells its [`Report`] what
//! it found; none changes anything, and nothing that is billed is made.
//!
//! | file | what it looks at |
//! |---|---|
//! | [`sandbox`] | whether this machine can run instances, and what they begin from |
//! | [`disk`] | room in the folders that are written to |
//! | [`reach`] | the way to the cloud: address, TLS, clock |
//! | [`keys`] | where keys come from, whose they are, when they end |
//! | [`rights`] | what a template needs to be allowed |
//! | [`place`] | what a template names: source, stock, quotas |
//! | [`egress`] | whether instances reach the Cloud Assistant, and the Internet |
//!
//! The verb is in `commands/doctor.rs`.

pub(crate) mod disk;
pub(crate) mod egress;
pub(crate) mod keys;
pub(crate) mod place;
pub(crate) mod reach;
mod report;
pub(crate) mod rights;
pub(crate) mod sandbox;

use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_template::Resolved;

pub(crate) use report::{Check, Finding, Report};

/// What checks of a template have at hand.
pub(crate) struct Subject<'a> {
    pub(crate) client: &'a Client,
    pub(crate) region: &'a RegionId,
    pub(crate) template: &'a Resolved,
    /// How the template was named, for hints that are commands.
    pub(crate) words: &'a str,
}
