//! One file for each section of a template: its type and how it is read.
//!
//! `template` puts them together; `resolve` turns them into the final template.

pub(crate) mod build;
pub(crate) mod copy;
pub(crate) mod distribute;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod keeping;
pub(crate) mod matrix;
pub(crate) mod overlay;
pub(crate) mod parameters;
pub(crate) mod repair;
pub(crate) mod script;
pub(crate) mod secrets;
pub(crate) mod source;
pub(crate) mod uses;
