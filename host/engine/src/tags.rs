//! The tags by which everything that a run creates is found again.

use darkroom_ecs::action::Tag;
use darkroom_journal::RunId;

/// The run that created the resource.
pub const RUN: &str = "darkroom:run";
/// What the run created it for: `build`, `test`, `image`, `copy`, `source`, or
/// [`NETWORK`].
pub const PURPOSE: &str = "darkroom:purpose";
/// The purpose of the parts of a temporary network.
pub const NETWORK: &str = "network";
/// The purpose of an image that is only made to build from.
pub const SOURCE: &str = "source";
/// The template's name, on images and their snapshots.
pub const TEMPLATE: &str = "darkroom:template";
/// What an image was built from, as a digest; on images that were published.
pub const BUILD_KEY: &str = "darkroom:build-key";
/// How far an image is whose template has `retain`: [`TESTING`], then [`RELEASED`].
pub const STATE: &str = "darkroom:state";
/// The state of an image from its beginning: its run may still discard it.
pub const TESTING: &str = "testing";
/// The state of an image that has passed its tests and is where it should be.
pub const RELEASED: &str = "released";
/// On an image that has failed its tests.
pub const FAILED: &str = "darkroom:failed";

/// One tag.
pub fn tag(key: &str, value: impl Into<String>) -> Tag {
    Tag {
        key: key.into(),
        value: value.into(),
    }
}

/// The tags of what `run` creates for `purpose`.
pub fn of(run: &RunId, purpose: &str) -> Vec<Tag> {
    vec![tag(RUN, run.to_string()), tag(PURPOSE, purpose)]
}
