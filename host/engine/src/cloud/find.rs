//! Looking before acting again: what an earlier attempt may have done already.

use darkroom_ecs::action::{
    Action, CopyImage, CreateImage, CreateSecurityGroup, CreateVSwitch, CreateVpc, DeleteSnapshot,
    DescribeCloudAssistantStatus, DescribeImageSharePermission, DescribeImages, DescribeInstances,
    DescribeSnapshots, InstallCloudAssistant, Instance, InstanceStatus, JsonList,
    ModifyImageAttribute, ModifyImageSharePermission, RunInstances, Tag,
};
use darkroom_ecs::id::{AccountId, ImageId, InstanceId, RegionId, SnapshotId};
use darkroom_ecs::params::{Params, from_params};
use darkroom_journal::{Attempt, Failure, RunId};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Cloud, every_status};
use crate::tags;
use crate::trouble::Trouble;

/// A client token is good for a while; after this long what it made is looked for by
/// its tags, before it is asked for again.
const TOKEN_TRUST: SignedDuration = SignedDuration::from_secs(60);

impl Cloud {
    /// What an earlier attempt with a client token has made, if that is long ago.
    pub(super) async fn find(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
        attempt: &Attempt,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let Some(first) = attempt.repeat else {
            return Ok(None);
        };
        if self.clock.now().duration_since(first) < TOKEN_TRUST {
            return Ok(None);
        }
        match action {
            RunInstances::NAME => {
                let tag = request::<RunInstances>(params)?.tag;
                let found = self.instances_by(region, own(tag)).await?;
                Ok(found
                    .first()
                    .map(|one| json!({ "InstanceIdSets": { "InstanceIdSet": [one.instance_id] } })))
            }
            CreateImage::NAME => {
                let request = request::<CreateImage>(params)?;
                self.image_by(region, request.tag, request.image_name).await
            }
            CopyImage::NAME => {
                let request = request::<CopyImage>(params)?;
                let to = request
                    .destination_region_id
                    .unwrap_or_else(|| region.clone());
                self.image_by(&to, request.tag, request.destination_image_name)
                    .await
            }
            CreateVpc::NAME => self.find_vpc(region, request(params)?).await,
            CreateVSwitch::NAME => self.find_vswitch(region, &request(params)?).await,
            CreateSecurityGroup::NAME => self.find_group(region, request(params)?).await,
            _ => Ok(None),
        }
    }

    /// Whether the state that an action brings about is there already.
    pub(super) async fn already_so(
        &self,
        region: &RegionId,
        action: &str,
        params: &Params,
    ) -> Result<bool, Failure<Trouble>> {
        let instance = params
            .get("InstanceId")
            .and_then(|id| id.parse::<InstanceId>().ok());
        let image = params
            .get("ImageId")
            .and_then(|id| id.parse::<ImageId>().ok());
        match (action, instance, image) {
            ("DeleteInstance", Some(id), _) => Ok(self.instance(region, &id).await?.is_none()),
            ("StartInstance", Some(id), _) => {
                let wanted = [InstanceStatus::Starting, InstanceStatus::Running];
                self.instance_is(region, &id, &wanted).await
            }
            ("StopInstance", Some(id), _) => {
                let wanted = [InstanceStatus::Stopping, InstanceStatus::Stopped];
                self.instance_is(region, &id, &wanted).await
            }
            ("ModifyImageAttribute", _, Some(id)) => {
                let wanted = request::<ModifyImageAttribute>(params)?;
                let Some(status) = wanted.status else {
                    return Ok(false);
                };
                let found = self.image(region, &id).await?;
                Ok(found.is_some_and(|found| found.status.to_string() == status))
            }
            ("DeleteSnapshot", ..) => {
                let id = request::<DeleteSnapshot>(params)?.snapshot_id;
                Ok(!self.has_snapshot(region, &id).await?)
            }
            ("InstallCloudAssistant", ..) => {
                let asked = request::<InstallCloudAssistant>(params)?.instance_id;
                self.have_agents(region, asked).await
            }
            ("DeleteImage", _, Some(id)) => Ok(self.image(region, &id).await?.is_none()),
            ("ModifyImageSharePermission", _, Some(id)) => {
                let wanted = request::<ModifyImageSharePermission>(params)?;
                let action = DescribeImageSharePermission {
                    region_id: region.clone(),
                    image_id: id,
                    page_size: Some(100),
                    ..DescribeImageSharePermission::default()
                };
                let shared = self.call(region, &action).await?.accounts.account;
                let has = |account: &AccountId| shared.iter().any(|one| one.aliyun_id == *account);
                Ok(wanted.add_account.iter().all(has) && !wanted.remove_account.iter().any(has))
            }
            _ => Ok(false),
        }
    }

