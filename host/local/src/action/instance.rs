//! Instances that are there: list, start, stop, reboot, delete, release time.

use darkroom_ecs::action::{
    DeleteInstance, DeleteInstanceResponse, DescribeInstances, DescribeInstancesResponse, Instance,
    InstanceSecurityGroups, InstanceStatus, Instances, IpAddresses, ModifyInstanceAutoReleaseTime,
    ModifyInstanceAutoReleaseTimeResponse, RebootInstance, RebootInstanceResponse, StartInstance,
    StartInstanceResponse, StopInstance, StopInstanceResponse, VpcAttributes,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, InstanceId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Transaction;

use super::page::{self, Paging};
use super::words::{fits, maybe_seconds, minutes, parse_time, shown_tags, tagged};
use super::{Context, Serve, in_region};
use crate::catalogue;
use crate::driver::Observed;
use crate::fault::Fault;
use crate::jobs::{self, promise_delete};
use crate::state::jobs::{self as job_rows, Job, Task};
use crate::state::lookup::{self, Look};
use crate::state::rows::{self, InstanceRow, Placed};

/// A release time must be this far ahead.
const SOONEST_RELEASE: SignedDuration = SignedDuration::from_mins(30);

/// The account's instance of this id.
pub(super) fn mine(
    tx: &Transaction<'_>,
    account: &AccountId,
    id: &InstanceId,
) -> Result<InstanceRow, Fault> {
    let found = rows::get::<InstanceRow>(tx, id.as_str())?;
    found.filter(|row| row.account == *account).ok_or_else(|| {
        Fault::missing(
            ErrorCode::InvalidInstanceIdNotFound,
            format!("The specified InstanceId {id} does not exist."),
        )
    })
}

/// Reads a release time; empty: none.
pub(super) fn release_time(text: &str, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = |why: &str| {
        Fault::bad(
            ErrorCode::InvalidAutoReleaseTimeMalformed,
            format!("The specified AutoReleaseTime is not valid: {why}."),
        )
    };
    let moment =
        parse_time(text).ok_or_else(|| malformed("it is not like 2026-01-02T03:04:05Z"))?;
    // The seconds of a wish are not looked at on Alibaba Cloud.
    if moment.duration_since(now) < SOONEST_RELEASE - SignedDuration::from_mins(1) {
        return Err(malformed("it must be at least 30 minutes from now"));
    }
    Ok(Some(moment))
}

impl Serve for DescribeInstances {
    async fn serve(self, cx: &Context) -> Result<DescribeInstancesResponse, Fault> {
        if !self.filter.is_empty() {
            return Err(Fault::unsupported("Filter.N"));
        }
        if self
            .instance_ids
            .as_ref()
            .is_some_and(|list| list.0.len() > 100)
        {
            return Err(Fault::bad(
                ErrorCode::InvalidInstanceIdsMalformed,
                "The specified InstanceIds are too many: at most 100.",
            ));
        }
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        let mut found = Vec::new();
        for mut placed in list(cx, &self).await? {
            placed.row.status = cx.cloud.look_at(&placed.row).await?;
            if self
                .status
                .as_ref()
                .is_none_or(|wanted| *wanted == placed.row.status)
            {
                found.push(placed);
            }
        }
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token,
            least: 10,
            most: 100,
        };
        let page = page::cut(found, &paging)?;
        Ok(DescribeInstancesResponse {
            instances: Instances {
                instance: page.rows.into_iter().map(shown).collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeInstancesResponse::default()
        })
    }
}

/// The rows that a request asks for, whatever their status.
async fn list(cx: &Context, asked: &DescribeInstances) -> Result<Vec<Placed<InstanceRow>>, Fault> {
    let (region, account) = (asked.region_id.clone(), cx.account.clone());
    let image = asked.image_id.as_ref();
    let look = Look::default()
        .ids(asked.instance_ids.iter().flat_map(|list| &list.0))
        .tags(&asked.tag)
        .key(
            "vswitch",
            asked.vswitch_id.as_ref().map(ToString::to_string),
        )
        .key(
            "group",
            asked.security_group_id.as_ref().map(ToString::to_string),
        )
        .key(
            "image",
            image.map(|id| lookup::image_of(&asked.region_id, &id.as_str())),
        );
    let mut found = cx
        .cloud
        .store
        .read(move |tx| lookup::find::<InstanceRow>(tx, &region, Some(&account), &look))
        .await?;
    found.retain(|placed| {
        let row = &placed.row;
        let listed = asked.instance_ids.as_ref();
        listed.is_none_or(|list| list.0.is_empty() || list.0.contains(&row.id))
            && asked
                .instance_name
                .as_ref()
                .is_none_or(|name| fits(name, &row.name))
            && asked.image_id.as_ref().is_none_or(|id| *id == row.image)
            && asked
                .instance_type
                .as_ref()
                .is_none_or(|id| *id == row.instance_type)
            && asked
                .instance_charge_type
                .as_ref()
                .is_none_or(|kind| kind == "PostPaid")
            && asked
                .instance_network_type
                .as_ref()
                .is_none_or(|kind| kind == "vpc")
            && asked.vpc_id.as_ref().is_none_or(|id| *id == row.vpc)
            && asked
                .vswitch_id
                .as_ref()
                .is_none_or(|id| *id == row.vswitch)
            && asked.zone_id.as_ref().is_none_or(|id| *id == row.zone)
            && asked
                .security_group_id
                .as_ref()
                .is_none_or(|id| row.security_groups.contains(id))
            && tagged(&row.tags, &asked.tag)
    });
    Ok(found)
}

fn shown(row: InstanceRow) -> Instance {
    let kind = catalogue::instance_type(&row.instance_type);
    let memory = kind.map_or(0, |kind| kind.memory_mib);
    let stopped = row.status == InstanceStatus::Stopped;
    Instance {
        instance_name: row.name,
        host_name: row.host_name,
        description: row.description,
        stopped_mode: if stopped {
            "KeepCharging"
        } else {
            "Not-applicable"
        }
        .to_owned(),
        status: row.status,
        region_id: row.region,
        zone_id: row.zone,
        image_id: row.image,
        instance_type_family: kind.map_or_else(String::new, |kind| kind.family.to_owned()),
        cpu: kind.map_or(0, |kind| kind.cpu),
        memory: u32::try_from(memory).unwrap_or(u32::MAX),
        instance_type: row.instance_type,
        os_type: "linux".to_owned(),
        os_name: row.os_name,
        instance_charge_type: "PostPaid".to_owned(),
        instance_network_type: "vpc".to_owned(),
        internet_charge_type: "PayByTraffic".to_owned(),
        internet_max_bandwidth_in: i32::try_from(row.bandwidth_out).unwrap_or(i32::MAX),
        internet_max_bandwidth_out: i32::try_from(row.bandwidth_out).unwrap_or(i32::MAX),
        spot_strategy: row.spot_strategy,
        deletion_protection: row.deletion_protection,
        creation_time: minutes(row.created_at),
        start_time: row.started_at.map_or_else(String::new, minutes),
        auto_release_time: maybe_seconds(row.auto_release_at),
        expired_time: "2099-12-31T15:59Z".to_owned(),
        vpc_attributes: VpcAttributes {
            vpc_id: row.vpc,
            vswitch_id: row.vswitch,
            private_ip_address: IpAddresses {
                ip_address: vec![row.private_ip.to_string()],
            },
        },
        public_ip_address: IpAddresses {
            ip_address: row.public_ip.iter().map(ToString::to_string).collect(),
        },
        security_group_ids: InstanceSecurityGroups {
            security_group_id: row.security_groups,
        },
        tags: shown_tags(&row.tags),
        instance_id: row.id,
        ..Instance::default()
    }
}

fn wrong_status(row: &InstanceRow, needed: &str) -> Fault {
    Fault::forbidden(
        ErrorCode::IncorrectInstanceStatus,
        format!(
            "The current status of the resource does not support this operation: {} is {}, it must be {needed}.",
            row.id, row.status
        ),
    )
}

/// Brings the row's status up to date first: the machine may have gone down by itself.
async fn look(cx: &Context, id: &InstanceId) -> Result<(), Fault> {
    let (account, id) = (cx.account.clone(), id.clone());
    let row = cx
        .cloud
        .store
        .read(move |tx| mine(tx, &account, &id))
        .await?;
    cx.cloud.look_at(&row).await?;
    Ok(())
}

/// Checks an instance's status, puts it into another one and promises a job.
async fn promise(
    cx: &Context,
    id: &InstanceId,
    needed: InstanceStatus,
    next: InstanceStatus,
    dry_run: Option<bool>,
    task: Task,
) -> Result<(), Fault> {
    look(cx, id).await?;
    let (account, id, now) = (cx.account.clone(), id.clone(), cx.now);
    let number = cx
        .cloud
        .store
        .write(move |tx| {
            let mut row = mine(tx, &account, &id)?;
            if row.status != needed {
                return Err(wrong_status(&row, needed.as_str()));
            }
            let jobs = job_rows::of(tx, id.as_str())?;
            if jobs
                .iter()
                .any(|(_, job)| matches!(job.task, Task::Delete { .. }))
            {
                return Err(wrong_status(&row, "kept, and it is being deleted"));
            }
            if dry_run == Some(true) {
                return Err(Fault::dry_run());
            }
            row.status = next;
            rows::put(tx, &row)?;
            let created_at = now;
            Ok(job_rows::add(tx, &Job { task, created_at })?)
        })
        .await?;
    jobs::begin(&cx.cloud, number);
    Ok(())
}

impl Serve for StartInstance {
    async fn serve(self, cx: &Context) -> Result<StartInstanceResponse, Fault> {
        let task = Task::Start {
            instance: self.instance_id.clone(),
            fresh: false,
        };
        let (needed, next) = (InstanceStatus::Stopped, InstanceStatus::Starting);
        promise(cx, &self.instance_id, needed, next, self.dry_run, task).await?;
        Ok(StartInstanceResponse::default())
    }
}

impl Serve for StopInstance {
    async fn serve(self, cx: &Context) -> Result<StopInstanceResponse, Fault> {
        let modes = ["KeepCharging", "StopCharging", ""];
        if self
            .stopped_mode
            .as_ref()
            .is_some_and(|mode| !modes.contains(&mode.as_str()))
        {
            return Err(Fault::invalid(
                "StoppedMode",
                "it must be KeepCharging or StopCharging",
            ));
        }
        let task = Task::Stop {
            instance: self.instance_id.clone(),
            force: self.force_stop.unwrap_or(false),
        };
        let (needed, next) = (InstanceStatus::Running, InstanceStatus::Stopping);
        promise(cx, &self.instance_id, needed, next, self.dry_run, task).await?;
        Ok(StopInstanceResponse::default())
    }
}

impl Serve for RebootInstance {
    async fn serve(self, cx: &Context) -> Result<RebootInstanceResponse, Fault> {
        let (account, id) = (cx.account.clone(), self.instance_id.clone());
        cx.cloud
            .store
            .read(move |tx| mine(tx, &account, &id))
            .await?;
        // The job compares with it, so that a reboot is done once.
        let before = match cx.cloud.driver.observe(&self.instance_id).await? {
            Observed::Running { boot_id, .. } => Some(boot_id),
            Observed::Stopped | Observed::Gone => None,
        };
        let task = Task::Reboot {
            instance: self.instance_id.clone(),
            force: self.force_stop.unwrap_or(false),
            before,
        };
        let (needed, next) = (InstanceStatus::Running, InstanceStatus::Starting);
        promise(cx, &self.instance_id, needed, next, self.dry_run, task).await?;
        Ok(RebootInstanceResponse::default())
    }
}

impl Serve for DeleteInstance {
    async fn serve(self, cx: &Context) -> Result<DeleteInstanceResponse, Fault> {
        look(cx, &self.instance_id).await?;
        let (account, now) = (cx.account.clone(), cx.now);
        let number = cx
            .cloud
            .store
            .write(move |tx| {
                let row = mine(tx, &account, &self.instance_id)?;
                check_deletable(tx, &row, self.force.unwrap_or(false))?;
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                Ok(promise_delete(tx, &row.id, now)?)
            })
            .await?;
        if let Some(number) = number {
            jobs::begin(&cx.cloud, number);
        }
        Ok(DeleteInstanceResponse::default())
    }
}

fn check_deletable(tx: &Transaction<'_>, row: &InstanceRow, force: bool) -> Result<(), Fault> {
    let jobs = job_rows::of(tx, row.id.as_str())?;
    if jobs
        .iter()
        .any(|(_, job)| matches!(job.task, Task::Delete { .. }))
    {
        return Ok(());
    }
    if row.deletion_protection {
        return Err(Fault::forbidden(
            ErrorCode::InvalidOperationDeletionProtection,
            "The operation is not allowed due to deletion protection.",
        ));
    }
    match row.status {
        InstanceStatus::Stopped => Ok(()),
        InstanceStatus::Running | InstanceStatus::Stopping if force => Ok(()),
        InstanceStatus::Pending | InstanceStatus::Starting => Err(Fault::forbidden(
            ErrorCode::IncorrectInstanceStatusInitializing,
            "The specified instance status does not support this operation: it is initializing.",
        )),
        _ => Err(wrong_status(row, "Stopped, or Force must be true")),
    }
}

impl Serve for ModifyInstanceAutoReleaseTime {
    async fn serve(self, cx: &Context) -> Result<ModifyInstanceAutoReleaseTimeResponse, Fault> {
        let text = self.auto_release_time.unwrap_or_default();
        let moment = release_time(&text, cx.now)?;
        let account = cx.account.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let mut row = mine(tx, &account, &self.instance_id)?;
                if !in_region(&row.region, &self.region_id) {
                    return Err(Fault::missing(
                        ErrorCode::InvalidInstanceIdNotFound,
                        "The specified InstanceId does not exist in this region.",
                    ));
                }
                row.auto_release_at = moment;
                Ok(rows::put(tx, &row)?)
            })
            .await?;
        cx.cloud.release_set.notify_waiters();
        Ok(ModifyInstanceAutoReleaseTimeResponse::default())
    }
}
