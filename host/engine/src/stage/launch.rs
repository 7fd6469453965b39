//! Making an instance that runs and whose agent answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::{DataDisk, RunInstances, SystemDisk};
use darkroom_ecs::client::Class;
use darkroom_ecs::id::{ImageId, InstanceId, SecurityGroupId, VSwitchId};
use darkroom_journal::UndoKey;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::{Work, agent};
use crate::carry::{Target, meet, up};
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::survey::{Candidate, SPOT, Survey};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// How long a run may take without a word of its process. Two hours after that the cloud
/// releases its instances by itself, whatever became of the run.
pub(crate) const DEADLINE: SignedDuration = SignedDuration::from_hours(8);
pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(2);

/// The purpose of the instance that is built on. Only it has the template's data disks:
/// an instance of the new image has them from there.
pub(crate) const BUILD: &str = "build";

/// An instance that a run has made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launched {
    pub instance: InstanceId,
    pub candidate: Candidate,
    /// What undoes it.
    pub undo: UndoKey,
    /// Whether its image had no agent and the run has brought one.
    #[serde(default)]
    pub agent_brought: bool,
}

/// What an instance is made for, and from what.
pub(crate) struct Wish<'a> {
    pub work: &'a Work<'a>,
    pub survey: &'a Survey,
    pub image: &'a ImageId,
    pub purpose: &'a str,
    /// When the cloud deletes it by itself. None: it is only asked whether it would be
    /// granted.
    pub release_at: Option<&'a str>,
    /// What runs in it at its first start.
    pub user_data: Option<String>,
}

impl Wish<'_> {
    /// The request for an instance of a candidate's type.
    fn request(
        &self,
        candidate: &Candidate,
        vswitch: VSwitchId,
        group: SecurityGroupId,
    ) -> RunInstances {
        let work = self.work;
        let instance = &work.checked.resolved.instance;
        let bandwidth = instance.internet.as_ref().map(|internet| internet.value);
        let bandwidth = bandwidth.filter(|bandwidth| *bandwidth > 0);
        RunInstances {
            region_id: work.region.clone(),
            image_id: Some(self.image.clone()),
            instance_type: Some(candidate.instance_type.clone()),
            zone_id: Some(candidate.zone.clone()),
            vswitch_id: Some(vswitch),
            security_group_id: Some(group),
            instance_name: Some(format!("darkroom-{}-{}", work.run, self.purpose)),
            internet_charge_type: bandwidth.map(|_| "PayByTraffic".into()),
            internet_max_bandwidth_out: bandwidth,
            instance_charge_type: Some("PostPaid".into()),
            spot_strategy: instance.spot.then(|| SPOT.into()),
            system_disk: instance.disk.as_ref().map(|disk| SystemDisk {
                size: Some(disk.value.max(self.survey.image.size)),
                ..SystemDisk::default()
            }),
            data_disk: self.data_disks(),
            user_data: self.user_data.as_ref().map(|text| STANDARD.encode(text)),
            auto_release_time: self.release_at.map(ToOwned::to_owned),
            tag: tags::of(&work.run, self.purpose),
            amount: Some(1),
            dry_run: self.release_at.is_none().then_some(true),
            ..RunInstances::default()
        }
    }

    fn data_disks(&self) -> Vec<DataDisk> {
        if self.purpose != BUILD {
            return Vec::new();
        }
        let disks = self.work.checked.resolved.instance.disks.iter();
        let disk = |disk: &darkroom_template::DataDisk| DataDisk {
            size: Some(disk.size.value),
            category: disk.category.as_ref().map(|text| text.value.clone()),
            snapshot_id: disk.snapshot.as_ref().and_then(|id| id.value.parse().ok()),
            delete_with_instance: Some(true),
            ..DataDisk::default()
        };
        disks.map(disk).collect()
    }

    /// The operation that makes an instance of a candidate, in the network that the
    /// template names or in the temporary one.
    pub(crate) async fn operation(
        &self,
        scope: &Scope,
        network: &mut Option<Network>,
        candidate: &Candidate,
    ) -> Result<Operation, Stop> {
        let named = candidate
            .vswitch
            .clone()
            .zip(self.survey.security_group.clone());
        let (vswitch, group) = match (named, network) {
            (Some(named), _) => named,
            (None, Some(network)) => {
                let vswitch = network.vswitch(scope, self.work, &candidate.zone).await?;
                (vswitch, network.security_group.clone())
            }
            (None, None) => {
                return Err(Stop::Failed(Trouble::Internal {
                    subject: "network".into(),
                    problem: "none is named and none was made".into(),
                }));
            }
        };
        let request = self.request(candidate, vswitch, group);
        Operation::ecs(&self.work.region, &request).map_err(Stop::Failed)
    }

    /// Makes an instance, trying one candidate after the other where there is no stock,
    /// and waits until it runs.
    pub(crate) async fn make(
        &self,
        scope: &Scope,
        network: &mut Option<Network>,
    ) -> Result<Launched, Stop> {
        let work = self.work;
        let mut last = None;
        for (index, candidate) in self.survey.candidates.iter().enumerate() {
            let scope = scope.scope(&format!("alternative {}", index + 1));
            let operation = self.operation(&scope, network, candidate).await?;
            let undo = Operation::ReleaseInstances {
                region: work.region.clone(),
                run: work.run.clone(),
                purpose: self.purpose.into(),
            };
            match scope.run_undoable(operation, undo).await {
                Ok((value, undo)) => {
                    let answer = answer::<RunInstances>(value)?;
                    let instance = first_of(answer.instance_id_sets.instance_id_set)?;
                    darkroom_failpoint::reach("engine.launched").await;
                    // One that has stopped on the way is started again like any other.
                    let target = target(work, &instance);
                    up(&scope, &target)
                        .await
                        .map_err(|stop| boot(&target, stop))?;
                    return Ok(Launched {
                        instance,
                        candidate: candidate.clone(),
                        undo,
                        agent_brought: false,
                    });
                }
                Err(Stop::Failed(trouble)) if is_out_of_stock(&trouble) => {
                    work.events.tell(Kind::Message {
                        path: self.purpose.into(),
                        level: Level::Warning,
                        text: format!(
                            "{} is out of stock in {} ({})",
                            candidate.instance_type,
                            candidate.zone,
                            trouble.code().unwrap_or_default()
                        ),
                    });
                    last = Some(trouble);
                }
                Err(stop) => return Err(stop),
            }
        }
        Err(Stop::Failed(last.unwrap_or_else(|| Trouble::State {
            subject: "instance".into(),
            problem: "there is no place for it".into(),
            hint: None,
        })))
    }
}

