//! A plan as a picture, for a page or a pull request: [`Picture`] says what is in it,
//! [`mermaid`] and [`svg`] write it down. Pure functions from a plan to text.
//!
//! The pipeline is a line that forks once, where the image goes to its regions; so the
//! drawing needs no layout library, and an own one can say more than boxes and arrows.

mod mermaid;
mod picture;
mod svg;

pub(crate) use mermaid::mermaid;
pub(crate) use picture::Picture;
pub(crate) use svg::svg;
