//! The ECS actions that Darkroom speaks, and those of the products Vpc and STS: a request and a
//! response type for each.
//!
//! Field names are those of the wire in snake case. A list keeps the wire's singular
//! (`instance_id` is `InstanceId.1`, `InstanceId.2`, ...); answers keep the wire's
//! wrappers (`instances.instance`). A field that a request may leave out is an `Option`;
//! a field that an answer leaves out has the default of its type. Bytes stay in the
//! encoding in which they travel.
//!
//! To add an action: a file with its two types here, and its line in the table below.
//! Nothing here sends, signs or checks.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::sts::STS_VERSION;

mod allocate_public_ip_address;
mod authorize_security_group;
mod authorize_security_group_egress;
mod cancel_copy_image;
mod copy_image;
mod create_image;
mod create_instance;
mod create_security_group;
mod create_snapshot;
mod create_vpc;
mod create_vswitch;
mod delete_image;
mod delete_instance;
mod delete_security_group;
mod delete_snapshot;
mod delete_vpc;
mod delete_vswitch;
mod describe_account_attributes;
mod describe_available_resource;
mod describe_cloud_assistant_status;
mod describe_disks;
mod describe_image_from_family;
mod describe_image_share_permission;
mod describe_images;
mod describe_instance_types;
mod describe_instances;
mod describe_invocation_results;
mod describe_invocations;
mod describe_nat_gateways;
mod describe_price;
mod describe_regions;
mod describe_security_group_attribute;
mod describe_security_groups;
mod describe_send_file_results;
mod describe_snapshots;
mod describe_spot_price_history;
mod describe_vpcs;
mod describe_vswitches;
mod describe_zones;
mod get_caller_identity;
mod install_cloud_assistant;
mod modify_image_attribute;
mod modify_image_share_permission;
mod modify_instance_auto_release_time;
mod modify_security_group_policy;
mod reboot_instance;
mod run_command;
mod run_instances;
mod send_file;
pub mod shared;
mod start_instance;
pub mod status;
mod stop_instance;
mod stop_invocation;
mod tag_resources;
mod untag_resources;

