//! The stages of a run, in their order; one file each.
//!
//! ```text
//! prepare ─> repair ─> build ─> image ─> test ──passed──> distribute ─> release
//!                                          └──failed────────────────────> release
//! ```
//!
//! A stage is an ordinary `async fn` over the journal's scope. What it returns is its
//! record: data that later stages, the manifest and a later process read. Nothing else
//! passes from stage to stage.

pub(crate) mod agent;
pub(crate) mod build;
pub(crate) mod distribute;
pub(crate) mod image;
pub(crate) mod launch;
pub(crate) mod layers;
pub(crate) mod network;
pub(crate) mod prepare;
pub(crate) mod release;
pub(crate) mod repair;
pub(crate) mod retain;
pub(crate) mod source;
pub(crate) mod test;
pub(crate) mod unchanged;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_journal::RunId;
use darkroom_runtime::Runtime;
use jiff::Timestamp;

use crate::carry::{Hands, Target};
use crate::check::Checked;
use crate::event::Events;
use crate::folder::RunFolder;
use crate::pipeline::{About, Desk};
use crate::role::RoleRecord;

/// What every stage of a run works with.
pub(crate) struct Work<'a> {
    pub run: RunId,
    pub started: Timestamp,
    /// Whether the image is built even if an unchanged one could be taken.
    pub refresh: bool,
    /// Whether an unchanged image is looked for whatever the template says.
    pub reuses: bool,
    /// Whether layers are kept and used where the template doesn't say it.
    pub layers: bool,
    pub region: RegionId,
    pub checked: &'a Checked,
    pub runtime: &'a Runtime,
    pub folder: RunFolder,
    pub events: Events,
    /// How long the agent of a new instance may take to answer, before it is taken to be
    /// missing.
    pub patience: Duration,
    /// What components have done in this process, by path; for the manifest of a run
    /// whose stage did not finish.
    pub roles: Mutex<BTreeMap<String, RoleRecord>>,
}

impl Work<'_> {
    /// The image's name, `{name}-{run}` unless the template says another.
    pub(crate) fn image_name(&self) -> String {
        let resolved = &self.checked.resolved;
        match &resolved.image.name {
            Some(name) => name.value.clone(),
            None => format!("{}-{}", resolved.name.value, self.run),
        }
    }

    /// What the end of the run is written with.
    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk {
            run: &self.run,
            started: self.started,
            region: &self.region,
            events: &self.events,
            about: About::of(self.checked),
            roles: &self.roles,
        }
    }

    pub(crate) fn hands(&self, instance: &InstanceId) -> Hands {
        Hands {
            target: Target {
                region: self.region.clone(),
                instance: instance.clone(),
                run: self.run.clone(),
            },
            folder: self.folder.clone(),
            events: self.events.clone(),
            hides: !self.checked.resolved.secrets.is_empty(),
        }
    }

    pub(crate) fn note(&self, record: &RoleRecord) {
        self.roles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(record.path.clone(), record.clone());
    }
}
