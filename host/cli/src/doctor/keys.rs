//! Whose keys they are, when they end, and whether the account may use the region.

use darkroom_ecs::action::{DescribeRegions, GetCallerIdentity};
use darkroom_ecs::client::{CallError, Client};
use darkroom_ecs::id::RegionId;
use darkroom_template::Cloud;
use jiff::Timestamp;

use super::{Check, Finding, Report};
use crate::cloud::access::Access;

/// Looks at the keys that were found; whether calls can be signed with them.
pub(crate) async fn look(
    access: &Access,
    client: &Client,
    region: &RegionId,
    cloud: Cloud,
    report: &mut Report<'_>,
) -> bool {
    let identity = client.call(region, &GetCallerIdentity::default()).await;
    let ends = access.keyring.expires().await;
    match identity {
        Ok(who) => {
            let until = match ends {
                Some(at) => format!("; they end at {at} and are renewed before"),
                None => String::new(),
            };
            let text = format!("keys from {}, of {}{until}", access.from, who.arn);
            report.add(Finding::ok(Check::Credentials, text));
            if cloud == Cloud::Aliyun && who.arn.ends_with(":root") {
                let text = "they are the account's own, which may do everything in it";
                let hint = "make a RAM user or role with the policy that `darkroom policy \
                            image.yaml --on aliyun` prints, and use its keys";
                report.add(Finding::warning(Check::Credentials, text).hint(hint));
            }
        }
        Err(error) if error.is_unavailable() => {
            report.add(Finding::unseen(
                Check::Credentials,
                "whose keys they are",
                &error,
            ));
        }
        Err(error) => {
            report.add(refused(&access.from, &error));
            return false;
        }
    }
    if let Some(temporary) = unrenewed(access, ends).await {
        report.add(temporary);
    }
    report.add(of_region(client, region).await);
    true
}

fn refused(from: &str, error: &CallError) -> Finding {
    let cause = match error.api() {
        Some(api) => api.to_string(),
        None => error.to_string(),
    };
    let finding = Finding::error(Check::Credentials, format!("keys from {from}: {cause}"));
    error.hint().into_iter().fold(finding, Finding::hint)
}

/// Temporary keys that were written down: nobody here can get new ones.
async fn unrenewed(access: &Access, ends: Option<Timestamp>) -> Option<Finding> {
    let keys = access.keyring.credentials().await.ok()?;
    if keys.security_token.is_none() || ends.is_some() {
        return None;
    }
    let text = "they are temporary, and nothing says when they end: a build that takes longer \
                stops, and can be resumed with new ones";
    let hint = "name a role in a profile of the aliyun command line (mode RamRoleArn or OIDC), \
                whose keys are renewed";
    Some(Finding::warning(Check::Credentials, text).hint(hint))
}

/// Whether the account may use the region.
async fn of_region(client: &Client, region: &RegionId) -> Finding {
    let regions = match client.call(region, &DescribeRegions::default()).await {
        Ok(answer) => answer.regions.region,
        Err(error) => return Finding::unseen(Check::Region, "the account's regions", &error),
    };
    if regions.iter().any(|one| one.region_id == *region) {
        return Finding::ok(Check::Region, format!("{region} is one of the account's"));
    }
    let known: Vec<_> = regions.iter().map(|one| one.region_id.as_str()).collect();
    let text = format!("the account has no region {region}");
    let hint = format!("name one of these with --region: {}", known.join(", "));
    Finding::error(Check::Region, text).hint(hint)
}
