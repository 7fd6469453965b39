//! Builds in simulated time under faults and crashes, and a look at what they leave.
//!
//! A [`Site`] is a simulated cloud and a state folder. A [`Life`] is one process on it: it
//! can end at any point as if by SIGKILL, and the next one goes on with what it had
//! written. A [`Plan`] says what goes wrong, a [`Stage`] plays it. [`Books`] say what is left in the cloud. `darkroom chaos` and the house's
//! crash sweep are made of these; this crate never prints, and knows no test.
//!
//! It stands above engine and local cloud, and joins them in memory: requests are the
//! same bytes as on a socket. Everything happens on one thread, in [`clock`]'s time.

pub mod books;
pub mod clock;
pub mod life;
pub mod many;
pub mod plan;
pub mod schedule;
pub mod site;

pub use books::Books;
pub use clock::SimulatedClock;
pub use life::{Call, Fate, Hindrance, How, Life, Moment};
pub use many::{Failing, Many, Summary};
pub use plan::{Mishap, Plan};
pub use schedule::{Played, Stage};
pub use site::{End, Ground, Site, SiteError, Subject};
