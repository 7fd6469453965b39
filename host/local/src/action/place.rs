//! Regions, zones, instance types and what is in stock.

use darkroom_ecs::action::{
    AvailableDiskCategories, AvailableInstanceTypes, AvailableResource, AvailableResourceCreation,
    AvailableResources, AvailableZone, AvailableZones, DescribeAvailableResource,
    DescribeAvailableResourceResponse, DescribeInstanceTypes, DescribeInstanceTypesResponse,
    DescribePrice, DescribePriceResponse, DescribeRegions, DescribeRegionsResponse,
    DescribeSpotPriceHistory, DescribeSpotPriceHistoryResponse, DescribeZones,
    DescribeZonesResponse, InstanceType, InstanceTypes, Price, PriceInfo, Region, Regions,
    SpotPrice, SpotPrices, SupportedResource, SupportedResources, Zone, Zones,
};
use darkroom_ecs::error::ErrorCode;

use super::words::seconds;
use super::{Context, Serve};
use crate::catalogue::{self, ARM, DISK_CATEGORIES, TYPES};
use crate::fault::Fault;
use crate::state::stock::{self, Stock};

impl Serve for DescribeRegions {
    async fn serve(self, _cx: &Context) -> Result<DescribeRegionsResponse, Fault> {
        let region = |(id, name): &(&str, &str)| Region {
            region_id: id.parse().unwrap_or_default(),
            region_endpoint: format!("ecs.{id}.aliyuncs.com"),
            local_name: (*name).to_owned(),
            status: "available".to_owned(),
        };
        Ok(DescribeRegionsResponse {
            regions: Regions {
                region: catalogue::REGIONS.iter().map(region).collect(),
            },
            ..DescribeRegionsResponse::default()
        })
    }
}

impl Serve for DescribeZones {
    async fn serve(self, cx: &Context) -> Result<DescribeZonesResponse, Fault> {
        let stock = cx.cloud.store.read(stock::all).await?;
        let region = self.region_id.as_str();
        let zone = |zone: darkroom_ecs::id::ZoneId| {
            let has = |id: &str| stock::has(&stock, region, zone.as_str(), id);
            let types = TYPES.iter().map(|kind| kind.id).filter(|id| has(id));
            Zone {
                available_instance_types: AvailableInstanceTypes {
                    instance_types: types.map(str::to_owned).collect(),
                },
                local_name: zone.to_string(),
                zone_type: "AvailabilityZone".to_owned(),
                available_resource_creation: AvailableResourceCreation {
                    resource_types: ["VSwitch", "IoOptimized", "Instance", "Disk"]
                        .map(str::to_owned)
                        .to_vec(),
                },
                available_disk_categories: AvailableDiskCategories {
                    disk_categories: DISK_CATEGORIES.iter().map(ToString::to_string).collect(),
                },
                zone_id: zone,
            }
        };
        Ok(DescribeZonesResponse {
            zones: Zones {
                zone: catalogue::zones(&self.region_id)
                    .into_iter()
                    .map(zone)
                    .collect(),
            },
            ..DescribeZonesResponse::default()
        })
    }
}

impl Serve for DescribeInstanceTypes {
    async fn serve(self, _cx: &Context) -> Result<DescribeInstanceTypesResponse, Fault> {
        let found = TYPES
            .iter()
            .filter(|kind| fits(kind, &self))
            .map(|kind| InstanceType {
                instance_type_id: kind.id.to_owned(),
                instance_type_family: kind.family.to_owned(),
                cpu_core_count: kind.cpu,
                memory_size: gib(kind.memory_mib),
                cpu_architecture: architecture(kind).to_owned(),
                nvme_support: "unsupported".to_owned(),
                local_storage_category: String::new(),
                local_storage_amount: 0,
                gpu_amount: 0,
                instance_category: "General-purpose".to_owned(),
            });
        Ok(DescribeInstanceTypesResponse {
            instance_types: InstanceTypes {
                instance_type: found.collect(),
            },
            ..DescribeInstanceTypesResponse::default()
        })
    }
}

