//! vSwitches and security groups that there are. Each account has default ones in each
//! region, in a default VPC, made when somebody first looks.

use darkroom_ecs::action::{
    DescribeSecurityGroups, DescribeSecurityGroupsResponse, DescribeVSwitches,
    DescribeVSwitchesResponse, SecurityGroup, SecurityGroups, VSwitch, VSwitches,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{RegionId, VpcId};
use rusqlite::Transaction;

use super::page::{self, Paging};
use super::vpc::vpc_tags;
use super::words::{fits, new_id, seconds, shown_tags, tagged};
use super::{Context, Serve};
use crate::catalogue;
use crate::fault::Fault;
use crate::network::VSWITCH_BITS;
use crate::state::lookup;
use crate::state::rows::{self, InstanceRow, SecurityGroupRow, VSwitchRow, VpcRow};
use crate::state::store::StoreError;

/// Makes the account's default network in a region if it isn't there.
pub(super) async fn ensure(cx: &Context, region: &RegionId) -> Result<(), Fault> {
    let (account, place) = (cx.account.clone(), region.clone());
    let there = cx
        .cloud
        .store
        .read(move |tx| {
            let known = rows::list::<VpcRow>(tx, &place, Some(&account))?;
            Ok::<_, StoreError>(known.iter().any(|placed| placed.row.default))
        })
        .await?;
    if there {
        return Ok(());
    }
    let this = cx.clone();
    let region = region.clone();
    cx.cloud
        .store
        .write(move |tx| make(tx, &this, &region))
        .await
}

fn make(tx: &Transaction<'_>, cx: &Context, region: &RegionId) -> Result<(), Fault> {
    let known = rows::list::<VpcRow>(tx, region, Some(&cx.account))?;
    if known.iter().any(|placed| placed.row.default) {
        return Ok(());
    }
    // Before there were others the default VPC had no row of its own.
    let switches = rows::list::<VSwitchRow>(tx, region, Some(&cx.account))?;
    let nameless = switches.iter().find(|placed| placed.row.default);
    let vpc: VpcId = nameless.map_or_else(|| new_id("vpc-"), |placed| placed.row.vpc.clone());
    let whole = cx.cloud.range;
    let row = VpcRow {
        id: vpc.clone(),
        region: region.clone(),
        account: cx.account.clone(),
        name: "default".to_owned(),
        description: String::new(),
        default: true,
        range: whole,
        created_at: cx.now,
        tags: Vec::new(),
    };
    rows::put(tx, &row)?;
    if nameless.is_some() {
        return Ok(());
    }
    for zone in catalogue::zones(region) {
        let mut taken = rows::all::<VSwitchRow>(tx)?;
        taken.retain(|other| other.row.default);
        let parts = (0..1_u32 << VSWITCH_BITS)
            .filter_map(|index| whole.part(whole.prefix() + VSWITCH_BITS, index));
        let mut free = parts.filter(|part| taken.iter().all(|other| other.row.range != *part));
        let range = free.next().ok_or_else(|| {
            Fault::forbidden(
                ErrorCode::Other("QuotaExceed.VSwitch".to_owned()),
                format!(
                    "All {} ranges of {whole} are used by vSwitches.",
                    taken.len()
                ),
            )
        })?;
        let row = VSwitchRow {
            id: new_id("vsw-"),
            region: region.clone(),
            account: cx.account.clone(),
            zone,
            vpc: vpc.clone(),
            name: "default".to_owned(),
            description: String::new(),
            default: true,
            range,
            created_at: cx.now,
            tags: Vec::new(),
        };
        rows::put(tx, &row)?;
    }
    let group = SecurityGroupRow {
        id: new_id("sg-"),
        region: region.clone(),
        account: cx.account.clone(),
        vpc,
        name: "default".to_owned(),
        description: String::new(),
        apart: false,
        rules: Vec::new(),
        created_at: cx.now,
        tags: Vec::new(),
    };
    Ok(rows::put(tx, &group)?)
}

/// Parts of a network with the number of their instances.
async fn counted<R: Send + 'static>(
    cx: &Context,
    rows: Vec<R>,
    key: &'static str,
    id: fn(&R) -> String,
) -> Result<Vec<(R, usize)>, StoreError> {
    cx.cloud
        .store
        .read(move |tx| {
            let with = |row| {
                let count = lookup::count::<InstanceRow>(tx, key, &id(&row))?;
                Ok((row, count))
            };
            rows.into_iter().map(with).collect()
        })
        .await
}