pub use allocate_public_ip_address::{AllocatePublicIpAddress, AllocatePublicIpAddressResponse};
pub use authorize_security_group::{AuthorizeSecurityGroup, AuthorizeSecurityGroupResponse};
pub use authorize_security_group_egress::{
    AuthorizeSecurityGroupEgress, AuthorizeSecurityGroupEgressResponse,
};
pub use cancel_copy_image::{CancelCopyImage, CancelCopyImageResponse};
pub use copy_image::{CopyImage, CopyImageResponse};
pub use create_image::{CreateImage, CreateImageResponse, ImageDisk, ImageFeatures};
pub use create_instance::{CreateInstance, CreateInstanceResponse};
pub use create_security_group::{CreateSecurityGroup, CreateSecurityGroupResponse};
pub use create_snapshot::{CreateSnapshot, CreateSnapshotResponse};
pub use create_vpc::{CreateVpc, CreateVpcResponse};
pub use create_vswitch::{CreateVSwitch, CreateVSwitchResponse};
pub use delete_image::{DeleteImage, DeleteImageResponse};
pub use delete_instance::{DeleteInstance, DeleteInstanceResponse};
pub use delete_security_group::{DeleteSecurityGroup, DeleteSecurityGroupResponse};
pub use delete_snapshot::{DeleteSnapshot, DeleteSnapshotResponse};
pub use delete_vpc::{DeleteVpc, DeleteVpcResponse};
pub use delete_vswitch::{DeleteVSwitch, DeleteVSwitchResponse};
pub use describe_account_attributes::{
    AccountAttributeItem, AccountAttributeItems, AccountAttributeValue, AccountAttributeValues,
    DescribeAccountAttributes, DescribeAccountAttributesResponse,
};
pub use describe_available_resource::{
    AvailableResource, AvailableResources, AvailableZone, AvailableZones,
    DescribeAvailableResource, DescribeAvailableResourceResponse, SupportedResource,
    SupportedResources,
};
pub use describe_cloud_assistant_status::{
    DescribeCloudAssistantStatus, DescribeCloudAssistantStatusResponse,
    InstanceCloudAssistantStatus, InstanceCloudAssistantStatusSet,
};
pub use describe_disks::{DescribeDisks, DescribeDisksResponse, Disk, Disks};
pub use describe_image_from_family::{DescribeImageFromFamily, DescribeImageFromFamilyResponse};
pub use describe_image_share_permission::{
    Account, Accounts, DescribeImageSharePermission, DescribeImageSharePermissionResponse,
    ShareGroup, ShareGroups,
};
pub use describe_images::{
    DescribeImages, DescribeImagesResponse, DiskDeviceMapping, DiskDeviceMappings, Image, Images,
};
pub use describe_instance_types::{
    DescribeInstanceTypes, DescribeInstanceTypesResponse, InstanceType, InstanceTypes,
};
pub use describe_instances::{
    DescribeInstances, DescribeInstancesResponse, EipAddress, Instance, InstanceSecurityGroups,
    Instances, IpAddresses, LockReason, OperationLocks, VpcAttributes,
};
pub use describe_invocation_results::{
    DescribeInvocationResults, DescribeInvocationResultsResponse, InvocationPage, InvocationResult,
    InvocationResults,
};
pub use describe_invocations::{
    DescribeInvocations, DescribeInvocationsResponse, Invocation, Invocations, InvokeInstance,
    InvokeInstances,
};
pub use describe_nat_gateways::{
    DescribeNatGateways, DescribeNatGatewaysResponse, NatAddress, NatAddresses, NatGateway,
    NatGateways,
};
pub use describe_price::{DescribePrice, DescribePriceResponse, Price, PriceInfo, SystemDiskPrice};
pub use describe_regions::{DescribeRegions, DescribeRegionsResponse, Region, Regions};
pub use describe_security_group_attribute::{
    DescribeSecurityGroupAttribute, DescribeSecurityGroupAttributeResponse, Permission, Permissions,
};
pub use describe_security_groups::{
    DescribeSecurityGroups, DescribeSecurityGroupsResponse, SecurityGroup, SecurityGroups,
};
pub use describe_send_file_results::{
    DescribeSendFileResults, DescribeSendFileResultsResponse, FileInvocation, FileInvocations,
    FileInvokeInstance, FileInvokeInstances,
};
pub use describe_snapshots::{DescribeSnapshots, DescribeSnapshotsResponse, Snapshot, Snapshots};
pub use describe_spot_price_history::{
    DescribeSpotPriceHistory, DescribeSpotPriceHistoryResponse, SpotPrice, SpotPrices,
};
pub use describe_vpcs::{DescribeVpcs, DescribeVpcsResponse, Vpc, VpcTags, VpcVSwitchIds, Vpcs};
pub use describe_vswitches::{DescribeVSwitches, DescribeVSwitchesResponse, VSwitch, VSwitches};
pub use describe_zones::{
    AvailableDiskCategories, AvailableInstanceTypes, AvailableResourceCreation, DescribeZones,
    DescribeZonesResponse, Zone, Zones,
};
pub use get_caller_identity::{GetCallerIdentity, GetCallerIdentityResponse};
pub use install_cloud_assistant::{InstallCloudAssistant, InstallCloudAssistantResponse};
pub use modify_image_attribute::{ModifyImageAttribute, ModifyImageAttributeResponse};
pub use modify_image_share_permission::{
    ModifyImageSharePermission, ModifyImageSharePermissionResponse,
};
pub use modify_instance_auto_release_time::{
    ModifyInstanceAutoReleaseTime, ModifyInstanceAutoReleaseTimeResponse,
};
pub use modify_security_group_policy::{
    ModifySecurityGroupPolicy, ModifySecurityGroupPolicyResponse,
};
pub use reboot_instance::{RebootInstance, RebootInstanceResponse};
pub use run_command::{RunCommand, RunCommandResponse};
pub use run_instances::{DataDisk, InstanceIdSets, RunInstances, RunInstancesResponse, SystemDisk};
pub use send_file::{SendFile, SendFileResponse};
pub use shared::{CommaList, Filter, JsonList, Tag, TagEntry, Tags, TextBool};
pub use start_instance::{StartInstance, StartInstanceResponse};
pub use status::{
    CommandType, ContentEncoding, DiskStatus, ImageStatus, InstanceStatus, InvocationStatus,
    SnapshotStatus,
};
pub use stop_instance::{StopInstance, StopInstanceResponse};
pub use stop_invocation::{StopInvocation, StopInvocationResponse};
pub use tag_resources::{TagResources, TagResourcesResponse};
pub use untag_resources::{UntagResources, UntagResourcesResponse};

