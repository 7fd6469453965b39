//! Temporary networks: whether they are there, and their end.
//!
//! A VPC can be deleted when its vSwitches and security groups are gone, and these when
//! no instance is left in them; for a while after that the cloud refuses it still. So
//! each is tried again until nothing depends on it.

use std::sync::PoisonError;

use darkroom_ecs::action::{
    CreateSecurityGroup, CreateVSwitch, CreateVpc, DeleteSecurityGroup, DeleteVSwitch, DeleteVpc,
    DescribeSecurityGroups, DescribeVSwitches, DescribeVpcs, Tag, VSwitch,
};
use darkroom_ecs::id::{RegionId, VSwitchId, VpcId};
use darkroom_journal::{Failure, RunId};
use serde_json::{Value, json};

use super::Cloud;
use super::again::BACK;
use super::undo::ignore_missing;
use crate::tags;
use crate::trouble::Trouble;

type Outcome<T> = Result<T, Failure<Trouble>>;

impl Cloud {
    /// The range of a VPC that is available, with the vSwitch if one is asked for.
    pub(super) async fn poll_network(
        &self,
        region: &RegionId,
        vpc: &VpcId,
        vswitch: Option<&VSwitchId>,
    ) -> Outcome<Option<Value>> {
        let Some(range) = self.range(region, vpc).await? else {
            return Ok(None);
        };
        if let Some(wanted) = vswitch {
            let inside = self.vswitches_of(region, vpc).await?;
            let there = |one: &VSwitch| one.vswitch_id == *wanted && one.status == "Available";
            if !inside.iter().any(there) {
                return Ok(None);
            }
        }
        Ok(Some(json!(range)))
    }

    /// The range of a VPC, once it is available. That it stays.
    async fn range(&self, region: &RegionId, vpc: &VpcId) -> Outcome<Option<String>> {
        let ranges = || self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ranges().get(vpc) {
            return Ok(Some(known.clone()));
        }
        let action = DescribeVpcs {
            region_id: region.clone(),
            vpc_id: Some(vpc.to_string()),
            ..DescribeVpcs::default()
        };
        let found = self.call(region, &action).await?.vpcs.vpc;
        let mut found = found.into_iter().filter(|one| one.status == "Available");
        let range = found.next().map(|one| one.cidr_block);
        if let Some(range) = &range {
            ranges().insert(vpc.clone(), range.clone());
        }
        Ok(range)
    }

    async fn vswitches_of(&self, region: &RegionId, vpc: &VpcId) -> Outcome<Vec<VSwitch>> {
        let action = DescribeVSwitches {
            region_id: region.clone(),
            vpc_id: Some(vpc.clone()),
            page_size: Some(50),
            ..DescribeVSwitches::default()
        };
        Ok(self.call(region, &action).await?.vswitches.vswitch)
    }

    async fn vpcs_by(&self, region: &RegionId, tag: Vec<Tag>) -> Outcome<Vec<VpcId>> {
        let action = DescribeVpcs {
            region_id: region.clone(),
            tag,
            page_size: Some(50),
            ..DescribeVpcs::default()
        };
        let found = self.call(region, &action).await?.vpcs.vpc;
        Ok(found.into_iter().map(|one| one.vpc_id).collect())
    }

    /// What an earlier attempt has made: `CreateVpc`.
    pub(super) async fn find_vpc(
        &self,
        region: &RegionId,
        asked: CreateVpc,
    ) -> Outcome<Option<Value>> {
        let found = self.vpcs_by(region, asked.tag).await?;
        Ok(found.first().map(|id| json!({ "VpcId": id })))
    }

    /// The same: `CreateVSwitch`.
    pub(super) async fn find_vswitch(
        &self,
        region: &RegionId,
        asked: &CreateVSwitch,
    ) -> Outcome<Option<Value>> {
        let inside = self.vswitches_of(region, &asked.vpc_id).await?;
        let found = inside.iter().find(|one| one.zone_id == asked.zone_id);
        Ok(found.map(|one| json!({ "VSwitchId": one.vswitch_id })))
    }

    /// The same: `CreateSecurityGroup`.
    pub(super) async fn find_group(
        &self,
        region: &RegionId,
        asked: CreateSecurityGroup,
    ) -> Outcome<Option<Value>> {
        let action = DescribeSecurityGroups {
            region_id: region.clone(),
            vpc_id: asked.vpc_id,
            tag: asked.tag,
            max_results: Some(100),
            ..DescribeSecurityGroups::default()
        };
        let found = self.call(region, &action).await?;
        let found = found.security_groups.security_group;
        Ok(found
            .first()
            .map(|one| json!({ "SecurityGroupId": one.security_group_id })))
    }

    /// Deletes the run's network; none left is success.
    pub(crate) async fn remove_network(&self, region: &RegionId, run: &RunId) -> Outcome<Value> {
        let found = self.vpcs_by(region, tags::of(run, tags::NETWORK)).await?;
        for vpc in &found {
            let mut tries = 0;
            while let Err(failure) = self.remove_vpc(region, vpc).await {
                if !self.passes(&failure, tries, BACK).await {
                    return Err(failure);
                }
                tries += 1;
            }
            darkroom_failpoint::reach("engine.network-gone").await;
        }
        Ok(json!(found))
    }

    /// One attempt at a VPC with all that is in it.
    async fn remove_vpc(&self, region: &RegionId, vpc: &VpcId) -> Outcome<()> {
        let groups = DescribeSecurityGroups {
            region_id: region.clone(),
            vpc_id: Some(vpc.clone()),
            max_results: Some(100),
            ..DescribeSecurityGroups::default()
        };
        let groups = self.call(region, &groups).await?.security_groups;
        let groups = groups.security_group;
        let marks = groups.iter();
        self.spare(marks.map(|one| (one.security_group_id.to_string(), &one.tags)))?;
        for vswitch in self.vswitches_of(region, vpc).await? {
            let action = DeleteVSwitch {
                region_id: Some(region.clone()),
                vswitch_id: vswitch.vswitch_id,
                ..DeleteVSwitch::default()
            };
            ignore_missing(self.call(region, &action).await.map(drop))?;
        }
        for group in groups {
            let action = DeleteSecurityGroup {
                region_id: region.clone(),
                security_group_id: group.security_group_id,
            };
            ignore_missing(self.call(region, &action).await.map(drop))?;
        }
        let action = DeleteVpc {
            region_id: Some(region.clone()),
            vpc_id: vpc.clone(),
            ..DeleteVpc::default()
        };
        ignore_missing(self.call(region, &action).await.map(drop))
    }
}
