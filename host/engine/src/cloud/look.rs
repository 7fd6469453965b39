//! Looking at what runs wait for, together with the other runs of the process.
//!
//! Which question tells it, and when it is asked again, is here and in
//! [`waiter`](crate::waiter); what the answer means for a condition is `poll`'s.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use darkroom_ecs::action::{
    Action, CommaList, DescribeCloudAssistantStatus, DescribeImages, DescribeImagesResponse,
    DescribeInstances, DescribeInvocations, Image, ImageStatus, Images, Instance, InstanceStatus,
    JsonList,
};
use darkroom_ecs::id::{ImageId, InstanceId, InvokeId, RegionId};
use darkroom_ecs::params::{Params, from_params};
use darkroom_journal::Failure;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Cloud, every_status};
use crate::operation::Condition;
use crate::tags;
use crate::trouble::Trouble;
use crate::waiter::{COMMANDS, Command, Waits, Window, between, earlier};

/// Pages of running commands that are read, of all hosts of the account.
const PAGES: usize = 40;

/// The older word for commands that have not ended, by which they are listed.
const RUNNING: &str = "Running";

/// How far something has been waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    begun: Timestamp,
    /// When it is looked at next.
    due: Timestamp,
    /// When it was last seen not to be so.
    unseen: Option<Timestamp>,
}

type Answer<T> = Result<T, Failure<Trouble>>;