fn architecture(kind: &catalogue::InstanceType) -> &'static str {
    if kind.architecture == ARM {
        "ARM"
    } else {
        "X86"
    }
}

fn gib(mib: u64) -> f64 {
    f64::from(u32::try_from(mib).unwrap_or(u32::MAX)) / 1024.0
}

fn fits(kind: &catalogue::InstanceType, asked: &DescribeInstanceTypes) -> bool {
    let memory = gib(kind.memory_mib);
    let named = &asked.instance_types;
    (named.is_empty() || named.iter().any(|id| id == kind.id))
        && asked
            .instance_type_family
            .as_ref()
            .is_none_or(|family| family == kind.family)
        && asked
            .cpu_architecture
            .as_ref()
            .is_none_or(|text| text == architecture(kind))
        && asked
            .minimum_cpu_core_count
            .is_none_or(|least| kind.cpu >= least)
        && asked
            .maximum_cpu_core_count
            .is_none_or(|most| kind.cpu <= most)
        && asked
            .minimum_memory_size
            .is_none_or(|least| memory >= least)
        && asked.maximum_memory_size.is_none_or(|most| memory <= most)
        && asked
            .nvme_support
            .as_ref()
            .is_none_or(|text| text != "required")
}

/// What a spot instance costs, of what an ordinary one does.
const SPOT_SHARE: f64 = 0.3;

impl Serve for DescribeSpotPriceHistory {
    async fn serve(self, cx: &Context) -> Result<DescribeSpotPriceHistoryResponse, Fault> {
        let kind = catalogue::instance_type(&self.instance_type).ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidInstanceTypeNotFound,
                format!(
                    "The specified InstanceType {} does not exist.",
                    self.instance_type
                ),
            )
        })?;
        if self.network_type != "vpc" {
            return Err(Fault::invalid("NetworkType", "it must be vpc"));
        }
        let mut zones = catalogue::zones(&self.region_id);
        zones.retain(|zone| self.zone_id.as_ref().is_none_or(|wanted| wanted == zone));
        let yuan = yuan(kind.price);
        let price = |zone_id| SpotPrice {
            zone_id,
            instance_type: kind.id.to_owned(),
            network_type: "vpc".to_owned(),
            io_optimized: "optimized".to_owned(),
            spot_price: yuan * SPOT_SHARE,
            origin_price: yuan,
            timestamp: seconds(cx.now),
        };
        Ok(DescribeSpotPriceHistoryResponse {
            currency: "CNY".to_owned(),
            spot_prices: SpotPrices {
                spot_price_type: zones.into_iter().map(price).collect(),
            },
            ..DescribeSpotPriceHistoryResponse::default()
        })
    }
}

/// Of this cloud's own list: what a month of it would come to at Alibaba Cloud is another
/// matter.
impl Serve for DescribePrice {
    async fn serve(self, _cx: &Context) -> Result<DescribePriceResponse, Fault> {
        let is =
            |given: &Option<String>, only: &str| given.as_deref().is_none_or(|one| one == only);
        if !is(&self.resource_type, "instance") {
            return Err(Fault::unsupported("ResourceType"));
        }
        if !is(&self.price_unit, "Hour") {
            return Err(Fault::unsupported("PriceUnit"));
        }
        let wanted = self
            .instance_type
            .ok_or_else(|| Fault::missing_parameter("InstanceType"))?;
        let kind = catalogue::instance_type(&wanted).ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidInstanceTypeNotFound,
                format!("The specified InstanceType {wanted} does not exist."),
            )
        })?;
        let disk = self.system_disk.unwrap_or_default();
        let size = disk.size.unwrap_or(super::image::BASE_SIZE);
        let spot = self
            .spot_strategy
            .is_some_and(|strategy| strategy != "NoSpot");
        let share = if spot { SPOT_SHARE } else { 1.0 };
        let disk = yuan(catalogue::DISK_PRICE * u64::from(size));
        let each = yuan(kind.price) * share + disk;
        let count = self.amount.unwrap_or(1).max(1) * self.period.unwrap_or(1).max(1);
        let full = (yuan(kind.price) + disk) * f64::from(count);
        let paid = each * f64::from(count);
        Ok(DescribePriceResponse {
            price_info: PriceInfo {
                price: Price {
                    currency: "CNY".to_owned(),
                    original_price: full,
                    discount_price: full - paid,
                    trade_price: paid,
                },
            },
            ..DescribePriceResponse::default()
        })
    }
}

