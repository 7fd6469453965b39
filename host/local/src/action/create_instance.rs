//! Making one instance that stays stopped, and giving it a public address: what clients
//! ask for that are older than `RunInstances`.
//!
//! The same work as for `RunInstances` (see [`super::run_instances`]); only the end is
//! another. Where no network is named the account's default one is taken, as for
//! accounts that have no classic network. Nothing gets into an instance of this cloud, so
//! that a password is looked at and opens nothing, and a public address leads nowhere.

use std::net::Ipv4Addr;

use darkroom_ecs::action::{
    AllocatePublicIpAddress, AllocatePublicIpAddressResponse, CreateInstance,
    CreateInstanceResponse, InstanceStatus, RunInstances,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{RegionId, SecurityGroupId, VSwitchId, ZoneId};
use rusqlite::Transaction;

use super::instance::mine;
use super::network::ensure;
use super::run_instances::{First, announce, make, refuse_unsupported};
use super::{Context, Serve, in_region};
use crate::fault::Fault;
use crate::state::rows::{self, SecurityGroupRow, VSwitchRow};
use crate::state::store::StoreError;

/// The range of RFC 2544, 198.18.0.0/15, in which no address is anybody's.
const NOBODY: u32 = 0xC612_0000;

impl Serve for CreateInstance {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<CreateInstanceResponse, Fault> {
        if let Some(password) = self.password.as_deref().filter(|text| !text.is_empty()) {
            check_password(password)?;
        }
        let mut request = as_run_instances(self);
        refuse_unsupported(&request)?;
        if request.vswitch_id.is_none() {
            request.vswitch_id = default_switch(cx, &request).await?;
        }
        let reserved = make(cx, request).await?;
        let response = CreateInstanceResponse {
            instance_id: reserved.ids().into_iter().next().unwrap_or_default(),
            ..CreateInstanceResponse::default()
        };
        announce(cx, reserved, First::Stopped, response).await
    }
}

fn as_run_instances(request: CreateInstance) -> RunInstances {
    RunInstances {
        region_id: request.region_id,
        image_id: request.image_id,
        instance_type: request.instance_type,
        security_group_id: request.security_group_id,
        vswitch_id: request.vswitch_id,
        zone_id: request.zone_id,
        instance_name: request.instance_name,
        host_name: request.host_name,
        description: request.description,
        password_inherit: request.password_inherit,
        key_pair_name: request.key_pair_name,
        internet_charge_type: request.internet_charge_type,
        internet_max_bandwidth_in: request.internet_max_bandwidth_in,
        internet_max_bandwidth_out: request.internet_max_bandwidth_out,
        instance_charge_type: request.instance_charge_type,
        spot_strategy: request.spot_strategy,
        spot_price_limit: request.spot_price_limit,
        system_disk: request.system_disk,
        data_disk: request.data_disk,
        user_data: request.user_data,
        ram_role_name: request.ram_role_name,
        deletion_protection: request.deletion_protection,
        security_enhancement_strategy: request.security_enhancement_strategy,
        http_endpoint: request.http_endpoint,
        http_tokens: request.http_tokens,
        tag: request.tag,
        resource_group_id: request.resource_group_id,
        dry_run: request.dry_run,
        ..RunInstances::default()
    }
}

/// 8 to 30 characters of three of the four kinds.
fn check_password(password: &str) -> Result<(), Fault> {
    const SPECIAL: &str = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/";
    let kinds: [fn(char) -> bool; 4] = [
        |one| one.is_ascii_lowercase(),
        |one| one.is_ascii_uppercase(),
        |one| one.is_ascii_digit(),
        |one| SPECIAL.contains(one),
    ];
    let has = |kind: &fn(char) -> bool| password.chars().any(kind);
    let found = kinds.iter().filter(|kind| has(kind)).count();
    let known = password
        .chars()
        .all(|one| kinds.iter().any(|kind| kind(one)));
    if known && found >= 3 && (8..=30).contains(&password.len()) {
        return Ok(());
    }
    Err(Fault::bad(
        ErrorCode::Other("InvalidPassword.Malformed".to_owned()),
        "The specified Password is wrongly formed: 8 to 30 characters of three kinds.",
    ))
}

/// The vSwitch that is taken where none is named: the first default one of the zone, in
/// the VPC of the security group.
async fn default_switch(cx: &Context, request: &RunInstances) -> Result<Option<VSwitchId>, Fault> {
    ensure(cx, &request.region_id).await?;
    let (account, region) = (cx.account.clone(), request.region_id.clone());
    let (zone, group) = (request.zone_id.clone(), request.security_group_id.clone());
    let find = move |tx: &Transaction<'_>| {
        let mut switches = rows::list::<VSwitchRow>(tx, &region, Some(&account))?;
        switches.sort_by_key(|placed| placed.seq);
        let group = group_of(tx, &region, group.as_ref())?;
        let fits = |row: &VSwitchRow| {
            let here = |zone: &ZoneId| zone.is_empty() || *zone == row.zone;
            row.default
                && zone.as_ref().is_none_or(here)
                && group.as_ref().is_none_or(|group| group.vpc == row.vpc)
        };
        let found = switches.into_iter().find(|placed| fits(&placed.row));
        Ok::<_, StoreError>(found.map(|placed| placed.row.id))
    };
    Ok(cx.cloud.store.read(find).await?)
}

fn group_of(
    tx: &Transaction<'_>,
    region: &RegionId,
    id: Option<&SecurityGroupId>,
) -> Result<Option<SecurityGroupRow>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    let found = rows::get::<SecurityGroupRow>(tx, id.as_str())?;
    Ok(found.filter(|row| row.region == *region))
}

impl Serve for AllocatePublicIpAddress {
    async fn serve(self, cx: &Context) -> Result<AllocatePublicIpAddressResponse, Fault> {
        let account = cx.account.clone();
        let address = cx
            .cloud
            .store
            .write(move |tx| {
                let mut row = mine(tx, &account, &self.instance_id)?;
                if !in_region(&row.region, &self.region_id) {
                    return Err(Fault::missing(
                        ErrorCode::InvalidInstanceIdNotFound,
                        "The specified InstanceId does not exist in this region.",
                    ));
                }
                let settled = [InstanceStatus::Running, InstanceStatus::Stopped];
                if !settled.contains(&row.status) {
                    return Err(Fault::forbidden(
                        ErrorCode::IncorrectInstanceStatus,
                        format!(
                            "{} is {}, it must be Running or Stopped.",
                            row.id, row.status
                        ),
                    ));
                }
                // As many as there are private ones, and the same when asked for again.
                let low = row.private_ip.to_bits() & 0x0001_FFFF;
                let address = Ipv4Addr::from_bits(NOBODY | low);
                row.public_ip = Some(address);
                rows::put(tx, &row)?;
                Ok(address)
            })
            .await?;
        Ok(AllocatePublicIpAddressResponse {
            ip_address: address.to_string(),
            ..AllocatePublicIpAddressResponse::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_three_kinds() {
        for good in ["Passw0rd!", "abcABC123", "aA!aA!aA!"] {
            check_password(good).unwrap();
        }
        let long = "aB3".repeat(11);
        for bad in ["", "Pw0!", "password1", "Päss w0rd!", long.as_str()] {
            check_password(bad).unwrap_err();
        }
    }
}
