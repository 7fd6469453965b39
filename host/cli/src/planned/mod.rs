//! A plan for people: as lines, as `plan` shows it and before money may be spent, or as a
//! picture for a page or a pull request. [`Picture`] says what is in it, [`mermaid()`] and
//! [`svg()`] write it down. Pure functions from a plan to text.
//!
//! The pipeline is a line that forks once, where the image goes to its regions; so the
//! drawing needs no layout library, and an own one can say more than boxes and arrows.

mod lines;
mod mermaid;
mod picture;
mod svg;

pub(crate) use lines::{Detail, lines};
pub(crate) use mermaid::mermaid;
pub(crate) use picture::Picture;
pub(crate) use svg::svg;
