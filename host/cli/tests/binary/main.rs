//! The program itself, as people and scripts start it: exit codes, what goes to which
//! stream, the local cloud that it finds and starts, Ctrl-C. On the sim driver, each test
//! in folders of its own.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

mod desk;
mod doctor;
mod exits;
mod images;
mod interrupts;
mod manners;
mod named;
mod packages;
mod server;
mod tty;
