//! Component packages in OCI registries: found by name and requirement, pulled, kept,
//! verified against a policy, and published.
//!
//! `cli` is its user: it hands in the texts of configuration files, and gives what came
//! out to the engine as bytes. Nothing here knows templates or runs a component, prints,
//! or reads the environment or the home folder.

pub mod cache;
pub mod client;
pub mod config;
pub mod copy;
pub mod digest;
pub mod layout;
pub mod name;
pub mod publish;
pub mod pull;
pub mod referrers;
pub mod requirement;
pub mod resolve;
pub mod search;
pub mod sign;
pub mod trust;
pub mod versions;
pub mod yank;
