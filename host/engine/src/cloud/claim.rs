//! Whose a run is, and until when: marks that its process writes on what it has made.
//!
//! - **The epoch** (`darkroom:epoch`) says whose a run is. A lock decides that on one state
//!   folder, but not between a folder and its copy on another machine. What is made bears
//!   the epoch of the session that made it; a session that isn't the run's first claims all
//!   that is there; and at each stage, and before each call that makes something, the marks
//!   are read: who finds a newer one stops, and undoes nothing. Of two sessions with one
//!   number the later writer wins.
//! - **The lease** (`darkroom:lease`) says until when nobody else may clear a run away. It
//!   is renewed when half of it is gone, by whichever operation or poll comes next.
//! - **The release time** of instances is when the cloud deletes them by itself. It is put
//!   off with the other two where less than a run's time is left until then: a run that is
//!   resumed late has its time, and one that takes long is not cut off while it lives.
//!
//! Instances bear the marks; while there is none the temporary network's security group
//! does, and where there is no network either, the image. A VPC whose security group isn't
//! made yet has only the marks that it was made with.
//!
//! Marks are no operations of the journal: they are about the process, and may be written
//! any number of times. Nothing is deleted here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use darkroom_ecs::action::{
    DescribeImages, DescribeInstances, DescribeSecurityGroups, Image, Instance,
    ModifyInstanceAutoReleaseTime, Tag, TagResources, Tags,
};
use darkroom_ecs::id::RegionId;
use darkroom_ecs::params::Params;
use darkroom_journal::{Attempt, Epoch, Failure, UndoEntry, UndoState};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Cloud, every_status};
use crate::operation::Operation;
use crate::stage::launch::{DEADLINE, GRACE, in_cloud_form};
use crate::tags;
use crate::trouble::Trouble;

/// The calls that make something, most of it billed. Before each the marks are read.
const MAKING: [&str; 6] = [
    "CopyImage",
    "CreateImage",
    "CreateSecurityGroup",
    "CreateVSwitch",
    "CreateVpc",
    "RunInstances",
];

/// What can bear marks, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Instance,
    SecurityGroup,
    Image,
}

impl Kind {
    /// As `TagResources` calls it.
    fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::SecurityGroup => "securitygroup",
            Self::Image => "image",
        }
    }
}

/// What a session knows of its run's marks.
#[derive(Default)]
pub(super) struct Claim(Mutex<State>);

#[derive(Default)]
struct State {
    /// The session's hold on the run. Without it nothing is marked.
    epoch: Option<Epoch>,
    /// Where the run has something that bears marks.
    places: BTreeSet<(Kind, RegionId)>,
    /// When the marks were seen last and were ours.
    seen: Option<Timestamp>,
    /// The end of the lease, as it was written last.
    lease: Option<Timestamp>,
}

/// Something of the run and its marks.
struct Marked {
    id: String,
    epoch: Option<Epoch>,
    lease: Option<Timestamp>,
    /// When the cloud deletes it by itself, if it is an instance.
    release: Option<Timestamp>,
    /// Whether it is an image that a run has released.
    released: bool,
}

impl Marked {
    fn new(id: &impl ToString, tags: &Tags) -> Self {
        Self {
            id: id.to_string(),
            epoch: tags::epoch(tags),
            lease: tags::lease(tags),
            release: None,
            released: tags.get(tags::STATE) == Some(tags::RELEASED),
        }
    }

    fn of_instance(instance: &Instance) -> Self {
        Self {
            release: tags::moment(&instance.auto_release_time),
            ..Self::new(&instance.instance_id, &instance.tags)
        }
    }
}

type Outcome<T> = Result<T, Failure<Trouble>>;

impl Cloud {
    /// Takes the session's hold on the run.
    pub fn take(&self, epoch: Epoch) {
        self.state().epoch = Some(epoch);
    }

    /// Whether this is the run's first session: what is waited for has begun in it.
    pub(super) fn is_first(&self) -> bool {
        let state = self.state();
        state.epoch.as_ref().is_some_and(|epoch| epoch.number == 1)
    }

    /// Claims what earlier sessions have made, which the run's undo entries name, and puts
    /// off the time at which the cloud would delete its instances.
    ///
    /// # Errors
    /// When a newer session has claimed it, or the cloud can't be asked.
    pub(crate) async fn claim(&self, entries: &[UndoEntry]) -> Outcome<()> {
        let there = entries
            .iter()
            .filter(|entry| entry.state != UndoState::Done);
        let mut places: BTreeSet<_> = there.filter_map(place_of).collect();
        // Where it has been built an image may have been made since, on another machine.
        let built = places.first().map(|(_, region)| region.clone());
        places.extend(built.map(|region| (Kind::Image, region)));
        let kept = entries.iter().any(|entry| entry.state == UndoState::Kept);
        for (kind, region) in places {
            let found = self.marked(&region, kind).await?;
            for one in &found {
                self.judge(one, true)?;
                if one.released && !kept {
                    return Err(self.superseded(&one.id, "released"));
                }
            }
            if found.is_empty() {
                continue;
            }
            self.state().places.insert((kind, region.clone()));
            self.mark(&region, kind, &found, self.lease_from_now())
                .await?;
            for one in &found {
                self.put_off(&region, one).await;
            }
        }
        Ok(())
    }

