//! Where instances can be made: the network, the zones, the types in stock.
//!
//! A named vSwitch or security group is used as it is. Without either the run makes a
//! network of its own, in any zone that has stock. The smallest type that fits the image
//! comes first, the cheaper of equal ones before the dearer; types that the template
//! names are tried in its order.

use std::collections::BTreeMap;

use darkroom_ecs::action::{
    DescribeAvailableResource, DescribeInstanceTypes, DescribeSecurityGroups,
    DescribeSpotPriceHistory, DescribeVSwitches, InstanceType, SecurityGroup, VSwitch,
};
use darkroom_ecs::id::{SecurityGroupId, VpcId, ZoneId};
use darkroom_journal::Failure;

use super::{Candidate, Found, ImageFacts, Surveyor};

/// How many candidates are tried when the first has no stock.
const CANDIDATES: usize = 6;

/// How many of the smallest types the cloud is asked the price of, one call each.
const PRICED: usize = 5;

/// The names that one `DescribeInstanceTypes` takes.
const NAMED_AT_ONCE: usize = 10;

/// How many pages of types are read.
const PAGES: usize = 10;

/// The network that instances are put into.
pub(super) struct Ground {
    /// Its vSwitches; empty where a temporary network is made.
    vswitches: Vec<VSwitch>,
    /// None where a temporary network is made.
    pub(super) security_group: Option<SecurityGroupId>,
}

impl Ground {
    fn is_temporary(&self) -> bool {
        self.security_group.is_none()
    }
}

