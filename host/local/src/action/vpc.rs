//! VPCs and vSwitches that somebody asks for, and those that go again. Actions of the
//! product Vpc, and of ECS by their old version.
//!
//! As on Alibaba Cloud two VPCs may have the same addresses: they never meet. Nothing is
//! built here; an instance's network is the driver's, with an address of its vSwitch.

use darkroom_ecs::action::{
    CreateVSwitch, CreateVSwitchResponse, CreateVpc, CreateVpcResponse, DeleteVSwitch,
    DeleteVSwitchResponse, DeleteVpc, DeleteVpcResponse, DescribeNatGateways,
    DescribeNatGatewaysResponse, DescribeVpcs, DescribeVpcsResponse, Tag, Vpc, VpcTags,
    VpcVSwitchIds, Vpcs,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, RegionId, VSwitchId, VpcId};
use rusqlite::Transaction;

use super::network::ensure;
use super::page::{self, Paging};
use super::words::{new_id, row_tags, seconds, tagged};
use super::{Context, Serve, Token, in_region};
use crate::catalogue;
use crate::fault::Fault;
use crate::network::Range;
use crate::state::ledger;
use crate::state::lookup;
use crate::state::rows::{self, InstanceRow, RowTag, SecurityGroupRow, VSwitchRow, VpcRow};
use crate::state::store::StoreError;

/// How many VPCs an account may have in a region.
const QUOTA: usize = 100;
/// The largest and the smallest range of a VPC, and of a vSwitch, by their length.
const VPC_PREFIXES: std::ops::RangeInclusive<u8> = 8..=28;
const VSWITCH_PREFIXES: std::ops::RangeInclusive<u8> = 16..=29;

/// Reads a range of addresses that may be used.
fn range(text: &str, prefixes: &std::ops::RangeInclusive<u8>) -> Result<Range, Fault> {
    let found = text.parse::<Range>().ok();
    let private = |range: &Range| range.hosts().next().is_some_and(|host| host.is_private());
    found
        .filter(|range| prefixes.contains(&range.prefix()) && private(range))
        .ok_or_else(|| {
            Fault::bad(
                ErrorCode::InvalidCidrBlockMalformed,
                format!(
                    "The specified CidrBlock {text} is not a usable range of private addresses."
                ),
            )
        })
}

/// Tags as the product Vpc shows them.
pub(super) fn vpc_tags(tags: &[RowTag]) -> VpcTags {
    let tag = |(key, value): &RowTag| Tag {
        key: key.clone(),
        value: value.clone(),
    };
    VpcTags {
        tag: tags.iter().map(tag).collect(),
    }
}

/// The account's VPC of this id.
pub(super) fn mine(tx: &Transaction<'_>, account: &AccountId, id: &VpcId) -> Result<VpcRow, Fault> {
    let found = rows::get::<VpcRow>(tx, id.as_str())?;
    found.filter(|row| row.account == *account).ok_or_else(|| {
        Fault::missing(
            ErrorCode::InvalidVpcIdNotFound,
            format!("The specified VpcId {id} does not exist."),
        )
    })
}

/// The account's default VPC in a region, which has been ensured.
pub(super) fn default(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
) -> Result<VpcRow, Fault> {
    let found = rows::list::<VpcRow>(tx, region, Some(account))?;
    let mut found = found.into_iter().map(|placed| placed.row);
    found
        .find(|row| row.default)
        .ok_or_else(|| Fault::missing_parameter("VpcId"))
}

/// Enters into the bill that a part of a network is there, which costs nothing.
pub(super) fn bill(
    tx: &Transaction<'_>,
    cx: &Context,
    region: &RegionId,
    (kind, resource): (&str, &str),
) -> Result<(), StoreError> {
    let entry = ledger::Opened {
        account: &cx.account,
        region,
        kind,
        resource,
        spec: "custom",
        quantity: 1,
        price: 0,
    };
    ledger::open(tx, &entry, cx.now)
}

