//! Security groups that somebody asks for, and those that go again.
//!
//! A group's rules change nothing here: nothing gets into an instance of this cloud, and instances
//! never reach each other, whatever its policy says. Rules that somebody adds (see
//! [`super::security_rule`]) are kept to be shown.

use darkroom_ecs::action::{
    CreateSecurityGroup, CreateSecurityGroupResponse, DeleteSecurityGroup,
    DeleteSecurityGroupResponse, DescribeSecurityGroupAttribute,
    DescribeSecurityGroupAttributeResponse, ModifySecurityGroupPolicy,
    ModifySecurityGroupPolicyResponse, Permissions,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, RegionId, SecurityGroupId};
use rusqlite::Transaction;

use super::network::ensure;
use super::vpc::{self, bill};
use super::words::{is_name, new_id, row_tags};
use super::{Context, Serve, Token, in_region};
use crate::fault::Fault;
use crate::state::ledger;
use crate::state::lookup;
use crate::state::rows::{self, InstanceRow, SecurityGroupRow};

/// The account's group of this id in a region.
pub(super) fn mine(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
    id: &SecurityGroupId,
) -> Result<SecurityGroupRow, Fault> {
    let found = rows::get::<SecurityGroupRow>(tx, id.as_str())?;
    found
        .filter(|row| row.account == *account && in_region(&row.region, region))
        .ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidSecurityGroupIdNotFound,
                format!("The specified SecurityGroupId {id} does not exist."),
            )
        })
}

impl Serve for CreateSecurityGroup {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateSecurityGroupResponse, Fault> {
        let kinds = ["normal", "enterprise"];
        let kind = self.security_group_type.as_deref();
        if kind.is_some_and(|kind| !kinds.contains(&kind)) {
            return Err(Fault::invalid(
                "SecurityGroupType",
                "it must be normal or enterprise",
            ));
        }
        let name = self.security_group_name.clone().unwrap_or_default();
        if !name.is_empty() && !is_name(&name) {
            return Err(Fault::bad(
                ErrorCode::Other("InvalidSecurityGroupName.Malformed".to_owned()),
                "The specified SecurityGroupName is wrongly formed.",
            ));
        }
        let vpc = self.vpc_id.clone();
        if vpc.is_none() {
            ensure(cx, &self.region_id).await?;
        }
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let cx = &this;
                let vpc = match &vpc {
                    Some(vpc) => vpc::mine(tx, &cx.account, vpc)?,
                    // There is no classic network, as for accounts of today.
                    None => vpc::default(tx, &cx.account, &self.region_id)?,
                };
                if !in_region(&vpc.region, &self.region_id) {
                    return Err(Fault::missing(
                        ErrorCode::InvalidVpcIdNotFound,
                        format!("The specified VpcId {} does not exist.", vpc.id),
                    ));
                }
                let row = SecurityGroupRow {
                    id: new_id("sg-"),
                    region: vpc.region,
                    account: cx.account.clone(),
                    vpc: vpc.id,
                    name,
                    description: self.description.unwrap_or_default(),
                    apart: false,
                    rules: Vec::new(),
                    created_at: cx.now,
                    tags,
                };
                rows::put(tx, &row)?;
                bill(tx, cx, &row.region, ("securitygroup", row.id.as_str()))?;
                let response = CreateSecurityGroupResponse {
                    security_group_id: row.id,
                    ..CreateSecurityGroupResponse::default()
                };
                Token::keep(cx.token.as_ref(), tx, &response)?;
                Ok(response)
            })
            .await
    }
}

impl Serve for ModifySecurityGroupPolicy {
    async fn serve(self, cx: &Context) -> Result<ModifySecurityGroupPolicyResponse, Fault> {
        let apart = match self.inner_access_policy.to_ascii_lowercase().as_str() {
            "accept" => false,
            "drop" => true,
            _ => {
                return Err(Fault::invalid(
                    "InnerAccessPolicy",
                    "it must be Accept or Drop",
                ));
            }
        };
        let account = cx.account.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let mut row = mine(tx, &account, &self.region_id, &self.security_group_id)?;
                row.apart = apart;
                Ok::<_, Fault>(rows::put(tx, &row)?)
            })
            .await?;
        Ok(ModifySecurityGroupPolicyResponse::default())
    }
}

impl Serve for DescribeSecurityGroupAttribute {
    async fn serve(self, cx: &Context) -> Result<DescribeSecurityGroupAttributeResponse, Fault> {
        let account = cx.account.clone();
        let direction = self.direction.unwrap_or_default().to_ascii_lowercase();
        let mut row = cx
            .cloud
            .store
            .read(move |tx| mine(tx, &account, &self.region_id, &self.security_group_id))
            .await?;
        row.rules
            .retain(|rule| ["", "all", rule.direction.as_str()].contains(&direction.as_str()));
        Ok(DescribeSecurityGroupAttributeResponse {
            region_id: row.region,
            security_group_id: row.id,
            security_group_name: row.name,
            vpc_id: row.vpc,
            permissions: Permissions {
                permission: row.rules,
            },
            inner_access_policy: if row.apart { "Drop" } else { "Accept" }.to_owned(),
            ..DescribeSecurityGroupAttributeResponse::default()
        })
    }
}

impl Serve for DeleteSecurityGroup {
    async fn serve(self, cx: &Context) -> Result<DeleteSecurityGroupResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = mine(tx, &account, &self.region_id, &self.security_group_id)?;
                if lookup::any::<InstanceRow>(tx, "group", row.id.as_str())? {
                    return Err(Fault::forbidden(
                        ErrorCode::DependencyViolation,
                        format!("The security group {} still has instances.", row.id),
                    ));
                }
                ledger::close(tx, row.id.as_str(), now)?;
                Ok(rows::remove::<SecurityGroupRow>(tx, row.id.as_str())?)
            })
            .await?;
        Ok(DeleteSecurityGroupResponse::default())
    }
}
