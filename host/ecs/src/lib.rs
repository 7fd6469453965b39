//! The ECS wire: what travels between Darkroom and Alibaba Cloud ECS, or a server
//! that speaks its protocol.
//!
//! - [`action`]: one file per ECS action, request and response.
//! - [`params`]: requests to flat parameters (`Tag.1.Key`) and back.
//! - [`error`]: the error codes and the error answer.
//! - [`http`], [`transport`]: a request as data, and ways to send one.
//!
//! The crate reads no environment, no files and no clock of its own accord, and it
//! never prints; what it needs is handed to it.

pub mod action;
pub mod error;
pub mod http;
pub mod id;
pub mod params;
mod text_enum;
pub mod transport;