/// The version of the ECS API.
pub const VERSION: &str = "2014-05-26";

/// The version of the API of the product Vpc, whose endpoints are others. ECS has some of
/// its actions too, of old and without tags; by their version one tells them apart.
pub const VPC_VERSION: &str = "2016-04-28";

/// A request type, tied to its name on the wire and to its response type.
pub trait Action: Serialize + DeserializeOwned + Send + Sync {
    /// The value of `Action`.
    const NAME: &'static str;
    /// The value of `Version`.
    const VERSION: &'static str = VERSION;
    /// Whether it changes anything (a `DryRun` of it doesn't).
    const MUTATING: bool;
    /// What a success answers.
    type Response: Serialize + DeserializeOwned + Send;
}

/// What is known of an action without its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// The value of `Action`.
    pub name: &'static str,
    /// The value of `Version`.
    pub version: &'static str,
    /// Whether it changes anything.
    pub mutating: bool,
}

/// Finds an action of [`ACTIONS`] by its name, exactly as spelt there.
pub fn info(name: &str) -> Option<&'static Info> {
    ACTIONS.iter().find(|info| info.name == name)
}

/// Actions that change something and that do no more twice than once, although they take
/// no `ClientToken`: they set a state or remove a thing. The client repeats them when it
/// does not know what came of them, and so does the engine.
pub const IDEMPOTENT: &[&str] = &[
    "AllocatePublicIpAddress",
    "AuthorizeSecurityGroup",
    "AuthorizeSecurityGroupEgress",
    "CancelCopyImage",
    "DeleteImage",
    "DeleteInstance",
    "DeleteSecurityGroup",
    "DeleteSnapshot",
    "DeleteVSwitch",
    "DeleteVpc",
    "InstallCloudAssistant",
    "ModifyImageAttribute",
    "ModifyImageSharePermission",
    "ModifyInstanceAutoReleaseTime",
    "ModifySecurityGroupPolicy",
    "StartInstance",
    "StopInstance",
    "StopInvocation",
    "TagResources",
    "UntagResources",
];