/// Makes an instance for `purpose` from `image` and waits until its agent answers. Where
/// the image has none it is brought.
pub(crate) async fn launch(
    scope: &Scope,
    work: &Work<'_>,
    survey: &Survey,
    network: &mut Option<Network>,
    image: &ImageId,
    purpose: &str,
) -> Result<Launched, Stop> {
    let release_at = release_at(&scope.run(Operation::Now).await?);
    let wish = Wish {
        work,
        survey,
        image,
        purpose,
        release_at: Some(&release_at),
        user_data: None,
    };
    let launched = wish.make(scope, network).await?;
    let target = target(work, &launched.instance);
    let met = meet(scope, &target, work.patience).await;
    if met.map_err(|stop| boot(&target, stop))? {
        return Ok(launched);
    }
    // Seldom needed, and large: not in every launch's own future.
    Box::pin(agent::bring(&scope.scope("agent"), wish, network, launched)).await
}

/// A failure of an instance that was made: its image may be the reason.
pub(super) fn boot(target: &Target, stop: Stop) -> Stop {
    match stop {
        Stop::Failed(trouble @ (Trouble::State { .. } | Trouble::TooLong { .. })) => {
            Stop::Failed(Trouble::Boot {
                instance: target.instance.to_string(),
                problem: trouble.to_string(),
                hint: trouble.hint(),
            })
        }
        stop => stop,
    }
}

/// An instance of this run.
pub(super) fn target(work: &Work<'_>, instance: &InstanceId) -> Target {
    Target {
        region: work.region.clone(),
        instance: instance.clone(),
        run: work.run.clone(),
    }
}

fn first_of(instances: Vec<InstanceId>) -> Result<InstanceId, Stop> {
    instances.into_iter().next().ok_or_else(|| {
        Stop::Failed(Trouble::State {
            subject: "RunInstances".into(),
            problem: "it answered no instance".into(),
            hint: None,
        })
    })
}

/// Whether another type or zone may have what this one has not.
pub(super) fn is_out_of_stock(trouble: &Trouble) -> bool {
    trouble.class() == Class::NoStock
}

/// When the cloud releases what is made now.
fn release_at(now: &serde_json::Value) -> String {
    let now: Timestamp = now
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    in_cloud_form(now.checked_add(DEADLINE + GRACE).unwrap_or(now))
}

/// A time as the cloud writes it, to the second.
pub(crate) fn in_cloud_form(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How long a stop may take.
pub(crate) const STOP: Duration = Duration::from_mins(10);