fn yuan(millionths: u64) -> f64 {
    f64::from(u32::try_from(millionths).unwrap_or(u32::MAX)) / 1e6
}

impl Serve for DescribeAvailableResource {
    async fn serve(self, cx: &Context) -> Result<DescribeAvailableResourceResponse, Fault> {
        let stock = cx.cloud.store.read(stock::all).await?;
        let zones = catalogue::zones(&self.region_id);
        if let Some(zone) = self.zone_id.as_ref().filter(|zone| !zones.contains(zone)) {
            return Err(Fault::missing(
                ErrorCode::InvalidZoneIdNotFound,
                format!("The specified ZoneId {zone} does not exist."),
            ));
        }
        let wanted = zones
            .into_iter()
            .filter(|zone| self.zone_id.as_ref().is_none_or(|only| only == zone));
        let mut found = Vec::new();
        for zone in wanted {
            let resources = resources(&self, &stock, zone.as_str())?;
            let any = resources
                .iter()
                .any(|resource| resource.status == "Available");
            found.push(AvailableZone {
                region_id: self.region_id.clone(),
                zone_id: zone,
                status: status(any).to_owned(),
                status_category: category(any).to_owned(),
                available_resources: AvailableResources {
                    available_resource: vec![AvailableResource {
                        r#type: self.destination_resource.clone(),
                        supported_resources: SupportedResources {
                            supported_resource: resources,
                        },
                    }],
                },
            });
        }
        Ok(DescribeAvailableResourceResponse {
            available_zones: AvailableZones {
                available_zone: found,
            },
            ..DescribeAvailableResourceResponse::default()
        })
    }
}

fn status(any: bool) -> &'static str {
    if any { "Available" } else { "SoldOut" }
}

fn category(any: bool) -> &'static str {
    if any { "WithStock" } else { "WithoutStock" }
}

fn resources(
    asked: &DescribeAvailableResource,
    stock: &[Stock],
    zone: &str,
) -> Result<Vec<SupportedResource>, Fault> {
    let region = asked.region_id.as_str();
    let line = |value: &str, any: bool| SupportedResource {
        value: value.to_owned(),
        status: status(any).to_owned(),
        status_category: category(any).to_owned(),
        ..SupportedResource::default()
    };
    let has = |id: &str| stock::has(stock, region, zone, id);
    match asked.destination_resource.as_str() {
        "InstanceType" => Ok(TYPES
            .iter()
            .filter(|kind| asked.instance_type.as_ref().is_none_or(|id| id == kind.id))
            .filter(|kind| asked.cores.is_none_or(|cores| cores == kind.cpu))
            .filter(|kind| {
                let memory = gib(kind.memory_mib);
                asked
                    .memory
                    .is_none_or(|asked| (asked - memory).abs() < 0.01)
            })
            .map(|kind| line(kind.id, has(kind.id)))
            .collect()),
        "Zone" => Ok(vec![line(zone, TYPES.iter().any(|kind| has(kind.id)))]),
        "SystemDisk" | "DataDisk" => Ok(DISK_CATEGORIES
            .iter()
            .map(|category| SupportedResource {
                min: Some(20),
                max: Some(2048),
                unit: Some("GiB".to_owned()),
                ..line(category, true)
            })
            .collect()),
        "IoOptimized" => Ok(vec![line("optimized", true)]),
        "Network" => Ok(vec![line("vpc", true)]),
        other => Err(Fault::invalid(
            "DestinationResource",
            &format!(
                "'{other}' is none of Zone, IoOptimized, InstanceType, SystemDisk, DataDisk, Network"
            ),
        )),
    }
}
