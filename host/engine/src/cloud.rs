//! Carries out operations and looks at conditions: the only place of the engine that
//! calls the cloud.
//!
//! The journal calls it with an operation and an attempt; it answers with the cloud's
//! answer. It decides nothing about the pipeline and keeps no state but since when each
//! condition has been waited for; when it is looked at is the process's waiter's.

mod again;
mod claim;
pub(crate) mod files;
mod find;
mod invocation;
mod launches;
mod look;
mod network;
mod undo;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use darkroom_ecs::action::{
    self, Action, CommaList, DescribeImages, DescribeInstances, Image, ImageStatus, Instance,
    InstanceStatus, JsonList, VERSION,
};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::{ImageId, InstanceId, RegionId, VpcId};
use darkroom_ecs::params::{Params, to_params};
use darkroom_journal::{Attempt, Class, Clock, Failure, Poll, RunId, World};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::effects;
use crate::event::Events;
use crate::folder::RunFolder;
use crate::operation::{Condition, Operation};
use crate::secret::Vault;
use crate::survey;
use crate::trouble::{Trouble, of_call};
use crate::waiter::{Account, Waiter, Window, earlier};
use claim::Claim;
use launches::Launches;
use undo::Snapshots;

/// How often the cloud is asked about something that takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The first interval where nothing is known of how long something takes; half of it
    /// is the shortest there is.
    pub first: Duration,
    /// The longest interval where somebody may look on, such as at a step's output.
    pub most: Duration,
    /// The longest interval, however sure it is how long something takes.
    pub longest: Duration,
    /// What a look is worth in waiting, see `host/engine/src/waiter/policy.rs`.
    pub price: Duration,
    /// How many polls a second an account may make, over all runs of the process.
    pub rate: u32,
    /// How long the agent of a new instance may take to answer, before it is taken to be
    /// missing and installed.
    pub agent: Duration,
    /// How long nobody else may clear a run away whose process has died. It is renewed
    /// when half of it is gone.
    pub lease: Duration,
}

impl Pace {
    /// For a cloud on this machine.
    pub const LOCAL: Self = Self {
        first: Duration::from_millis(20),
        most: Duration::from_millis(500),
        longest: Duration::from_secs(4),
        price: Duration::from_micros(1500),
        rate: 500,
        agent: Duration::from_mins(2),
        lease: Duration::from_secs(30),
    };

    /// For Alibaba Cloud, whose API calls are counted.
    pub const REMOTE: Self = Self {
        first: Duration::from_secs(1),
        most: Duration::from_secs(10),
        longest: Duration::from_secs(20),
        price: Duration::from_millis(100),
        rate: 3,
        agent: Duration::from_mins(3),
        // Half of it is more than clocks may differ by: the cloud refuses what is signed
        // a quarter of an hour too early or too late.
        lease: Duration::from_mins(45),
    };

    /// The interval after `polls` polls of something that nobody else waits for: each time
    /// half as long again.
    pub fn interval(self, polls: u32) -> Duration {
        let factor = 1.5_f64.powi(i32::try_from(polls.min(64)).unwrap_or(64));
        self.first.mul_f64(factor.min(1e6)).min(self.most)
    }
}

/// The world of a run: the cloud that it builds in and the folder that it keeps.
pub struct Cloud {
    run: RunId,
    client: Arc<Client>,
    folder: RunFolder,
    events: Events,
    clock: Arc<dyn Clock>,
    pace: Pace,
    waiter: Arc<Waiter>,
    account: Arc<Account>,
    watches: Mutex<BTreeMap<String, look::Watch>>,
    /// How the run's first transition of each kind went.
    firsts: Mutex<BTreeMap<String, Window>>,
    /// Instances whose deletion this process has asked for and not seen the end of, by
    /// region and purpose.
    released: Mutex<BTreeMap<(RegionId, String), Vec<InstanceId>>>,
    launches: Mutex<Launches>,
    /// The ranges of VPCs that are available.
    ranges: Mutex<BTreeMap<VpcId, String>>,
    vault: OnceLock<Arc<Vault>>,
    /// What was shown last of each running step's output, and when it was asked for.
    shown: Mutex<BTreeMap<String, (Timestamp, String)>>,
    claim: Claim,
}

type Outcome = Result<Value, Failure<Trouble>>;

impl Cloud {
    /// The world of one run.
    pub(crate) fn new(
        run: RunId,
        client: Arc<Client>,
        folder: RunFolder,
        events: Events,
        clock: Arc<dyn Clock>,
        waiter: Arc<Waiter>,
        pace: Pace,
    ) -> Self {
        let account = waiter.account(&client.identity());
        Self {
            run,
            client,
            folder,
            events,
            clock,
            pace,
            waiter,
            account,
            watches: Mutex::default(),
            firsts: Mutex::default(),
            released: Mutex::default(),
            launches: Mutex::default(),
            ranges: Mutex::default(),
            vault: OnceLock::new(),
            shown: Mutex::default(),
            claim: Claim::default(),
        }
    }

