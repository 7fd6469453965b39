//! Waiting for states that pass, so that a refused call can be made again.
//!
//! Which refusals those are says the table of [`Class`]; throttling and faults are the
//! client's own business, and alternatives where there is no stock the stage's.

use darkroom_ecs::client::Class;
use darkroom_journal::Failure;

use super::Cloud;
use crate::trouble::Trouble;

/// How often a call on the run's way forward is made again, each time after a longer
/// pause: at the pace of Alibaba Cloud about 40 seconds. A cancel waits for it.
pub(super) const FORWARD: u32 = 8;

/// How often a deletion is: about 4 minutes. An instance can't be deleted in its first
/// minute, and a network only when the last of its instances is really gone.
pub(super) const BACK: u32 = 26;

impl Cloud {
    /// Whether a call that was refused, and made again `tries` times, may be made again
    /// now: when what was in its way passes. Then a pause has been made.
    pub(super) async fn passes(&self, failure: &Failure<Trouble>, tries: u32, most: u32) -> bool {
        let passing = matches!(failure, Failure::Final(trouble)
            if trouble.class() == Class::Passing);
        if !passing || tries >= most {
            return false;
        }
        self.pause(self.pace.interval(tries)).await;
        true
    }
}
