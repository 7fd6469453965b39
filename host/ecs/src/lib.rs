//! The ECS wire: what travels between Darkroom and Alibaba Cloud ECS, or a server
//! that speaks its protocol.
//!
//! Two kinds of user share this crate. The engine *calls* ECS: it fills in a request
//! of [`action`] and hands it to a [`client::Client`], which signs it, sends it through
//! a [`transport::Transport`] and repeats what may be repeated. The local cloud *is*
//! ECS: it checks a request with [`sign::verify`], reads it with
//! [`params::from_params`] and answers with the same response types or an
//! [`error::ApiError`]. So both halves of every shape are tested against each other.
//!
//! - [`action`]: one file per ECS action, request and response.
//! - [`params`]: requests to flat parameters (`Tag.1.Key`) and back.
//! - [`sign`]: both signature generations, pure functions.
//! - [`error`]: the error codes and the error answer.
//! - [`http`], [`transport`]: a request as data, and ways to send one.
//! - [`credentials`], [`endpoint`], [`client`]: who calls, where, and how often.
//!
//! The crate reads no environment and no files, and it never prints; what it needs is
//! handed to it.

pub mod action;
pub mod client;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod http;
pub mod id;
pub mod params;
pub mod sign;
mod text_enum;
pub mod time;
pub mod transport;