    /// Takes the values of the run's secrets, once. A run that only cleans up has none.
    pub fn hold(&self, vault: Arc<Vault>) {
        drop(self.vault.set(vault));
    }

    fn vault(&self) -> &Vault {
        static NONE: LazyLock<Vault> = LazyLock::new(Vault::default);
        self.vault.get().map_or(&NONE, |vault| vault)
    }

    /// A typed call that changes nothing.
    pub(crate) async fn call<A: Action>(
        &self,
        region: &RegionId,
        action: &A,
    ) -> Result<A::Response, Failure<Trouble>> {
        self.client
            .call(region, action)
            .await
            .map_err(|error| of_call(A::NAME, region.as_str(), &error))
    }

    async fn ecs(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
        attempt: &Attempt,
    ) -> Outcome {
        if let Some(seen) = self.seen_image(region, action, params) {
            return Ok(seen);
        }
        let class = effects::of_action(action).unwrap_or(Class::State);
        let mut params = params.clone();
        if class == Class::Token {
            if let Some(found) = self.find(region, action, &params, attempt).await? {
                return Ok(found);
            }
            params.insert("ClientToken", attempt.token.to_string());
            self.marks(action, &mut params, attempt);
        }
        if class == Class::State
            && attempt.repeat.is_some()
            && self.already_so(region, action, &params).await?
        {
            return Ok(json!({}));
        }
        let version = action::info(action).map_or(VERSION, |info| info.version);
        let mut tries = 0;
        loop {
            let called = self.client.call_raw(region, action, version, &params);
            let failure = match called.await {
                Ok(answer) => return Ok(answer),
                Err(error) => of_call(action, region.as_str(), &error),
            };
            if class == Class::State
                && matches!(failure, Failure::Final(_))
                && self.already_so(region, action, &params).await?
            {
                return Ok(json!({}));
            }
            if !self.passes(&failure, tries, again::FORWARD).await {
                return Err(failure);
            }
            tries += 1;
        }
    }

    pub(crate) async fn instance(
        &self,
        region: &RegionId,
        instance: &InstanceId,
    ) -> Result<Option<Instance>, Failure<Trouble>> {
        let action = DescribeInstances {
            region_id: region.clone(),
            instance_ids: Some(JsonList(vec![instance.clone()])),
            ..DescribeInstances::default()
        };
        let answer = self.call(region, &action).await?;
        Ok(answer.instances.instance.into_iter().next())
    }

    pub(crate) async fn image(
        &self,
        region: &RegionId,
        image: &ImageId,
    ) -> Result<Option<Image>, Failure<Trouble>> {
        let action = DescribeImages {
            region_id: region.clone(),
            image_id: Some(CommaList(vec![image.clone()])),
            status: Some(every_status()),
            ..DescribeImages::default()
        };
        let answer = self.call(region, &action).await?;
        Ok(answer.images.image.into_iter().next())
    }

    async fn poll_instance(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        wanted: &InstanceStatus,
        since: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let found = self.look_at_instance(region, instance, since).await?;
        let found = needed(instance, found)?;
        Ok((found.status == *wanted).then_some(Value::Null))
    }

    async fn poll_up(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        since: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let found = self.look_at_instance(region, instance, since).await?;
        Ok(match needed(instance, found)?.status {
            InstanceStatus::Running => Some(Value::Bool(true)),
            InstanceStatus::Stopped => Some(Value::Bool(false)),
            _ => None,
        })
    }

    async fn poll_agent(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        since: Timestamp,
        lately: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        if self.look_at_agent(region, instance, since).await? {
            return Ok(Some(Value::Bool(true)));
        }
        let found = self.look_at_instance(region, instance, lately).await?;
        let stopped = found.is_none_or(|found| found.status == InstanceStatus::Stopped);
        Ok(stopped.then_some(Value::Bool(false)))
    }

    async fn poll_image(
        &self,
        region: &RegionId,
        image: &ImageId,
        since: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let found = self.look_at_image(region, image, since).await?;
        let problem = match found.map(|found| found.status) {
            Some(ImageStatus::Available) => return Ok(Some(Value::Null)),
            Some(ImageStatus::CreateFailed | ImageStatus::UnAvailable) => "its creation failed",
            None => "it is gone",
            Some(_) => return Ok(None),
        };
        Err(Failure::Final(Trouble::State {
            subject: format!("image {image} in {region}"),
            problem: problem.into(),
            hint: None,
        }))
    }

    /// Whether the run's instances for a purpose are gone: those that this process has
    /// deleted, or whatever has the tags.
    async fn poll_gone(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
        since: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let released = {
            let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
            released.get(&(region.clone(), purpose.to_owned())).cloned()
        };
        let Some(released) = released.filter(|_| *run == self.run) else {
            self.admit().await;
            let left = self.instances_of(region, run, purpose).await?;
            return Ok(left.is_empty().then_some(Value::Null));
        };
        for instance in released {
            let left = self.look_at_instance(region, &instance, since).await?;
            if left.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(Value::Null))
    }
}

