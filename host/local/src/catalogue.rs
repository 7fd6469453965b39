//! What the cloud has on offer: Alibaba Cloud's regions, their zones, and instance
//! types with prices. A flat table; stock is state (see [`crate::state::stock`]).
//!
//! Used by the actions that describe and check. Prices are round numbers in the
//! order of the real ones; they exist so that choosing the cheapest and adding up
//! the ledger mean something.

use darkroom_ecs::id::{RegionId, ZoneId};

/// One region: its id and its name in English.
pub(crate) const REGIONS: &[(&str, &str)] = &[
    ("cn-qingdao", "China (Qingdao)"),
    ("cn-beijing", "China (Beijing)"),
    ("cn-zhangjiakou", "China (Zhangjiakou)"),
    ("cn-huhehaote", "China (Hohhot)"),
    ("cn-wulanchabu", "China (Ulanqab)"),
    ("cn-hangzhou", "China (Hangzhou)"),
    ("cn-shanghai", "China (Shanghai)"),
    ("cn-nanjing", "China (Nanjing - Local Region)"),
    ("cn-fuzhou", "China (Fuzhou - Local Region)"),
    ("cn-wuhan-lr", "China (Wuhan - Local Region)"),
    ("cn-zhengzhou-jva", "China (Zhengzhou - Joint Venture)"),
    ("cn-shenzhen", "China (Shenzhen)"),
    ("cn-heyuan", "China (Heyuan)"),
    ("cn-guangzhou", "China (Guangzhou)"),
    ("cn-chengdu", "China (Chengdu)"),
    ("cn-hongkong", "China (Hong Kong)"),
    ("ap-southeast-1", "Singapore"),
    ("ap-southeast-3", "Malaysia (Kuala Lumpur)"),
    ("ap-southeast-5", "Indonesia (Jakarta)"),
    ("ap-southeast-6", "Philippines (Manila)"),
    ("ap-southeast-7", "Thailand (Bangkok)"),
    ("ap-northeast-1", "Japan (Tokyo)"),
    ("ap-northeast-2", "South Korea (Seoul)"),
    ("us-west-1", "US (Silicon Valley)"),
    ("us-east-1", "US (Virginia)"),
    ("na-south-1", "Mexico"),
    ("eu-central-1", "Germany (Frankfurt)"),
    ("eu-west-1", "UK (London)"),
    ("me-east-1", "UAE (Dubai)"),
    ("me-central-1", "SAU (Riyadh - Partner Region)"),
];

/// The zones of a region: two, named as the region's kind names them
/// (`cn-hangzhou-a`, `ap-southeast-1a`).
pub(crate) fn zones(region: &RegionId) -> Vec<ZoneId> {
    let text = region.to_string();
    let digit = text.ends_with(|last: char| last.is_ascii_digit());
    let dash = if digit { "" } else { "-" };
    ["a", "b"]
        .iter()
        .filter_map(|letter| format!("{text}{dash}{letter}").parse().ok())
        .collect()
}

/// Whether Alibaba Cloud has this region.
pub(crate) fn is_region(region: &str) -> bool {
    REGIONS.iter().any(|(id, _)| *id == region)
}

/// A processor architecture in the words of an image.
pub(crate) const X86: &str = "x86_64";
/// The same for ARM.
pub(crate) const ARM: &str = "arm64";

/// One instance type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstanceType {
    pub(crate) id: &'static str,
    pub(crate) family: &'static str,
    pub(crate) cpu: u32,
    pub(crate) memory_mib: u64,
    pub(crate) architecture: &'static str,
    /// Millionths of a yuan an hour.
    pub(crate) price: u64,
}

const fn kind(
    id: &'static str,
    family: &'static str,
    cpu: u32,
    memory_gib: u64,
    architecture: &'static str,
    price: u64,
) -> InstanceType {
    InstanceType {
        id,
        family,
        cpu,
        memory_mib: memory_gib * 1024,
        architecture,
        price,
    }
}

/// The catalogue, the same in every region.
pub(crate) const TYPES: &[InstanceType] = &[
    kind("ecs.e-c1m1.large", "ecs.e", 2, 2, X86, 90_000),
    kind("ecs.e-c1m2.large", "ecs.e", 2, 4, X86, 140_000),
    kind("ecs.e-c1m4.large", "ecs.e", 2, 8, X86, 210_000),
    kind("ecs.u1-c1m2.large", "ecs.u1", 2, 4, X86, 250_000),
    kind("ecs.u1-c1m4.large", "ecs.u1", 2, 8, X86, 320_000),
    kind("ecs.c7.large", "ecs.c7", 2, 4, X86, 390_000),
    kind("ecs.c7.xlarge", "ecs.c7", 4, 8, X86, 780_000),
    kind("ecs.c7.2xlarge", "ecs.c7", 8, 16, X86, 1_560_000),
    kind("ecs.g7.large", "ecs.g7", 2, 8, X86, 500_000),
    kind("ecs.g7.xlarge", "ecs.g7", 4, 16, X86, 1_000_000),
    kind("ecs.g7.2xlarge", "ecs.g7", 8, 32, X86, 2_000_000),
    kind("ecs.r7.large", "ecs.r7", 2, 16, X86, 660_000),
    kind("ecs.c8y.large", "ecs.c8y", 2, 4, ARM, 330_000),
    kind("ecs.g8y.large", "ecs.g8y", 2, 8, ARM, 420_000),
    kind("ecs.g8y.xlarge", "ecs.g8y", 4, 16, ARM, 840_000),
];

/// The type of this id.
pub(crate) fn instance_type(id: &str) -> Option<InstanceType> {
    TYPES.iter().find(|kind| kind.id == id).copied()
}

/// System disk categories on offer.
pub(crate) const DISK_CATEGORIES: &[&str] = &[
    "cloud_efficiency",
    "cloud_ssd",
    "cloud_essd",
    "cloud_auto",
    "cloud_essd_entry",
];

/// Price of a GiB of disk for an hour, in millionths of a yuan.
pub(crate) const DISK_PRICE: u64 = 2_100;
/// The same for a snapshot.
pub(crate) const SNAPSHOT_PRICE: u64 = 170;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_named_as_alibaba_cloud_names_them() {
        let names = |region: &str| -> Vec<String> {
            zones(&region.parse().unwrap())
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(names("cn-hangzhou"), ["cn-hangzhou-a", "cn-hangzhou-b"]);
        assert_eq!(
            names("ap-southeast-1"),
            ["ap-southeast-1a", "ap-southeast-1b"]
        );
    }

    #[test]
    fn ids_are_unique_and_families_fit() {
        for (at, kind) in TYPES.iter().enumerate() {
            assert!(TYPES[at + 1..].iter().all(|other| other.id != kind.id));
            assert!(kind.id.starts_with(kind.family), "{}", kind.id);
        }
        assert!(is_region("cn-hangzhou") && !is_region("cn-nowhere"));
    }
}