impl Cloud {
    /// Waits for the moment of a condition's first look; says since when it has been
    /// waited for, and from when on an answer counts.
    pub(super) async fn moment(&self, key: &str, condition: &Condition) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        let known = self.watches().get(key).copied();
        if let Some(watch) = known {
            // Its deadline may have come first.
            return (watch.begun, watch.due.min(now));
        }
        let waits = self.waits(condition);
        let due = if self.is_first() {
            self.waiter.first(&self.account, &self.pace, &waits)
        } else {
            // It may have begun long ago, in another process.
            now
        };
        let watch = Watch {
            begun: now,
            due,
            unseen: None,
        };
        self.watches().insert(key.into(), watch);
        self.expect(condition, due);
        self.clock.sleep_until(due).await;
        (now, due)
    }

    /// How long to leave a condition that doesn't hold yet.
    pub(super) fn again(&self, key: &str, condition: &Condition) -> Duration {
        let now = self.clock.now();
        let known = self.watches().get(key).copied();
        let begun = known.map_or(now, |watch| watch.begun);
        let waits = self.waits(condition);
        let due = self.waiter.next(&self.account, &self.pace, &waits, begun);
        let watch = Watch {
            begun,
            due,
            unseen: Some(now),
        };
        self.watches().insert(key.into(), watch);
        self.expect(condition, due);
        between(now, due)
    }

    /// Takes note that a condition holds.
    pub(super) fn held(&self, key: &str, condition: &Condition) {
        let watch = self.watches().remove(key);
        if let Condition::Agent { region, instance } = condition {
            self.account.place(region).instances.forget(instance);
        }
        let Some(Watch { begun, due, unseen }) = watch else {
            return;
        };
        // One that held at once may have done so for long, one of an earlier process has
        // begun before.
        if !self.is_first() || (unseen.is_none() && self.is_at_once(begun, due)) {
            return;
        }
        let unseen = unseen.map_or(Duration::ZERO, |unseen| between(begun, unseen));
        let waits = self.waits(condition);
        let seen = between(begun, self.clock.now());
        self.waiter.note(&waits, unseen, seen);
        let window = (unseen.as_secs_f64(), seen.as_secs_f64());
        self.firsts().entry(waits.name()).or_insert(window);
    }

    /// Whether something was looked at as soon as it was waited for.
    fn is_at_once(&self, begun: Timestamp, due: Timestamp) -> bool {
        between(begun, due) < self.pace.first / 4
    }

    fn firsts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Window>> {
        self.firsts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watches(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits<'a>(&self, condition: &'a Condition) -> Waits<'a> {
        let now = self.clock.now();
        let (kind, region, waiting) = match condition {
            Condition::Up { region, .. } => {
                let waiting = self.account.place(region).instances.waiting(now);
                ("start", region, waiting)
            }
            Condition::Instance { region, status, .. } => {
                let waiting = self.account.place(region).instances.waiting(now);
                let stop = *status == InstanceStatus::Stopped;
                (if stop { "stop" } else { "start" }, region, waiting)
            }
            Condition::Agent { region, .. } => {
                let waiting = self.account.place(region).agents.waiting(now);
                ("agent", region, waiting)
            }
            Condition::Invocation { region, .. } => {
                let waiting = self.account.place(region).commands.waiting(now);
                ("command", region, waiting)
            }
            Condition::Image { region, .. } => {
                let waiting = self.account.place(region).images.waiting(now);
                ("image", region, waiting)
            }
            Condition::Network { region, .. } => ("network", region, 1),
            Condition::InstancesGone { region, .. } => ("gone", region, 1),
        };
        // What a step says is shown while it runs.
        let shown = matches!(condition, Condition::Invocation { step, .. } if !step.is_empty());
        let waits = Waits {
            kind,
            region,
            waiting,
            longest: if shown {
                self.pace.most
            } else {
                self.pace.longest
            },
            first: None,
        };
        let first = self.firsts().get(&waits.name()).copied();
        Waits { first, ..waits }
    }

    fn expect(&self, condition: &Condition, due: Timestamp) {
        match condition {
            Condition::Up { region, instance }
            | Condition::Instance {
                region, instance, ..
            } => {
                let place = self.account.place(region);
                place.instances.expect(instance.clone(), due);
            }
            Condition::Agent { region, instance } => {
                let place = self.account.place(region);
                place.agents.expect(instance.clone(), due);
                place.instances.expect(instance.clone(), due);
            }
            Condition::Image { region, image } => {
                let place = self.account.place(region);
                place.images.expect(image.clone(), due);
            }
            Condition::Invocation {
                region,
                instance,
                invoke,
                ..
            } => {
                let place = self.account.place(region);
                let key = (invoke.clone(), instance.clone());
                place.commands.expect(key, due);
            }
            Condition::Network { .. } | Condition::InstancesGone { .. } => {}
        }
    }

    fn admitted(&self) -> BoxFuture<'_, ()> {
        self.waiter.admit(&self.account, &self.pace).boxed()
    }

    /// Counts a poll that can't be shared.
    pub(super) async fn admit(&self) {
        self.waiter.admit(&self.account, &self.pace).await;
    }

    /// An instance, as it was at `since` or later.
    pub(super) async fn look_at_instance(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        since: Timestamp,
    ) -> Answer<Option<Instance>> {
        let place = self.account.place(region);
        let ask = |ids| self.ask_instances(region, ids).boxed();
        let clock = &*self.clock;
        let found = place
            .instances
            .look(instance, since, clock, || self.admitted(), ask)
            .await?;
        if let Some(found) = &found {
            self.saw_instance(region, found, since)?;
        }
        Ok(found)
    }

    async fn ask_instances(
        &self,
        region: &RegionId,
        ids: Vec<InstanceId>,
    ) -> Answer<BTreeMap<InstanceId, Instance>> {
        let action = DescribeInstances {
            region_id: region.clone(),
            max_results: Some(100),
            instance_ids: Some(JsonList(ids)),
            ..DescribeInstances::default()
        };
        let found = self.call(region, &action).await?.instances.instance;
        let named = found.into_iter().map(|one| (one.instance_id.clone(), one));
        Ok(named.collect())
    }

    /// Whether the agent of an instance lives.
    pub(super) async fn look_at_agent(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        since: Timestamp,
    ) -> Answer<bool> {
        let place = self.account.place(region);
        let ask = |ids| self.ask_agents(region, ids).boxed();
        let clock = &*self.clock;
        let found = place
            .agents
            .look(instance, since, clock, || self.admitted(), ask)
            .await?;
        Ok(found.unwrap_or(false))
    }

    async fn ask_agents(
        &self,
        region: &RegionId,
        ids: Vec<InstanceId>,
    ) -> Answer<BTreeMap<InstanceId, bool>> {
        let action = DescribeCloudAssistantStatus {
            region_id: region.clone(),
            instance_id: ids,
            max_results: Some(50),
            ..DescribeCloudAssistantStatus::default()
        };
        let answer = self.call(region, &action).await?;
        let set = answer.instance_cloud_assistant_status_set;
        let agents = set.instance_cloud_assistant_status.into_iter();
        Ok(agents
            .map(|one| (one.instance_id, one.cloud_assistant_status.0))
            .collect())
    }

    /// An image, as it was at `since` or later.
    pub(super) async fn look_at_image(
        &self,
        region: &RegionId,
        image: &ImageId,
        since: Timestamp,
    ) -> Answer<Option<Image>> {
        let place = self.account.place(region);
        let ask = |ids| self.ask_images(region, ids).boxed();
        let clock = &*self.clock;
        let found = place
            .images
            .look(image, since, clock, || self.admitted(), ask)
            .await?;
        if let Some(found) = &found {
            self.saw_image(found, since)?;
        }
        Ok(found)
    }

    /// What a call would answer that reads nothing but an image which was looked at a
    /// moment ago.
    pub(super) fn seen_image(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
    ) -> Option<Value> {
        if action != DescribeImages::NAME {
            return None;
        }
        let asked: DescribeImages = from_params(params).ok()?;
        let CommaList(images) = asked.image_id.clone()?;
        let [image] = images.as_slice() else {
            return None;
        };
        let plain = DescribeImages {
            region_id: region.clone(),
            image_id: asked.image_id.clone(),
            ..DescribeImages::default()
        };
        if asked != plain {
            return None;
        }
        let since = earlier(self.clock.now(), self.pace.first);
        let place = self.account.place(region);
        let found = place.images.lately(image, since)?;
        // Without a status it finds no others.
        let found = Some(found).filter(|found| found.status == ImageStatus::Available)?;
        let answer = DescribeImagesResponse {
            images: Images { image: vec![found] },
            ..DescribeImagesResponse::default()
        };
        serde_json::to_value(answer).ok()
    }

    async fn ask_images(
        &self,
        region: &RegionId,
        ids: Vec<ImageId>,
    ) -> Answer<BTreeMap<ImageId, Image>> {
        let action = DescribeImages {
            region_id: region.clone(),
            image_id: Some(CommaList(ids)),
            status: Some(every_status()),
            page_size: Some(100),
            ..DescribeImages::default()
        };
        let found = self.call(region, &action).await?.images.image;
        let named = found.into_iter().map(|one| (one.image_id.clone(), one));
        Ok(named.collect())
    }

    /// What is known of a command; none where it has ended, or the cloud doesn't list it
    /// yet: then it is asked for alone.
    pub(super) async fn look_at_command(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        invoke: &InvokeId,
        since: Timestamp,
    ) -> Answer<Option<Command>> {
        let place = self.account.place(region);
        let ask = |keys| self.ask_commands(region, keys).boxed();
        let key = (invoke.clone(), instance.clone());
        let clock = &*self.clock;
        place
            .commands
            .look(&key, since, clock, || self.admitted(), ask)
            .await
    }

    /// One is asked for with its output. Of several those are listed that run, by the tag
    /// that every command of Darkroom has, without output.
    async fn ask_commands(
        &self,
        region: &RegionId,
        keys: Vec<(InvokeId, InstanceId)>,
    ) -> Answer<BTreeMap<(InvokeId, InstanceId), Command>> {
        if let [(invoke, instance)] = keys.as_slice() {
            let found = self.result(region, instance, invoke).await?;
            let alone = found.map(|one| Command::Alone(Box::new(one)));
            return Ok(keys.into_iter().zip(alone).collect());
        }
        let mut running = std::collections::BTreeSet::new();
        let mut next = None;
        for page in 0..PAGES {
            if page > 0 {
                self.admit().await;
            }
            let action = DescribeInvocations {
                region_id: region.clone(),
                invoke_status: Some(RUNNING.into()),
                tag: vec![tags::tag(tags::RUN, "")],
                max_results: u32::try_from(COMMANDS).ok(),
                next_token: next.take(),
                ..DescribeInvocations::default()
            };
            let answer = self.call(region, &action).await?;
            let listed = answer.invocations.invocation.into_iter();
            running.extend(listed.map(|one| one.invoke_id));
            if answer.next_token.is_empty() {
                break;
            }
            next = Some(answer.next_token);
        }
        let keys = keys
            .into_iter()
            .filter(|(invoke, _)| running.contains(invoke));
        Ok(keys.map(|key| (key, Command::Running)).collect())
    }

    /// Waits until instances are gone that are being deleted, at most `limit`; answers
    /// those that are left.
    pub(super) async fn until_gone(
        &self,
        region: &RegionId,
        instances: Vec<InstanceId>,
        limit: SignedDuration,
    ) -> Answer<Vec<InstanceId>> {
        let begun = self.clock.now();
        let place = self.account.place(region);
        let waits = || Waits {
            kind: "gone",
            region,
            waiting: place.instances.waiting(self.clock.now()),
            longest: self.pace.longest,
            first: None,
        };
        let mut left = instances;
        let mut unseen = Duration::ZERO;
        let mut due = self.waiter.first(&self.account, &self.pace, &waits());
        while let Some(instance) = left.first() {
            // The run's others too: they are deleted next.
            let others = self.own_instances(region).into_iter();
            for one in others.chain([instance.clone()]) {
                place.instances.expect(one, due);
            }
            self.clock.sleep_until(due).await;
            let found = self.look_at_instance(region, instance, due).await?;
            let seen = between(begun, self.clock.now());
            if found.is_none() {
                if !self.is_at_once(begun, due) {
                    self.waiter.note(&waits(), unseen, seen);
                }
                left.remove(0);
            } else if self.clock.now().duration_since(begun) >= limit {
                break;
            } else {
                unseen = seen;
                due = self.waiter.next(&self.account, &self.pace, &waits(), begun);
            }
        }
        Ok(left)
    }
}