    /// Stops a session that is not the run's newest any more, and sees to it that the
    /// run's marks are this session's.
    ///
    /// # Errors
    /// When a newer session has claimed the run, or the cloud can't be asked.
    pub(super) async fn heed(&self) -> Outcome<()> {
        let now = self.clock.now();
        let places = {
            let state = self.state();
            // What was seen a moment ago is as true as what would be seen now: who
            // comes after the look is found by the next one in either case.
            let fresh = state
                .seen
                .is_some_and(|seen| now.duration_since(seen) < signed(self.pace.first));
            if state.epoch.is_none() || fresh {
                return Ok(());
            }
            state.places.clone()
        };
        for (kind, region) in places {
            let found = self.marked(&region, kind).await?;
            if found.is_empty() {
                self.state().places.remove(&(kind, region));
                continue;
            }
            for one in &found {
                self.judge(one, false)?;
            }
            let ours = self.state().epoch.clone();
            let lease = found.iter().filter_map(|one| one.lease).max();
            let due = lease.is_none_or(|lease| self.is_due(lease));
            if due || found.iter().any(|one| one.epoch != ours) {
                self.mark(&region, kind, &found, self.lease_from_now())
                    .await?;
                for one in &found {
                    self.put_off(&region, one).await;
                }
            } else {
                self.state().lease = lease;
            }
            self.state().seen = Some(now);
            return Ok(());
        }
        Ok(())
    }

    /// Reads the marks of an instance that was waited for, as it was at `at`.
    ///
    /// # Errors
    /// When a newer session has claimed the run.
    pub(super) fn saw_instance(
        &self,
        region: &RegionId,
        instance: &Instance,
        at: Timestamp,
    ) -> Outcome<()> {
        if instance.tags.get(tags::RUN) != Some(self.run.as_str()) {
            return Ok(());
        }
        let one = Marked::of_instance(instance);
        self.judge(&one, false)?;
        let mut state = self.state();
        // Only what `heed` would read.
        let first = state.places.first() == Some(&(Kind::Instance, region.clone()));
        let ours = state.epoch.is_some() && one.epoch == state.epoch;
        if first && ours && one.lease.is_some_and(|lease| !self.is_due(lease)) {
            state.seen = state.seen.max(Some(at));
            state.lease = one.lease;
        }
        Ok(())
    }

    /// The same of an image. It bears no lease, so the one that is known must last.
    ///
    /// # Errors
    /// When a newer session has claimed the run.
    pub(super) fn saw_image(&self, image: &Image, at: Timestamp) -> Outcome<()> {
        if image.tags.get(tags::RUN) != Some(self.run.as_str()) {
            return Ok(());
        }
        let one = Marked::new(&image.image_id, &image.tags);
        self.judge(&one, false)?;
        let mut state = self.state();
        let ours = state.epoch.is_some() && one.epoch == state.epoch;
        if ours && state.lease.is_some_and(|lease| !self.is_due(lease)) {
            state.seen = state.seen.max(Some(at));
        }
        Ok(())
    }

