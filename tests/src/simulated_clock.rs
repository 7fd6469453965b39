//! Simulated time, one for the runs and for the local cloud; see [`darkroom_chaos::clock`].

pub use darkroom_chaos::SimulatedClock;