impl Serve for DescribeVSwitches {
    async fn serve(self, cx: &Context) -> Result<DescribeVSwitchesResponse, Fault> {
        ensure(cx, &self.region_id).await?;
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let found = cx
            .cloud
            .store
            .read(move |tx| rows::list::<VSwitchRow>(tx, &region, Some(&account)))
            .await?;
        let wanted = found.into_iter().filter(|placed| {
            let row = &placed.row;
            self.vswitch_id.as_ref().is_none_or(|id| *id == row.id)
                && self.vpc_id.as_ref().is_none_or(|id| *id == row.vpc)
                && self.zone_id.as_ref().is_none_or(|id| *id == row.zone)
                && self.is_default.is_none_or(|default| default == row.default)
                && tagged(&row.tags, &self.tag)
        });
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            most: 50,
            ..Paging::default()
        };
        // The first zone first.
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_by_key(|placed| placed.seq);
        let page = page::cut(wanted, &paging)?;
        let counted = counted(cx, page.rows, "vswitch", |row| row.id.to_string()).await?;
        let shown = counted.into_iter().map(|(row, used)| VSwitch {
            vswitch_id: row.id,
            vswitch_name: row.name,
            vpc_id: row.vpc,
            zone_id: row.zone,
            cidr_block: row.range.to_string(),
            is_default: row.default,
            status: "Available".to_owned(),
            available_ip_address_count: {
                let hosts = row.range.hosts().count();
                u64::try_from(hosts.saturating_sub(used)).unwrap_or_default()
            },
            description: row.description,
            creation_time: seconds(row.created_at),
            tags: vpc_tags(&row.tags),
        });
        Ok(DescribeVSwitchesResponse {
            vswitches: VSwitches {
                vswitch: shown.collect(),
            },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            ..DescribeVSwitchesResponse::default()
        })
    }
}

impl Serve for DescribeSecurityGroups {
    async fn serve(self, cx: &Context) -> Result<DescribeSecurityGroupsResponse, Fault> {
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        ensure(cx, &self.region_id).await?;
        let (region, account) = (self.region_id.clone(), cx.account.clone());
        let mut found = cx
            .cloud
            .store
            .read(move |tx| rows::list::<SecurityGroupRow>(tx, &region, Some(&account)))
            .await?;
        found.retain(|placed| {
            let row = &placed.row;
            let listed = self.security_group_ids.as_ref();
            self.security_group_id
                .as_ref()
                .is_none_or(|id| *id == row.id)
                && listed.is_none_or(|list| list.0.contains(&row.id))
                && self.vpc_id.as_ref().is_none_or(|id| *id == row.vpc)
                && self
                    .security_group_name
                    .as_ref()
                    .is_none_or(|name| fits(name, &row.name))
                && self
                    .security_group_type
                    .as_ref()
                    .is_none_or(|kind| kind == "normal")
                && self.network_type.as_ref().is_none_or(|kind| kind == "vpc")
                && tagged(&row.tags, &self.tag)
        });
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token,
            least: 1,
            most: 100,
        };
        let page = page::cut(found, &paging)?;
        let counted = counted(cx, page.rows, "group", |row| row.id.to_string()).await?;
        let shown = counted.into_iter().map(|(row, members)| SecurityGroup {
            ecs_count: u32::try_from(members).unwrap_or(u32::MAX),
            security_group_id: row.id,
            security_group_name: row.name,
            security_group_type: "normal".to_owned(),
            vpc_id: row.vpc,
            description: row.description,
            creation_time: seconds(row.created_at),
            tags: shown_tags(&row.tags),
        });
        Ok(DescribeSecurityGroupsResponse {
            security_groups: SecurityGroups {
                security_group: shown.collect(),
            },
            region_id: self.region_id,
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeSecurityGroupsResponse::default()
        })
    }
}