impl Surveyor<'_> {
    /// The network that the template names, or none of it.
    pub(super) async fn ground(&mut self) -> Found<Option<Ground>> {
        if self.query.vswitch.is_some() {
            return self.ground_of_vswitch().await;
        }
        if self.query.security_group.is_some() {
            return self.ground_of_group().await;
        }
        Ok(Some(Ground {
            vswitches: Vec::new(),
            security_group: None,
        }))
    }

    async fn ground_of_vswitch(&mut self) -> Found<Option<Ground>> {
        let action = DescribeVSwitches {
            region_id: self.query.region.clone(),
            vswitch_id: self.query.vswitch.clone(),
            page_size: Some(50),
            ..DescribeVSwitches::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let vswitches = answer.vswitches.vswitch;
        let Some(vswitch) = vswitches.first() else {
            if let Some(id) = &self.query.vswitch {
                let subject = format!("vSwitch {id}");
                let problem = format!("there is none in {}", self.query.region);
                let hint = "name one of the region in instance.vswitch, or leave it out to have a temporary network";
                self.note(subject, &problem, Some(hint));
            }
            return Ok(None);
        };
        let groups = self.groups(Some(&vswitch.vpc_id)).await?;
        let Some(group) = groups.into_iter().next() else {
            let subject = match &self.query.security_group {
                Some(id) => format!("security group {id}"),
                None => "security group".into(),
            };
            self.note(
                subject,
                "there is none in the vSwitch's network",
                Some("name one in instance.security-group"),
            );
            return Ok(None);
        };
        Ok(Some(Ground {
            vswitches,
            security_group: Some(group.security_group_id),
        }))
    }

    async fn ground_of_group(&mut self) -> Found<Option<Ground>> {
        let group = self.groups(None).await?.into_iter().next();
        let Some(group) = group else {
            if let Some(id) = &self.query.security_group {
                let subject = format!("security group {id}");
                let problem = format!("there is none in {}", self.query.region);
                let hint = "name one of the region in instance.security-group, or leave it out to have a temporary network";
                self.note(subject, &problem, Some(hint));
            }
            return Ok(None);
        };
        let action = DescribeVSwitches {
            region_id: self.query.region.clone(),
            vpc_id: Some(group.vpc_id.clone()),
            page_size: Some(50),
            ..DescribeVSwitches::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let mut vswitches = answer.vswitches.vswitch;
        vswitches.sort_by_key(|vswitch| !vswitch.is_default);
        if vswitches.is_empty() {
            self.note(
                format!("security group {}", group.security_group_id),
                "its network has no vSwitch",
                Some("make one, or leave instance.security-group out"),
            );
            return Ok(None);
        }
        Ok(Some(Ground {
            vswitches,
            security_group: Some(group.security_group_id),
        }))
    }

    async fn groups(&self, vpc: Option<&VpcId>) -> Found<Vec<SecurityGroup>> {
        let action = DescribeSecurityGroups {
            region_id: self.query.region.clone(),
            security_group_id: self.query.security_group.clone(),
            vpc_id: vpc.cloned(),
            max_results: Some(100),
            ..DescribeSecurityGroups::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        Ok(answer.security_groups.security_group)
    }

    /// The types in stock that fit, best first, each with a zone.
    pub(super) async fn candidates(
        &mut self,
        image: &ImageFacts,
        ground: &Ground,
    ) -> Found<Vec<Candidate>> {
        let mut found = self.stock(ground).await?;
        let types = self.types(image).await?;
        found.retain(|one| types.iter().any(|kind| kind.name == one.instance_type));
        let prices = self.prices(&found, &types).await?;
        let named = &self.query.instance_types;
        found.sort_by_key(|one| {
            let place = named.iter().position(|name| *name == one.instance_type);
            let kind = types.iter().find(|kind| kind.name == one.instance_type);
            let size = kind.map(|kind| (kind.cpu, kind.memory_mib));
            let price = prices.get(&(one.instance_type.clone(), one.zone.clone()));
            let price = price.copied().unwrap_or(u64::MAX);
            // Among named types their order counts, and then only the zone's price.
            let size = if named.is_empty() { size } else { None };
            let name = one.instance_type.clone();
            (place, size, price, name)
        });
        let found = best(found, named.len());
        if found.is_empty() {
            let subject = match named.as_slice() {
                [] => "instance type".to_owned(),
                names => format!("instance type {}", names.join(", ")),
            };
            let problem = format!(
                "none is in stock in {} that fits the image ({}, at least {} MiB of memory)",
                self.query.region,
                image.architecture,
                image.least_memory()
            );
            let hint = if self.query.spot {
                "name other ones in instance.type, another region, or leave instance.spot out"
            } else {
                "name other ones in instance.type, or another region"
            };
            self.note(subject, &problem, Some(hint));
        }
        Ok(found)
    }

    /// What is in stock where instances can be put.
    async fn stock(&self, ground: &Ground) -> Found<Vec<Candidate>> {
        let named = &self.query.instance_types;
        let action = DescribeAvailableResource {
            region_id: self.query.region.clone(),
            destination_resource: "InstanceType".into(),
            instance_charge_type: Some("PostPaid".into()),
            spot_strategy: self.query.spot.then(|| super::SPOT.to_owned()),
            instance_type: match named.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
            ..DescribeAvailableResource::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let mut found = Vec::new();
        for zone in answer.available_zones.available_zone {
            let mut vswitches = ground.vswitches.iter();
            let vswitch = vswitches.find(|one| one.zone_id == zone.zone_id);
            if vswitch.is_none() && !ground.is_temporary() {
                continue;
            }
            let resources = zone.available_resources.available_resource.iter();
            for resource in resources.flat_map(|one| &one.supported_resources.supported_resource) {
                let wanted = named.is_empty() || named.contains(&resource.value);
                if resource.status == "Available" && wanted {
                    found.push(Candidate {
                        instance_type: resource.value.clone(),
                        zone: zone.zone_id.clone(),
                        vswitch: vswitch.map(|one| one.vswitch_id.clone()),
                    });
                }
            }
        }
        Ok(found)
    }

    /// The types that fit the image, smallest first. One that nobody has named must have
    /// no part that an image has no use for: graphics, or disks of its own.
    async fn types(&self, image: &ImageFacts) -> Found<Vec<Kind>> {
        let named = &self.query.instance_types;
        let arm = image.architecture == "arm64";
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..PAGES {
            let some = named.len() <= NAMED_AT_ONCE;
            let action = DescribeInstanceTypes {
                instance_types: if some { named.clone() } else { Vec::new() },
                cpu_architecture: Some(if arm { "ARM" } else { "X86" }.into()),
                max_results: Some(1000),
                next_token: next.take(),
                ..DescribeInstanceTypes::default()
            };
            let answer = self.call(&self.query.region, &action).await?;
            found.extend(answer.instance_types.instance_type);
            if answer.next_token.is_empty() {
                break;
            }
            next = Some(answer.next_token);
        }
        let wanted = if arm { "ARM" } else { "X86" };
        found.retain(|one| one.cpu_architecture.is_empty() || one.cpu_architecture == wanted);
        if named.is_empty() {
            found.retain(|one| one.gpu_amount == 0 && one.local_storage_amount == 0);
        }
        let mut kinds: Vec<Kind> = found.into_iter().map(Kind::from).collect();
        kinds.retain(|kind| kind.memory_mib >= image.least_memory());
        kinds.sort_by(|a, b| {
            let size = |kind: &Kind| (kind.cpu, kind.memory_mib);
            size(a).cmp(&size(b)).then_with(|| a.name.cmp(&b.name))
        });
        Ok(kinds)
    }

    /// Millionths of the currency an hour, by type and zone, as far as the cloud says. That
    /// it may not say is no reason not to build. Of types that nobody has named those are
    /// asked for that are tried first: the smallest ones.
    async fn prices(
        &self,
        found: &[Candidate],
        types: &[Kind],
    ) -> Found<BTreeMap<(String, ZoneId), u64>> {
        let mut prices = BTreeMap::new();
        if found.len() <= 1 {
            return Ok(prices);
        }
        let in_stock = |kind: &&Kind| found.iter().any(|one| one.instance_type == kind.name);
        let size = |kind: &Kind| (kind.cpu, kind.memory_mib);
        let smallest = types.iter().find(in_stock).map(size);
        let named = !self.query.instance_types.is_empty();
        let first = |kind: &&Kind| in_stock(kind) && (named || Some(size(kind)) == smallest);
        for kind in types.iter().filter(first).take(PRICED) {
            let action = DescribeSpotPriceHistory {
                region_id: self.query.region.clone(),
                network_type: "vpc".into(),
                instance_type: kind.name.clone(),
                ..DescribeSpotPriceHistory::default()
            };
            let answer = match self.call(&self.query.region, &action).await {
                Ok(answer) => answer,
                Err(Failure::Final(_)) => return Ok(prices),
                Err(failure) => return Err(failure),
            };
            // In the order of time: the last of a zone is what it costs now.
            for price in answer.spot_prices.spot_price_type {
                let asked = if self.query.spot {
                    price.spot_price
                } else {
                    price.origin_price
                };
                prices.insert((kind.name.clone(), price.zone_id), millionths(asked));
            }
        }
        Ok(prices)
    }
}

/// The candidates that are tried, of those in the order in which they would be. Where
/// several types are named, none is left out because the one before is in many zones.
fn best(found: Vec<Candidate>, named: usize) -> Vec<Candidate> {
    let share = CANDIDATES.div_ceil(named.max(1));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        found.into_iter().enumerate().partition(|(_, one)| {
            let zones = seen.entry(one.instance_type.clone()).or_default();
            *zones += 1;
            named == 0 || *zones <= share
        });
    first.extend(rest);
    first.truncate(CANDIDATES);
    first.sort_by_key(|(place, _)| *place);
    first.into_iter().map(|(_, one)| one).collect()
}

/// An instance type, as far as it is compared.
struct Kind {
    name: String,
    cpu: u32,
    memory_mib: u64,
}

impl From<InstanceType> for Kind {
    fn from(found: InstanceType) -> Self {
        Self {
            name: found.instance_type_id,
            cpu: found.cpu_core_count,
            // MiB, so that half a GiB is told apart.
            memory_mib: whole(found.memory_size * 1024.0),
        }
    }
}

fn millionths(price: f64) -> u64 {
    whole(price * 1e6)
}

/// A small positive number without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "memory in MiB and prices are small, and a cast of others saturates"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_in_many_zones_leaves_room_for_the_next() {
        let candidate = |name: &str, zone: usize| Candidate {
            instance_type: name.into(),
            zone: format!("cn-hangzhou-{zone}").parse().unwrap(),
            vswitch: None,
        };
        let of = |name: &'static str| (0..8).map(move |zone| candidate(name, zone));
        let names = |found: Vec<Candidate>| {
            let names = found.into_iter().map(|one| one.instance_type);
            names.collect::<Vec<_>>().concat()
        };
        let both: Vec<_> = of("a").chain(of("b")).collect();
        assert_eq!(names(best(both.clone(), 2)), "aaabbb");
        assert_eq!(names(best(both, 0)), "aaaaaa");
        let few: Vec<_> = of("a").chain(of("b").take(1)).collect();
        assert_eq!(names(best(few, 2)), "aaaaab");
        assert_eq!(names(best(of("a").take(2).collect(), 1)), "aa");
    }
}
