//! Which instances this process has launched for its run, where that is certain.
//!
//! A run's instances are found by their tags: that finds also what an earlier process has
//! made, and what came of a call whose answer was lost. Where neither can be, because the
//! session is the run's first and each launch was answered at the first attempt, a moment
//! after they were looked at there is nothing to find that isn't known. Everything else is
//! left to the tags.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use darkroom_ecs::action::{Action, Instance, RunInstances, RunInstancesResponse};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_ecs::params::{Params, from_params};
use darkroom_journal::{Attempt, RunId};
use serde_json::Value;

use super::Cloud;
use crate::tags;
use crate::waiter::earlier;

/// A region and what instances are made for there.
type Purpose = (RegionId, String);

/// What was launched for each purpose; none where it isn't certain.
#[derive(Default)]
pub(super) struct Launches(BTreeMap<Purpose, Option<Vec<InstanceId>>>);

/// A launch on its way, and what had been launched before.
pub(super) struct Launch {
    purpose: Purpose,
    before: Vec<InstanceId>,
}

impl Cloud {
    fn launches(&self) -> std::sync::MutexGuard<'_, Launches> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a call that may launch something, before it is made: until it is
    /// answered nothing is certain.
    pub(super) fn launching(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
        attempt: &Attempt,
    ) -> Option<Launch> {
        let is_dry = params.get("DryRun") == Some("true");
        if action != RunInstances::NAME || is_dry {
            return None;
        }
        let request: RunInstances = from_params(params).ok()?;
        let mut tags = request.tag.into_iter();
        let purpose = tags.find(|tag| tag.key == tags::PURPOSE)?.value;
        let purpose = (region.clone(), purpose);
        let before = self.launches().0.insert(purpose.clone(), None);
        let first = attempt.repeat.is_none()
            && attempt
                .epoch
                .as_ref()
                .is_some_and(|epoch| epoch.number == 1);
        let before = before.unwrap_or_else(|| Some(Vec::new()));
        before
            .filter(|_| first)
            .map(|before| Launch { purpose, before })
    }

    /// Takes note of its answer.
    pub(super) fn launched(&self, launch: Option<Launch>, answer: &Value) {
        let Some(Launch { purpose, before }) = launch else {
            return;
        };
        let answer = serde_json::from_value::<RunInstancesResponse>(answer.clone());
        let Ok(answer) = answer else {
            return;
        };
        let mut all = before;
        all.extend(answer.instance_id_sets.instance_id_set);
        self.launches().0.insert(purpose, Some(all));
    }

    /// The run's instances for a purpose, where it is certain which those are and each was
    /// looked at a moment ago.
    pub(super) fn seen_instances(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
    ) -> Option<Vec<Instance>> {
        if *run != self.run {
            return None;
        }
        let launches = self.launches();
        let ids = launches.0.get(&(region.clone(), purpose.to_owned()))?;
        let since = earlier(self.clock.now(), self.pace.first);
        let place = self.account.place(region);
        let found = ids.as_ref()?.iter();
        found.map(|id| place.instances.lately(id, since)).collect()
    }

    /// What this process has launched in a region.
    pub(super) fn own_instances(&self, region: &RegionId) -> Vec<InstanceId> {
        let launches = self.launches();
        let here = launches.0.iter().filter(|((place, _), _)| place == region);
        here.filter_map(|(_, ids)| ids.clone()).flatten().collect()
    }
}