/// An instance that the run can't do without.
fn needed(instance: &InstanceId, found: Option<Instance>) -> Result<Instance, Failure<Trouble>> {
    found.ok_or_else(|| {
        Failure::Final(Trouble::State {
            subject: format!("instance {instance}"),
            problem: "it is gone".into(),
            hint: Some(
                "somebody deleted it while the run needed it, or it was a spot instance and the cloud took it back: build again, or leave instance.spot out".into(),
            ),
        })
    })
}

/// A poller must name every status: the default is Available only.
pub(crate) fn every_status() -> CommaList<ImageStatus> {
    CommaList(vec![
        ImageStatus::Creating,
        ImageStatus::Waiting,
        ImageStatus::Available,
        ImageStatus::UnAvailable,
        ImageStatus::CreateFailed,
        ImageStatus::Deprecated,
    ])
}

/// The parameters of a request; a fault of ours is final.
pub(crate) fn params_of<A: Action>(action: &A) -> Result<Params, Failure<Trouble>> {
    to_params(action).map_err(|error| Failure::Final(Trouble::internal(A::NAME, &error)))
}

#[async_trait]
impl World for Cloud {
    type Operation = Operation;
    type Condition = Condition;
    type Error = Trouble;

    fn class(&self, operation: &Operation) -> Class {
        effects::of(operation)
    }

    async fn witness(&self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Reboot { before, .. } => Ok(json!(before)),
            _ => Ok(Value::Null),
        }
    }

    async fn enter(&self, _stage: &str) -> Result<(), Failure<Trouble>> {
        self.heed().await
    }

    async fn perform(&self, operation: &Operation, attempt: &Attempt) -> Outcome {
        self.renew().await?;
        match operation {
            Operation::Ecs {
                region,
                action,
                params,
            } => self.make(region, action, params, attempt).await,
            Operation::Now => Ok(json!(self.clock.now())),
            Operation::Survey { query } => {
                let survey = survey::look_for(&self.client, query, &self.run).await?;
                serde_json::to_value(survey)
                    .map_err(|error| Failure::Final(Trouble::internal("Survey", &error)))
            }
            Operation::SendSlice { .. } => self.send_slice(operation, attempt).await,
            Operation::SendSecret { .. } => self.send_secret(operation, attempt).await,
            Operation::Reboot {
                region,
                instance,
                before,
            } => self.reboot(region, instance, before, attempt).await,
            Operation::Call { .. } => Ok(Value::Null),
            Operation::Fetch { .. } => self.fetch(operation, attempt).await,
            Operation::FetchMasked { .. } => self.fetch_masked(operation, attempt).await,
            Operation::ReleaseInstances {
                region,
                run,
                purpose,
            } => self.release_instances(region, run, purpose).await,
            Operation::RemoveNetwork { region, run } => self.remove_network(region, run).await,
            Operation::DiscardImages {
                region,
                run,
                purpose,
            } => {
                self.discard_images(region, run, purpose, Snapshots::Go)
                    .await
            }
            Operation::DiscardImagesOnly {
                region,
                run,
                purpose,
            } => {
                self.discard_images(region, run, purpose, Snapshots::Stay)
                    .await
            }
        }
    }

    async fn poll(&self, condition: &Condition) -> Result<Poll, Failure<Trouble>> {
        self.renew().await?;
        let key = serde_json::to_string(condition).unwrap_or_default();
        let (begun, since) = self.moment(&key, condition).await;
        let answer = match condition {
            Condition::Up { region, instance } => self.poll_up(region, instance, since).await?,
            Condition::Instance {
                region,
                instance,
                status,
            } => self.poll_instance(region, instance, status, since).await?,
            Condition::Agent { region, instance } => {
                // Seldom that it has stopped: not asked for as often as the agent.
                let lately = begun.max(earlier(since, self.pace.most / 2));
                self.poll_agent(region, instance, since, lately).await?
            }
            Condition::Invocation {
                region,
                instance,
                invoke,
                step,
            } => {
                self.poll_invocation(region, instance, invoke, step, since)
                    .await?
            }
            Condition::Image { region, image } => self.poll_image(region, image, since).await?,
            Condition::Network {
                region,
                vpc,
                vswitch,
            } => {
                self.admit().await;
                self.poll_network(region, vpc, vswitch.as_ref()).await?
            }
            Condition::InstancesGone {
                region,
                run,
                purpose,
            } => self.poll_gone(region, run, purpose, since).await?,
        };
        Ok(match answer {
            Some(answer) => {
                self.held(&key, condition);
                Poll::Ready(answer)
            }
            None => Poll::Pending {
                again: self.again(&key, condition),
            },
        })
    }
}
