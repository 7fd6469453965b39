//! `DescribeInstanceTypes`: lists instance types with their vCPUs, memory and architecture.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

/// Lists instance types with their vCPUs, memory and architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypes {
    /// Only these types, such as `ecs.g7.large`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_types: Vec<String>,
    /// Only this family, such as `ecs.g7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type_family: Option<String>,
    /// `X86` or `ARM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_architecture: Option<String>,
    /// At least this many vCPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_cpu_core_count: Option<u32>,
    /// At most this many vCPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_cpu_core_count: Option<u32>,
    /// At least this much memory, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_memory_size: Option<f64>,
    /// At most this much memory, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_memory_size: Option<f64>,
    /// `required`, `supported` or `unsupported`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvme_support: Option<String>,
    /// Entries a page, at most 1600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Where the page begins: the `NextToken` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The answer to [`DescribeInstanceTypes`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstanceTypesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// Where the next page begins; empty at the end.
    pub next_token: String,
    /// The types that match.
    pub instance_types: InstanceTypes,
}

/// The wrapper of the list of types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceTypes {
    /// One entry a type.
    pub instance_type: Vec<InstanceType>,
}

/// An instance type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceType {
    /// Its name, such as `ecs.g7.large`.
    pub instance_type_id: String,
    /// Its family, such as `ecs.g7`.
    pub instance_type_family: String,
    /// vCPUs.
    pub cpu_core_count: u32,
    /// Memory in GiB.
    pub memory_size: f64,
    /// `X86` or `ARM`.
    pub cpu_architecture: String,
    /// `required`, `supported` or `unsupported`.
    pub nvme_support: String,
    /// Kind of its local disks; empty when it has none.
    pub local_storage_category: String,
    /// How many local disks it has.
    pub local_storage_amount: u32,
    /// How many GPUs it has.
    #[serde(rename = "GPUAmount")]
    pub gpu_amount: u32,
    /// `General-purpose`, `Shared`, ...
    pub instance_category: String,
}