    /// Whether a snapshot is there.
    pub(super) async fn has_snapshot(
        &self,
        region: &RegionId,
        id: &SnapshotId,
    ) -> Result<bool, Failure<Trouble>> {
        let action = DescribeSnapshots {
            region_id: region.clone(),
            snapshot_ids: Some(JsonList(vec![id.clone()])),
            ..DescribeSnapshots::default()
        };
        let found = self.call(region, &action).await?.snapshots.snapshot;
        Ok(found.iter().any(|one| one.snapshot_id == *id))
    }

    /// Whether the agents of all these instances live.
    pub(super) async fn have_agents(
        &self,
        region: &RegionId,
        instances: Vec<InstanceId>,
    ) -> Result<bool, Failure<Trouble>> {
        let action = DescribeCloudAssistantStatus {
            region_id: region.clone(),
            instance_id: instances.clone(),
            ..DescribeCloudAssistantStatus::default()
        };
        let answer = self.call(region, &action).await?;
        let set = answer.instance_cloud_assistant_status_set;
        let lives = |id: &InstanceId| {
            let mut agents = set.instance_cloud_assistant_status.iter();
            agents.any(|one| one.instance_id == *id && one.cloud_assistant_status.0)
        };
        Ok(instances.iter().all(lives))
    }

    async fn instance_is(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        wanted: &[InstanceStatus],
    ) -> Result<bool, Failure<Trouble>> {
        let found = self.instance(region, instance).await?;
        Ok(found.is_some_and(|found| wanted.contains(&found.status)))
    }

    /// The run's instances for a purpose.
    pub(super) async fn instances_of(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
    ) -> Result<Vec<Instance>, Failure<Trouble>> {
        self.instances_by(region, tags::of(run, purpose)).await
    }

    async fn instances_by(
        &self,
        region: &RegionId,
        tag: Vec<Tag>,
    ) -> Result<Vec<Instance>, Failure<Trouble>> {
        let action = DescribeInstances {
            region_id: region.clone(),
            tag,
            max_results: Some(100),
            ..DescribeInstances::default()
        };
        Ok(self.call(region, &action).await?.instances.instance)
    }

    async fn image_by(
        &self,
        region: &RegionId,
        tag: Vec<Tag>,
        name: Option<String>,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let action = DescribeImages {
            region_id: region.clone(),
            tag: own(tag),
            image_name: name,
            status: Some(every_status()),
            ..DescribeImages::default()
        };
        let found = self.call(region, &action).await?.images.image;
        Ok(found.first().map(|one| json!({ "ImageId": one.image_id })))
    }
}

/// Of a request's tags those that are Darkroom's and name the run and the purpose.
fn own(tags: Vec<Tag>) -> Vec<Tag> {
    tags.into_iter()
        .filter(|tag| tag.key == tags::RUN || tag.key == tags::PURPOSE)
        .collect()
}

fn request<A: Action>(params: &Params) -> Result<A, Failure<Trouble>> {
    from_params(params).map_err(|error| Failure::Final(Trouble::internal(A::NAME, &error)))
}
