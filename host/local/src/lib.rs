//! local: the local cloud.

pub mod bootstrap;
pub(crate) mod catalogue;
pub mod clock;
pub mod driver;
pub mod files;
pub mod network;
pub mod sandbox;
pub mod sim;
pub mod state;
