//! Unit tests of components: no WebAssembly, no machine, milliseconds.
//!
//! For the tests of component authors. A [`Machine`] is scripted with what each step
//! comes to, and a role is run on it exactly as the host runs it: a question without an
//! answer ends the call, the declared steps are "carried out", and the role is called
//! again from its beginning. Every repeated call is compared with the recorded one, so a
//! component that is not deterministic fails here, and not in a build.
//!
//! ```
//! use darkroom::*;
//! use darkroom::testing::{Answer, Machine};
//!
//! # struct Packages;
//! # impl About for Packages { fn describe() -> Description { Description::new("-") } }
//! impl Builder for Packages {
//!     fn build() -> Result<(), String> {
//!         if shell("look", "command -v nginx").tolerate().succeeded() {
//!             return Ok(());
//!         }
//!         shell("install", "apt-get install -y nginx");
//!         Ok(())
//!     }
//! }
//!
//! let run = Machine::debian().answer("look", Answer::exit(1)).build::<Packages>();
//! assert_eq!(run.result, Ok(()));
//! assert_eq!(run.names(), ["look", "install"]);
//! ```
//!
//! What it can't do: check arguments against a whole JSON Schema (it knows names, types,
//! defaults and what is required), and evaluate
//! [`Step::expect_match`](crate::Step::expect_match).
//! [`Declared::run`] runs a script of the component for real, where its text is what
//! should be tested. It must never be used by components themselves: it panics with the
//! message that the test's author needs.
#![expect(clippy::panic, reason = "a panic is how a test learns of a mistake")]

mod answer;
mod declared;
mod machine;
mod script;
mod session;

pub use answer::Answer;
pub use declared::{Declared, StepKind};
pub use machine::Machine;
pub use script::Outcome;
pub use session::{Case, Item, Run, Verdict};

use session::{Session, Stop};
use std::cell::RefCell;

thread_local! {
    /// The session of the role that runs on this thread.
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// A call of the contract, from the SDK to the session of this thread.
pub(crate) fn call<T>(answer: impl FnOnce(&mut Session) -> Result<T, Stop>) -> T {
    let answered = SESSION.with_borrow_mut(|session| session.as_mut().map(answer));
    match answered {
        Some(Ok(value)) => value,
        // Not a panic: no hook runs and nothing is printed, the call simply ends.
        Some(Err(stop)) => std::panic::resume_unwind(Box::new(stop)),
        None => panic!(
            "this was called outside of a component's role; in a test, run the role on a \
             darkroom::testing::Machine"
        ),
    }
}

/// Runs `role` once with `session`; gives the session back with what the role returned,
/// or with why the call ended before.
fn attempt(
    session: Session,
    role: fn() -> Result<(), String>,
) -> (Session, Result<Result<(), String>, Stop>) {
    let outer = SESSION.with_borrow_mut(|place| place.replace(session));
    assert!(outer.is_none(), "a component can't run a component");
    let returned = std::panic::catch_unwind(role);
    let session = SESSION.with_borrow_mut(Option::take);
    let Some(session) = session else {
        panic!("the session of this thread is gone");
    };
    match returned {
        Ok(result) => (session, Ok(result)),
        Err(payload) => match payload.downcast::<Stop>() {
            Ok(stop) => (session, Err(*stop)),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}
