//! The Rust SDK of Darkroom: everything that a component needs, and no more.
//!
//! A component is a pure program over history. It has no network, no files and no
//! clock; it says what should be done on a machine by declaring *steps*, and asks
//! *questions* about what came of them. Straight-line code is all there is to it:
//!
//! ```
//! use darkroom::*;
//!
//! struct Greeting;
//!
//! impl About for Greeting {
//!     fn describe() -> Description {
//!         Description::new("Writes the greeting page")
//!             .parameter(Parameter::text("greeting", "What the page says").default("hello"))
//!     }
//! }
//!
//! impl Builder for Greeting {
//!     fn build() -> Result<(), String> {
//!         let greeting = inputs::text("greeting").unwrap_or_default();
//!         write("write the page", "/var/www/html/index.html", greeting).mode(0o644);
//!         Ok(())
//!     }
//! }
//!
//! component!(Greeting: builder);
//! # fn main() {}
//! ```
//!
//! `darkroom component build .` makes a WebAssembly component of it. The crate is a
//! `cdylib` and depends on nothing else.
//!
//! # How a call runs
//! A function that declares a step ([`shell()`], [`write()`], [`reboot()`], ...) returns
//! at once: nothing has happened yet. A question ([`Step::output`],
//! [`Step::succeeded`], ...) that the host can't answer yet ends the call there; the
//! host carries the declared steps out and calls the component again from its
//! beginning, with the answers that are known by then. So the same arguments and the
//! same answers must lead to the same calls, and global variables start anew each time.
//!
//! A step that fails stops the component, unless it is [`Step::tolerate`]d.
//!
//! # Where things are
//! [`Step`] and the functions that declare one; [`inputs`], [`machine`] and [`report`];
//! [`Description`] and [`Parameter`]; [`component!`] and the role traits; and
//! [`testing`], which runs a component in a unit test without WebAssembly and without a
//! machine.
//!
//! Values that people give belong into [`Step::environment`], never into the text of a
//! script: the host carries them safely, whatever they contain.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[rustfmt::skip]
#[expect(
    unsafe_code,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::panic,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "generated from the contract, see ../generate"
)]
pub mod bindings;
mod calls;
mod component;
mod description;
pub mod inputs;
mod json;
pub mod machine;
pub mod report;
mod step;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub use component::private;
pub use component::{About, Builder, Repairer, Tester};
pub use description::{Description, Parameter};
pub use json::{Json, JsonError};
pub use step::{
    Step, cmd, collect, download, powershell, reboot, shell, write, write_asset, write_bytes,
};
