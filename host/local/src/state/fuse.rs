//! For tests of crashes: a server that stops for ever at its nth effect.
//!
//! Every change of a state, the cloud's and the sim driver's, burns the fuse of its
//! thread when it is kept. When it has burnt down, whoever comes to it waits for ever, which is what a killed process looks like to those who find its files. A
//! test with a fuse runs on one thread.

use std::cell::Cell;

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Lets `count` effects pass and none after them; none: all.
pub(crate) fn set(count: Option<u32>) {
    LEFT.set(count);
}

/// Whether it has burnt down.
pub(crate) fn is_out() -> bool {
    LEFT.get() == Some(0)
}

/// One effect.
pub(crate) async fn burn() {
    match LEFT.get() {
        None => {}
        Some(0) => std::future::pending().await,
        Some(left) => LEFT.set(Some(left - 1)),
    }
}
