//! `DescribeImageSharePermission`: lists the accounts that an image is shared with.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ImageId, RegionId};

/// Lists the accounts that an image is shared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImageSharePermission {
    /// The region.
    pub region_id: RegionId,
    /// The image.
    pub image_id: ImageId,
    /// Page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// Entries a page, 1 to 100, 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
}

/// The answer to [`DescribeImageSharePermission`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeImageSharePermissionResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The region that was asked for.
    pub region_id: RegionId,
    /// The image.
    pub image_id: ImageId,
    /// How many match on all pages.
    pub total_count: u32,
    /// The page that this is.
    pub page_number: u32,
    /// Entries a page.
    pub page_size: u32,
    /// The accounts of this page.
    pub accounts: Accounts,
    /// The groups of accounts.
    pub share_groups: ShareGroups,
}

/// The wrapper of the list of accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Accounts {
    /// One entry an account.
    pub account: Vec<Account>,
}

/// An account that may use the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Account {
    /// Its id.
    pub aliyun_id: AccountId,
    /// When it was given the image.
    pub shared_time: String,
}

/// The wrapper of the list of groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroups {
    /// One entry a group.
    pub share_group: Vec<ShareGroup>,
}

/// A group of accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ShareGroup {
    /// `all` for a community image.
    pub group: String,
}
