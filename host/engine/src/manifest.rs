//! The manifest: what came of a run, in one file that stands alone.
//!
//! Template, components with their digests, every command with its exit code and the
//! digest of its whole output, images and durations. It is a boundary: fields may be
//! added, none may change without a new version.

use std::collections::BTreeMap;

use darkroom_contract::Case;
use darkroom_journal::RunId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Status;
use crate::role::RoleRecord;
pub use crate::stage::layers::Layer;
use crate::survey::ImageFacts;
use crate::trouble::Trouble;

/// The version of the file.
pub const VERSION: u32 = 1;

/// The file's name in the run's folder.
pub const FILE: &str = "manifest.json";

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this file.
    pub manifest: u32,
    /// The run.
    pub run: RunId,
    /// The version of Darkroom that ended it.
    pub darkroom: String,
    /// How it ended.
    pub status: Status,
    /// What went wrong.
    pub error: Option<String>,
    /// The same as data, for programs.
    pub trouble: Option<Trouble>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The last lines of the step that failed.
    pub tail: Option<String>,
    /// The template's name.
    pub template: String,
    /// The template as it was.
    pub template_text: String,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// `local` or `aliyun`.
    pub cloud: String,
    /// The region in which it was built.
    pub region: String,
    /// The source image.
    pub source: Option<ImageFacts>,
    /// The instance type that was used.
    pub instance_type: Option<String>,
    /// Each component's SHA-256, by its reference.
    pub components: BTreeMap<String, String>,
    /// What each component did, in order.
    pub roles: Vec<RoleRecord>,
    /// Whether a fresh instance came up from the image.
    pub boot: Option<Case>,
    /// The image's name.
    pub image_name: Option<String>,
    /// The image in each region.
    pub regions: Vec<RegionImage>,
    /// What could not be undone, in words. Empty when nothing is left.
    pub left: Vec<String>,
    /// What the image was built from, as a digest, where its source is an image.
    #[serde(default)]
    pub build_key: Option<String>,
    /// What each input was, as a digest: the items of `build` and `test` by their paths, the
    /// template's text, the parameters.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Whether nothing was built, because an unchanged image was taken.
    #[serde(default)]
    pub unchanged: bool,
    /// The layer that it was built from, which holds the first items of `build`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
    /// Whether what the run has made stays, to be looked at.
    #[serde(default)]
    pub kept: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How long each stage took.
    pub stages: Vec<StageTime>,
}

/// The image in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionImage {
    /// The region.
    pub region: String,
    /// The image; none where it failed.
    pub image: Option<String>,
    /// Accounts that see it.
    pub shared_with: Vec<String>,
    /// The family that it was put in.
    pub family: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// How long a stage took, processes that were killed in it included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage.
    pub stage: String,
    /// From its first beginning to its end.
    pub seconds: f64,
}
