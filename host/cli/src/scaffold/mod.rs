//! Templates that nobody has to write: made from a few answers, from the flags of a build
//! of one line, or copied from an example. Nothing that is there is ever overwritten.

mod answers;
mod example;
mod one_line;
mod text;

pub(crate) use answers::{Answers, FAMILIES, Given};
pub(crate) use example::{Example, examples};
pub(crate) use one_line::OneLineArgs;