impl Serve for CreateVpc {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateVpcResponse, Fault> {
        let range = match self.cidr_block.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => range(text, &VPC_PREFIXES)?,
            None => cx.cloud.range,
        };
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let cx = &this;
                let others = rows::list::<VpcRow>(tx, &self.region_id, Some(&cx.account))?;
                if others.len() >= QUOTA {
                    return Err(Fault::bad(
                        ErrorCode::QuotaExceedVpc,
                        format!("No more than {QUOTA} VPCs are allowed in a region."),
                    ));
                }
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                let row = VpcRow {
                    id: new_id("vpc-"),
                    account: cx.account.clone(),
                    name: self.vpc_name.unwrap_or_default(),
                    description: self.description.unwrap_or_default(),
                    default: false,
                    range,
                    created_at: cx.now,
                    tags,
                    region: self.region_id,
                };
                rows::put(tx, &row)?;
                bill(tx, cx, &row.region, ("vpc", row.id.as_str()))?;
                let response = CreateVpcResponse {
                    vpc_id: row.id,
                    ..CreateVpcResponse::default()
                };
                Token::keep(cx.token.as_ref(), tx, &response)?;
                Ok(response)
            })
            .await
    }
}

impl Serve for DescribeVpcs {
    async fn serve(self, cx: &Context) -> Result<DescribeVpcsResponse, Fault> {
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        ensure(cx, &self.region_id).await?;
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let (mut found, switches) = cx
            .cloud
            .store
            .read(move |tx| {
                let found = rows::list::<VpcRow>(tx, &region, Some(&account))?;
                let switches = rows::list::<VSwitchRow>(tx, &region, Some(&account))?;
                Ok::<_, StoreError>((found, switches))
            })
            .await?;
        found.retain(|placed| {
            let row = &placed.row;
            let listed = self.vpc_id.as_deref().filter(|text| !text.is_empty());
            listed.is_none_or(|ids| ids.split(',').any(|id| id.trim() == row.id.as_str()))
                && self.vpc_name.as_ref().is_none_or(|name| *name == row.name)
                && self.is_default.is_none_or(|default| default == row.default)
                && tagged(&row.tags, &self.tag)
        });
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            most: 50,
            ..Paging::default()
        };
        let page = page::cut(found, &paging)?;
        let shown = page.rows.into_iter().map(|row| {
            let inside = switches.iter().filter(|placed| placed.row.vpc == row.id);
            Vpc {
                vswitch_ids: VpcVSwitchIds {
                    vswitch_id: inside.map(|placed| placed.row.id.clone()).collect(),
                },
                vpc_id: row.id,
                vpc_name: row.name,
                region_id: row.region,
                status: "Available".to_owned(),
                cidr_block: row.range.to_string(),
                is_default: row.default,
                description: row.description,
                creation_time: seconds(row.created_at),
                tags: vpc_tags(&row.tags),
            }
        });
        Ok(DescribeVpcsResponse {
            vpcs: Vpcs {
                vpc: shown.collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            ..DescribeVpcsResponse::default()
        })
    }
}

impl Serve for DeleteVpc {
    async fn serve(self, cx: &Context) -> Result<DeleteVpcResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = mine(tx, &account, &self.vpc_id)?;
                let switches = rows::list::<VSwitchRow>(tx, &row.region, Some(&account))?;
                let groups = rows::list::<SecurityGroupRow>(tx, &row.region, Some(&account))?;
                let left = if switches.iter().any(|placed| placed.row.vpc == row.id) {
                    Some((ErrorCode::DependencyViolationVSwitch, "vSwitches"))
                } else if groups.iter().any(|placed| placed.row.vpc == row.id) {
                    Some((
                        ErrorCode::DependencyViolationSecurityGroup,
                        "security groups",
                    ))
                } else {
                    None
                };
                if let Some((code, what)) = left {
                    return Err(Fault::bad(
                        code,
                        format!("The VPC {} still has {what}.", row.id),
                    ));
                }
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                ledger::close(tx, row.id.as_str(), now)?;
                Ok(rows::remove::<VpcRow>(tx, row.id.as_str())?)
            })
            .await?;
        Ok(DeleteVpcResponse::default())
    }
}