macro_rules! actions {
    ($( $name:ident $response:ident $mutating:literal $($version:ident)?; )+) => {
        $(
            impl Action for $name {
                const NAME: &'static str = stringify!($name);
                $( const VERSION: &'static str = $version; )?
                const MUTATING: bool = $mutating;
                type Response = $response;
            }
        )+

        /// Every action, by which other tables are checked to be complete.
        pub const ACTIONS: &[Info] = &[
            $( Info { name: $name::NAME, version: $name::VERSION, mutating: $name::MUTATING }, )+
        ];

        #[cfg(test)]
        fn each_response(mut check: impl FnMut(&str, fn(&str) -> String)) {
            $( check($name::NAME, |json| {
                let response: $response = serde_json::from_str(json).unwrap();
                let text = serde_json::to_string(&response).unwrap();
                assert_eq!(serde_json::from_str::<$response>(&text).unwrap(), response);
                text
            }); )+
        }
    };
}

actions! {
    GetCallerIdentity GetCallerIdentityResponse false STS_VERSION;
    DescribeAccountAttributes DescribeAccountAttributesResponse false;
    DescribeRegions DescribeRegionsResponse false;
    DescribeZones DescribeZonesResponse false;
    DescribeAvailableResource DescribeAvailableResourceResponse false;
    DescribeInstanceTypes DescribeInstanceTypesResponse false;
    DescribeSpotPriceHistory DescribeSpotPriceHistoryResponse false;
    DescribePrice DescribePriceResponse false;
    DescribeImages DescribeImagesResponse false;
    DescribeImageFromFamily DescribeImageFromFamilyResponse false;
    CreateVpc CreateVpcResponse true VPC_VERSION;
    DescribeVpcs DescribeVpcsResponse false VPC_VERSION;
    DeleteVpc DeleteVpcResponse true VPC_VERSION;
    CreateVSwitch CreateVSwitchResponse true VPC_VERSION;
    DescribeVSwitches DescribeVSwitchesResponse false VPC_VERSION;
    DeleteVSwitch DeleteVSwitchResponse true VPC_VERSION;
    CreateSecurityGroup CreateSecurityGroupResponse true;
    AuthorizeSecurityGroup AuthorizeSecurityGroupResponse true;
    AuthorizeSecurityGroupEgress AuthorizeSecurityGroupEgressResponse true;
    ModifySecurityGroupPolicy ModifySecurityGroupPolicyResponse true;
    DeleteSecurityGroup DeleteSecurityGroupResponse true;
    DescribeSecurityGroups DescribeSecurityGroupsResponse false;
    DescribeSecurityGroupAttribute DescribeSecurityGroupAttributeResponse false;
    DescribeNatGateways DescribeNatGatewaysResponse false VPC_VERSION;
    RunInstances RunInstancesResponse true;
    CreateInstance CreateInstanceResponse true;
    AllocatePublicIpAddress AllocatePublicIpAddressResponse true;
    DescribeInstances DescribeInstancesResponse false;
    StartInstance StartInstanceResponse true;
    StopInstance StopInstanceResponse true;
    RebootInstance RebootInstanceResponse true;
    DeleteInstance DeleteInstanceResponse true;
    ModifyInstanceAutoReleaseTime ModifyInstanceAutoReleaseTimeResponse true;
    DescribeCloudAssistantStatus DescribeCloudAssistantStatusResponse false;
    InstallCloudAssistant InstallCloudAssistantResponse true;
    RunCommand RunCommandResponse true;
    DescribeInvocations DescribeInvocationsResponse false;
    DescribeInvocationResults DescribeInvocationResultsResponse false;
    StopInvocation StopInvocationResponse true;
    SendFile SendFileResponse true;
    DescribeSendFileResults DescribeSendFileResultsResponse false;
    CreateImage CreateImageResponse true;
    CopyImage CopyImageResponse true;
    CancelCopyImage CancelCopyImageResponse true;
    ModifyImageAttribute ModifyImageAttributeResponse true;
    ModifyImageSharePermission ModifyImageSharePermissionResponse true;
    DescribeImageSharePermission DescribeImageSharePermissionResponse false;
    DeleteImage DeleteImageResponse true;
    CreateSnapshot CreateSnapshotResponse true;
    DescribeSnapshots DescribeSnapshotsResponse false;
    DeleteSnapshot DeleteSnapshotResponse true;
    DescribeDisks DescribeDisksResponse false;
    TagResources TagResourcesResponse true;
    UntagResources UntagResourcesResponse true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_changes_nothing() {
        for info in ACTIONS {
            assert_eq!(
                info.mutating,
                !info.name.starts_with("Describe") && !info.name.starts_with("Get"),
                "{}",
                info.name
            );
            let network = ["Vpc", "VSwitch", "NatGateway"];
            let version = if info.name == "GetCallerIdentity" {
                STS_VERSION
            } else if network.iter().any(|word| info.name.contains(word)) {
                VPC_VERSION
            } else {
                VERSION
            };
            assert_eq!(info.version, version, "{}", info.name);
        }
        assert_eq!(info("RunInstances").map(|info| info.mutating), Some(true));
        assert_eq!(info("runinstances"), None);
    }

    #[test]
    fn what_is_idempotent_changes_something() {
        for name in IDEMPOTENT {
            assert!(info(name).is_some_and(|info| info.mutating), "{name}");
        }
    }

    #[test]
    fn an_answer_may_leave_out_everything() {
        each_response(|name, read_and_write| {
            assert!(
                read_and_write("{}").contains("\"RequestId\":\"\""),
                "{name}"
            );
        });
    }

    #[test]
    fn every_file_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/action");
        let files = std::fs::read_dir(folder).unwrap();
        let names: Vec<String> = files
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["mod.rs", "shared.rs", "status.rs"].contains(&name.as_str()))
            .map(|name| name.trim_end_matches(".rs").replace('_', ""))
            .collect();
        for name in &names {
            assert!(
                ACTIONS.iter().any(|info| info.name.to_lowercase() == *name),
                "{name}"
            );
        }
        assert_eq!(names.len(), ACTIONS.len());
    }
}