    /// Renews the lease if it is time to. What goes wrong with that is tried again later;
    /// only a newer session stops this one.
    pub(super) async fn renew(&self) -> Outcome<()> {
        let due = {
            let state = self.state();
            !state.places.is_empty() && state.lease.is_none_or(|lease| self.is_due(lease))
        };
        if !due {
            return Ok(());
        }
        match self.heed().await {
            Err(Failure::Unavailable(trouble @ Trouble::Superseded { .. })) => {
                Err(Failure::Unavailable(trouble))
            }
            Err(_) => {
                // Not with every poll: the cloud has trouble enough.
                let soon = self.clock.now() + signed(self.pace.lease) / 2;
                self.state().lease = Some(soon + signed(self.pace.lease) / 12);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Extends the lease to the time at which the cloud deletes the instances by itself:
    /// somebody looks into them, and nothing may renew it meanwhile.
    pub(crate) async fn outlast(&self) {
        let places = self.state().places.clone();
        let instances = places
            .into_iter()
            .filter(|(kind, _)| *kind == Kind::Instance);
        for (kind, region) in instances {
            let Ok(found) = self.marked(&region, kind).await else {
                continue;
            };
            let Some(until) = found.iter().filter_map(|one| one.release).max() else {
                continue;
            };
            drop(self.mark(&region, kind, &found, until).await);
        }
    }

    /// Refuses to undo what a newer session has claimed, or has released.
    pub(super) fn spare<'a>(&self, tags: impl Iterator<Item = (String, &'a Tags)>) -> Outcome<()> {
        for (id, tags) in tags {
            let one = Marked::new(&id, tags);
            self.judge(&one, false)?;
            // What this journal has released is kept by it, and never undone.
            if one.released {
                return Err(self.superseded(&one.id, "released"));
            }
        }
        Ok(())
    }

    fn superseded(&self, subject: &str, newer: &str) -> Failure<Trouble> {
        Failure::Unavailable(Trouble::Superseded {
            subject: subject.into(),
            newer: newer.into(),
            ours: self
                .state()
                .epoch
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        })
    }

    /// What a request that makes something bears beside its own tags. It depends on the
    /// first attempt only: a token is good for the same request.
    pub(super) fn marks(&self, action: &str, params: &mut Params, attempt: &Attempt) {
        let Some(epoch) = attempt.epoch.as_ref().filter(|_| MAKING.contains(&action)) else {
            return;
        };
        add(params, tags::EPOCH, &epoch.to_string());
        if params.contains("SnapshotId") {
            add(params, tags::BORROWED, "snapshot");
        }
        let image = matches!(action, "CreateImage" | "CopyImage");
        if image && !has(params, tags::PURPOSE, tags::SOURCE) {
            if !has(params, tags::STATE, tags::TESTING) {
                add(params, tags::STATE, tags::TESTING);
            }
            return;
        }
        let lease = attempt.at + signed(self.pace.lease);
        add(params, tags::LEASE, &in_cloud_form(lease));
    }

    /// Calls an action; reads the marks before one that makes something.
    pub(super) async fn make(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
        attempt: &Attempt,
    ) -> Outcome<Value> {
        let makes = MAKING.contains(&action) && params.get("DryRun") != Some("true");
        if makes {
            self.heed().await?;
        }
        let launch = self.launching(region, action, params, attempt);
        let answer = self.ecs(region, action, params, attempt).await?;
        if makes {
            self.made(region, action, params, attempt);
            self.launched(launch, &answer);
        }
        Ok(answer)
    }

    /// Remembers where something was made that bears marks.
    fn made(&self, region: &RegionId, action: &str, params: &Params, attempt: &Attempt) {
        let there = params
            .get("DestinationRegionId")
            .and_then(|region| region.parse().ok());
        let place = match action {
            "RunInstances" => (Kind::Instance, region.clone()),
            "CreateSecurityGroup" => (Kind::SecurityGroup, region.clone()),
            "CreateImage" => (Kind::Image, region.clone()),
            "CopyImage" => (Kind::Image, there.unwrap_or_else(|| region.clone())),
            _ => return,
        };
        let mut state = self.state();
        let first = !state.places.iter().any(|(kind, _)| *kind <= place.0);
        if first && attempt.repeat.is_none() && attempt.epoch == state.epoch {
            // It was made a moment ago with this session's marks.
            state.seen = Some(attempt.at);
        }
        state.places.insert(place);
        if first && !matches!(action, "CreateImage" | "CopyImage") {
            state.lease = Some(attempt.at + signed(self.pace.lease));
        }
    }

    /// Stops for the marks of a newer session. One that has `come` later than another with
    /// the same number takes the run from it.
    fn judge(&self, one: &Marked, come: bool) -> Outcome<()> {
        let ours = self.state().epoch.clone();
        let (Some(ours), Some(found)) = (ours, &one.epoch) else {
            return Ok(());
        };
        let newer = found.number > ours.number;
        let other = found.number == ours.number && *found != ours;
        if newer || (other && !come) {
            return Err(self.superseded(&one.id, &found.to_string()));
        }
        Ok(())
    }

    /// What the run has of a kind in a region.
    async fn marked(&self, region: &RegionId, kind: Kind) -> Outcome<Vec<Marked>> {
        let tag = vec![tags::tag(tags::RUN, self.run.to_string())];
        Ok(match kind {
            Kind::Instance => {
                let action = DescribeInstances {
                    region_id: region.clone(),
                    tag,
                    max_results: Some(100),
                    ..DescribeInstances::default()
                };
                let found = self.call(region, &action).await?.instances.instance;
                found.iter().map(Marked::of_instance).collect()
            }
            Kind::SecurityGroup => {
                let action = DescribeSecurityGroups {
                    region_id: region.clone(),
                    tag,
                    max_results: Some(100),
                    ..DescribeSecurityGroups::default()
                };
                let found = self.call(region, &action).await?.security_groups;
                let found = found.security_group.iter();
                found
                    .map(|one| Marked::new(&one.security_group_id, &one.tags))
                    .collect()
            }
            Kind::Image => {
                let action = DescribeImages {
                    region_id: region.clone(),
                    tag,
                    status: Some(every_status()),
                    page_size: Some(100),
                    ..DescribeImages::default()
                };
                let found = self.call(region, &action).await?.images.image;
                let found = found.iter();
                found
                    .map(|one| Marked::new(&one.image_id, &one.tags))
                    .collect()
            }
        })
    }

    /// Writes this session's marks.
    async fn mark(
        &self,
        region: &RegionId,
        kind: Kind,
        found: &[Marked],
        lease: Timestamp,
    ) -> Outcome<()> {
        let Some(epoch) = self.state().epoch.clone() else {
            return Ok(());
        };
        let mut tag = vec![tags::tag(tags::EPOCH, epoch.to_string())];
        // An image that is published must not look as if it were still being made.
        if kind != Kind::Image || self.is_last(kind) {
            tag.push(tags::tag(tags::LEASE, in_cloud_form(lease)));
        }
        let action = TagResources {
            region_id: region.clone(),
            resource_type: kind.word().into(),
            resource_id: found.iter().map(|one| one.id.clone()).collect(),
            tag,
        };
        super::undo::ignore_missing(self.call(region, &action).await.map(drop))?;
        let mut state = self.state();
        state.lease = Some(state.lease.map_or(lease, |known| known.max(lease)));
        Ok(())
    }

    /// Whether nothing bears the lease but what is of this kind.
    fn is_last(&self, kind: Kind) -> bool {
        self.state().places.iter().all(|(other, _)| *other >= kind)
    }

    /// Puts off the time at which the cloud deletes an instance, where the run might need it
    /// longer.
    async fn put_off(&self, region: &RegionId, one: &Marked) {
        let now = self.clock.now();
        let late = one.release.is_some_and(|at| at < now + DEADLINE);
        let Some(instance) = one.id.parse().ok().filter(|_| late) else {
            return;
        };
        let action = ModifyInstanceAutoReleaseTime {
            region_id: region.clone(),
            instance_id: instance,
            auto_release_time: Some(in_cloud_form(now + DEADLINE + GRACE)),
        };
        // Without it the run has the time that it had.
        drop(self.call(region, &action).await);
    }

    fn lease_from_now(&self) -> Timestamp {
        self.clock.now() + signed(self.pace.lease)
    }

    fn is_due(&self, lease: Timestamp) -> bool {
        lease.duration_since(self.clock.now()) < signed(self.pace.lease) / 2
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.claim.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(length: Duration) -> SignedDuration {
    SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX)
}

/// Where what an undo entry would remove can be found, as far as it bears marks.
fn place_of(entry: &UndoEntry) -> Option<(Kind, RegionId)> {
    match serde_json::from_value(entry.operation.clone()).ok()? {
        Operation::ReleaseInstances { region, .. } => Some((Kind::Instance, region)),
        Operation::RemoveNetwork { region, .. } => Some((Kind::SecurityGroup, region)),
        Operation::DiscardImages { region, .. } | Operation::DiscardImagesOnly { region, .. } => {
            Some((Kind::Image, region))
        }
        _ => None,
    }
}

/// How many tags a request has at most.
const MOST_TAGS: u32 = 20;

/// Adds a tag to a request.
fn add(params: &mut Params, key: &str, value: &str) {
    let free = (1..=MOST_TAGS).find(|place| !params.contains(&format!("Tag.{place}.Key")));
    if let Some(place) = free {
        let Tag { key, value } = tags::tag(key, value);
        params.insert(format!("Tag.{place}.Key"), key);
        params.insert(format!("Tag.{place}.Value"), value);
    }
}

/// Whether a request has a tag.
fn has(params: &Params, key: &str, value: &str) -> bool {
    (1..=MOST_TAGS)
        .map(|place| (format!("Tag.{place}.Key"), format!("Tag.{place}.Value")))
        .take_while(|(name, _)| params.contains(name))
        .any(|(name, text)| params.get(&name) == Some(key) && params.get(&text) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_added_behind_those_of_a_request() {
        let mut params = Params::new();
        params.insert("Tag.1.Key", "a");
        params.insert("Tag.1.Value", "b");
        add(&mut params, "c", "d");
        assert_eq!(params.get("Tag.2.Key"), Some("c"));
        assert!(has(&params, "a", "b") && has(&params, "c", "d"));
        assert!(!has(&params, "a", "d") && !has(&params, "e", "b"));
    }
}
