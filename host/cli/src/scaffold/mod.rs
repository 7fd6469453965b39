//! Beginning a project: a template made from a few answers, or an example that comes
//! with the program. Nothing that is there is ever overwritten.

mod answers;
mod example;
mod text;

pub(crate) use answers::{Answers, FAMILIES, Given};
pub(crate) use example::{Example, examples};