impl Serve for CreateVSwitch {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateVSwitchResponse, Fault> {
        let range = range(&self.cidr_block, &VSWITCH_PREFIXES)?;
        let tags = row_tags(&self.tag)?;
        let this = cx.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let cx = &this;
                let vpc = mine(tx, &cx.account, &self.vpc_id)?;
                check_vswitch(tx, &self, &vpc, range)?;
                let row = VSwitchRow {
                    id: new_id("vsw-"),
                    region: vpc.region,
                    account: cx.account.clone(),
                    zone: self.zone_id,
                    vpc: vpc.id,
                    name: self.vswitch_name.unwrap_or_default(),
                    description: self.description.unwrap_or_default(),
                    default: false,
                    range,
                    created_at: cx.now,
                    tags,
                };
                rows::put(tx, &row)?;
                bill(tx, cx, &row.region, ("vswitch", row.id.as_str()))?;
                let response = CreateVSwitchResponse {
                    vswitch_id: row.id,
                    ..CreateVSwitchResponse::default()
                };
                Token::keep(cx.token.as_ref(), tx, &response)?;
                Ok(response)
            })
            .await
    }
}

fn check_vswitch(
    tx: &Transaction<'_>,
    asked: &CreateVSwitch,
    vpc: &VpcRow,
    range: Range,
) -> Result<(), Fault> {
    let elsewhere = asked.region_id.as_ref();
    if elsewhere.is_some_and(|region| !in_region(&vpc.region, region)) {
        return Err(Fault::missing(
            ErrorCode::InvalidVpcIdNotFound,
            format!(
                "The specified VpcId {} does not exist in this region.",
                vpc.id
            ),
        ));
    }
    if !catalogue::zones(&vpc.region).contains(&asked.zone_id) {
        return Err(Fault::missing(
            ErrorCode::InvalidZoneIdNotFound,
            format!("The specified ZoneId {} does not exist.", asked.zone_id),
        ));
    }
    if !vpc.range.holds(range) {
        return Err(Fault::bad(
            ErrorCode::InvalidCidrBlockMalformed,
            format!("The CidrBlock {range} is not in the VPC's {}.", vpc.range),
        ));
    }
    let others = rows::list::<VSwitchRow>(tx, &vpc.region, Some(&vpc.account))?;
    let meets = |row: &VSwitchRow| row.vpc == vpc.id && row.range.overlaps(range);
    match others.iter().find(|placed| meets(&placed.row)) {
        None => Ok(()),
        Some(other) => Err(Fault::bad(
            ErrorCode::InvalidCidrBlockOverlapped,
            format!("The CidrBlock {range} overlaps that of {}.", other.row.id),
        )),
    }
}

/// The account's vSwitch of this id.
fn my_vswitch(
    tx: &Transaction<'_>,
    account: &AccountId,
    id: &VSwitchId,
) -> Result<VSwitchRow, Fault> {
    let found = rows::get::<VSwitchRow>(tx, id.as_str())?;
    found.filter(|row| row.account == *account).ok_or_else(|| {
        Fault::missing(
            ErrorCode::InvalidVswitchIdNotFound,
            format!("The specified VSwitchId {id} does not exist."),
        )
    })
}

impl Serve for DeleteVSwitch {
    async fn serve(self, cx: &Context) -> Result<DeleteVSwitchResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = my_vswitch(tx, &account, &self.vswitch_id)?;
                if lookup::any::<InstanceRow>(tx, "vswitch", row.id.as_str())? {
                    return Err(Fault::bad(
                        ErrorCode::DependencyViolation,
                        format!("The vSwitch {} still has instances.", row.id),
                    ));
                }
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                ledger::close(tx, row.id.as_str(), now)?;
                Ok(rows::remove::<VSwitchRow>(tx, row.id.as_str())?)
            })
            .await?;
        Ok(DeleteVSwitchResponse::default())
    }
}

impl Serve for DescribeNatGateways {
    /// There are none here: whether an instance has a way out is its own bandwidth's matter.
    async fn serve(self, _cx: &Context) -> Result<DescribeNatGatewaysResponse, Fault> {
        let page = self.page_number.unwrap_or(1);
        Ok(DescribeNatGatewaysResponse {
            page_number: page,
            page_size: self.page_size.unwrap_or(10),
            ..DescribeNatGatewaysResponse::default()
        })
    }
}
