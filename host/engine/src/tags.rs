//! The tags by which everything that a run creates is found again.

use darkroom_ecs::action::{Tag, Tags};
use darkroom_journal::{Epoch, RunId};
use jiff::Timestamp;

/// The run that created the resource.
pub const RUN: &str = "darkroom:run";
/// What the run created it for: `build`, `test`, `image`, `copy`, `source`,
/// `layer-N` or [`NETWORK`].
pub const PURPOSE: &str = "darkroom:purpose";
/// The purpose of the parts of a temporary network.
pub const NETWORK: &str = "network";
/// The purpose of an image that is only made to build from.
pub const SOURCE: &str = "source";
/// The template's name, on images and their snapshots.
pub const TEMPLATE: &str = "darkroom:template";
/// What an image was built from, as a digest; on images that were published.
pub const BUILD_KEY: &str = "darkroom:build-key";
/// The template of a layer, on the image that it is.
pub const LAYER_OF: &str = "darkroom:layer-of";
/// What a layer was built from, as a digest.
pub const LAYER: &str = "darkroom:prefix-key";
/// When the oldest part of an image was built, where that was before the image's run.
pub const SINCE: &str = "darkroom:built-since";
/// How far an image is: [`TESTING`], then [`RELEASED`], or [`READY`] if it is a layer. Older
/// images have it only where their template had `retain`.
pub const STATE: &str = "darkroom:state";
/// The state of an image from its beginning: its run may still discard it.
pub const TESTING: &str = "testing";
/// The state of an image that has passed its tests and is where it should be.
pub const RELEASED: &str = "released";
/// The state of a layer that builds may begin from.
pub const READY: &str = "ready";
/// Whose the run is: an [`Epoch`].
pub const EPOCH: &str = "darkroom:epoch";
/// Until when nobody else may clear the run away, in the cloud's form of a time.
pub const LEASE: &str = "darkroom:lease";
/// On an image that stands on a snapshot that isn't its run's.
pub const BORROWED: &str = "darkroom:borrowed";
/// On an image that has failed its tests.
pub const FAILED: &str = "darkroom:failed";

/// The session that a resource's run belongs to, if it says one.
pub fn epoch(tags: &Tags) -> Option<Epoch> {
    tags.get(EPOCH)?.parse().ok()
}

/// The end of a resource's lease, if it has one.
pub fn lease(tags: &Tags) -> Option<Timestamp> {
    moment(tags.get(LEASE)?)
}

/// Reads the cloud's forms of a time, with seconds and without.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    match text.strip_suffix('Z') {
        Some(minutes) if minutes.len() == "2026-01-02T03:04".len() => {
            format!("{minutes}:00Z").parse().ok()
        }
        _ => text.parse().ok(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let whole: Timestamp = "2026-01-02T03:04:00Z".parse().unwrap();
        assert_eq!(moment("2026-01-02T03:04:00Z"), Some(whole));
        assert_eq!(moment("2026-01-02T03:04Z"), Some(whole));
        assert_eq!(moment(""), None);
        assert_eq!(moment("soon"), None);
    }
}
