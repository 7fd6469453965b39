//! `DescribeAccountAttributes`: says what an account may have in a region.
//!
//! Only the shapes on the wire, for clients and servers alike. No rules stand here: a
//! server checks what it is asked for.

use serde::{Deserialize, Serialize};

use crate::id::{RegionId, ZoneId};

/// Says what an account may have in a region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAccountAttributes {
    /// The region.
    pub region_id: RegionId,
    /// Only in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<ZoneId>,
    /// What is asked for, up to 8, such as `max-postpaid-instance-vcpu-count`; all when
    /// absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribute_name: Vec<String>,
}

/// The answer to [`DescribeAccountAttributes`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeAccountAttributesResponse {
    /// Id of the request, for support.
    pub request_id: String,
    /// The attributes.
    pub account_attribute_items: AccountAttributeItems,
}

/// The wrapper of the list of attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AccountAttributeItems {
    /// One entry an attribute.
    pub account_attribute_item: Vec<AccountAttributeItem>,
}

/// What an account has of one kind, or may have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AccountAttributeItem {
    /// Of what it speaks.
    pub attribute_name: String,
    /// What it says.
    pub attribute_values: AccountAttributeValues,
}

/// The wrapper of the list of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AccountAttributeValues {
    /// One entry, or one a zone.
    pub value_item: Vec<AccountAttributeValue>,
}

/// A value, which is a number or a word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AccountAttributeValue {
    /// The value.
    pub value: String,
    /// Until when it holds, if it ends.
    pub expired_time: String,
    /// The zone that it is about, if it is about one.
    pub zone_id: String,
}
