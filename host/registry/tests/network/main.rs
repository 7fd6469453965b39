//! The network half of the crate against real registry servers: Debian's docker-registry,
//! started here on ports of its own, without and with TLS, names and passwords, tokens,
//! and behind a proxy that breaks things on purpose.

#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

mod auth;
mod bench;
mod both;
mod copy;
mod daemon;
mod faults;
mod older;
mod packages;
mod peers;
mod proxy;
mod redirects;
mod referrers;
mod resolve;
mod secrets;
mod server;
mod token;
