//! Who asks, and how much an account may have.
//!
//! An account of this cloud has one key, which is the account's own: there are no users and
//! no rights. A refusal by RAM is planted with a fault plan (`Forbidden.RAM`).

use darkroom_ecs::action::{
    AccountAttributeItem, AccountAttributeItems, AccountAttributeValue, AccountAttributeValues,
    DescribeAccountAttributes, DescribeAccountAttributesResponse, GetCallerIdentity,
    GetCallerIdentityResponse,
};
use darkroom_ecs::id::{AccountId, RegionId};
use rusqlite::Transaction;

use super::{Context, Serve};
use crate::catalogue;
use crate::fault::Fault;
use crate::state::lookup;
use crate::state::quotas;
use crate::state::store::StoreError;

/// Attributes that one request may ask for.
const AT_ONCE: usize = 8;

impl Serve for GetCallerIdentity {
    async fn serve(self, cx: &Context) -> Result<GetCallerIdentityResponse, Fault> {
        let account = cx.account.to_string();
        Ok(GetCallerIdentityResponse {
            arn: format!("acs:ram::{account}:root"),
            identity_type: "Account".to_owned(),
            principal_id: account.clone(),
            user_id: account.clone(),
            account_id: account,
            ..GetCallerIdentityResponse::default()
        })
    }
}

/// The vCPUs of an account's instances in a region, whether they are on or off.
pub(super) fn vcpus(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
) -> Result<u64, StoreError> {
    let of = |(kind, count): &(String, u32)| {
        let cpu = catalogue::instance_type(kind).map_or(0, |kind| kind.cpu);
        u64::from(cpu) * u64::from(*count)
    };
    Ok(lookup::types(tx, region, account)?.iter().map(of).sum())
}

impl Serve for DescribeAccountAttributes {
    async fn serve(self, cx: &Context) -> Result<DescribeAccountAttributesResponse, Fault> {
        if self.attribute_name.len() > AT_ONCE {
            let why = format!("no more than {AT_ONCE} names are taken");
            return Err(Fault::invalid("AttributeName", &why));
        }
        let (account, region) = (cx.account.clone(), self.region_id.clone());
        let (quotas, used) = cx
            .cloud
            .store
            .read(move |tx| Ok::<_, StoreError>((quotas::get(tx)?, vcpus(tx, &account, &region)?)))
            .await?;
        let most = quotas.vcpus.to_string();
        // There are no others here: an instance is a spot one by its price only.
        let known = [
            ("instance-network-type", "vpc".to_owned()),
            ("max-postpaid-instance-vcpu-count", most.clone()),
            ("max-spot-instance-vcpu-count", most),
            ("used-postpaid-instance-vcpu-count", used.to_string()),
            ("used-spot-instance-vcpu-count", used.to_string()),
            ("max-security-groups", quotas.security_groups.to_string()),
            ("real-name-authentication", "yes".to_owned()),
        ];
        let asked = |name: &str| {
            self.attribute_name.is_empty() || self.attribute_name.iter().any(|one| one == name)
        };
        let item = |(name, value): (&str, String)| AccountAttributeItem {
            attribute_name: name.to_owned(),
            attribute_values: AccountAttributeValues {
                value_item: vec![AccountAttributeValue {
                    value,
                    ..AccountAttributeValue::default()
                }],
            },
        };
        let items = known.into_iter().filter(|(name, _)| asked(name)).map(item);
        Ok(DescribeAccountAttributesResponse {
            account_attribute_items: AccountAttributeItems {
                account_attribute_item: items.collect(),
            },
            ..DescribeAccountAttributesResponse::default()
        })
    }
}
