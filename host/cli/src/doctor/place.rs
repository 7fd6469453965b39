//! What a template names and needs: its source image, instances in stock, and whether the
//! account may have as much.

use std::collections::BTreeMap;

use darkroom_ecs::action::{
    DescribeAccountAttributes, DescribeInstanceTypes, DescribeSecurityGroups, DescribeVpcs,
};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_engine::survey::{self, Query, Survey};
use darkroom_engine::{Problem, Trouble};
use darkroom_journal::Failure as Unsolved;
use darkroom_template::Resolved;

use super::{Check, Finding, Report, Subject};

/// VPCs of an account in a region when nobody has asked for more. How many more is the quota
/// centre's to say, which is not asked.
const USUAL_VPCS: u32 = 10;

/// The instances that a run has at the same time: the one that is built on is released when
/// the image is good.
const AT_ONCE: u64 = 2;

/// Looks at the source image, the stock and the network as a build would.
pub(crate) async fn look(subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Survey> {
    let template = subject.template;
    // A name that a run would make up is free; one that the template says must be.
    let name = match &template.image.name {
        Some(name) => name.value.clone(),
        None => format!("{}-doctor", template.name.value),
    };
    let survey = match Query::of(template, name) {
        Ok(query) => survey::look(subject.client, &query).await,
        Err(trouble) => Err(Unsolved::Final(trouble)),
    };
    match survey {
        Ok(survey) => {
            let image = &survey.image;
            let text = format!("{} ({}), {} GiB", image.name, image.os_name, image.size);
            report.add(Finding::ok(Check::Source, text));
            report.add(stock(template, &survey));
            for kind in sold_out(template, &survey) {
                report.add(kind);
            }
            Some(survey)
        }
        Err(Unsolved::Final(Trouble::Inputs { problems })) => {
            problems
                .iter()
                .map(of_problem)
                .for_each(|one| report.add(one));
            None
        }
        Err(Unsolved::Final(trouble) | Unsolved::Unavailable(trouble)) => {
            let text = format!("what the template names can't be looked at: {trouble}");
            let finding = Finding::warning(Check::Source, text);
            report.add(trouble.hint().into_iter().fold(finding, Finding::hint));
            None
        }
    }
}

fn of_problem(problem: &Problem) -> Finding {
    let subject = problem.subject.as_str();
    let check = if subject.starts_with("instance type") {
        Check::Stock
    } else if subject.starts_with("vSwitch") || subject.starts_with("security group") {
        Check::Egress
    } else {
        Check::Source
    };
    let finding = Finding::error(check, format!("{subject}: {}", problem.problem));
    problem.hint.iter().cloned().fold(finding, Finding::hint)
}

fn stock(template: &Resolved, survey: &Survey) -> Finding {
    let Some(first) = survey.candidates.first() else {
        return Finding::error(Check::Stock, "nothing is in stock that fits");
    };
    let text = match survey.candidates.len() - 1 {
        0 => format!(
            "{} in {}, and nothing else",
            first.instance_type, first.zone
        ),
        more => format!(
            "{} in {}, else {more} others",
            first.instance_type, first.zone
        ),
    };
    if survey.candidates.len() > 1 {
        return Finding::ok(Check::Stock, text);
    }
    let hint = if template.instance.vswitch.is_some() {
        "more types in instance.type, or no instance.vswitch, leave a choice when it is sold out"
    } else {
        "more types in instance.type leave a choice when it is sold out"
    };
    Finding::warning(Check::Stock, text).hint(hint)
}

/// Types that the template names, in vain today.
fn sold_out(template: &Resolved, survey: &Survey) -> Vec<Finding> {
    let named = template.instance.types.iter().map(|kind| &kind.value);
    let missing = named.filter(|kind| {
        let mut candidates = survey.candidates.iter();
        candidates.all(|one| one.instance_type != **kind)
    });
    let finding = |kind: &String| {
        let text = format!("{kind} is not in stock there, or does not fit the image");
        Finding::warning(Check::Stock, text).hint("the next one of instance.type is taken")
    };
    missing.map(finding).collect()
}

/// Looks at what the account may have. Without a template at what it has.
pub(crate) async fn quota(
    client: &Client,
    region: &RegionId,
    template: Option<(&Resolved, &Survey)>,
    report: &mut Report<'_>,
) {
    let spot = template.is_some_and(|(template, _)| template.instance.spot);
    let kind = if spot { "spot" } else { "postpaid" };
    let [most, used] = ["max", "used"].map(|what| format!("{what}-{kind}-instance-vcpu-count"));
    let names = [most.as_str(), used.as_str(), GROUPS, REAL_NAME];
    let asked = DescribeAccountAttributes {
        region_id: region.clone(),
        attribute_name: names.map(str::to_owned).to_vec(),
        ..DescribeAccountAttributes::default()
    };
    let known: BTreeMap<_, _> = match client.call(region, &asked).await {
        Ok(answer) => {
            let items = answer.account_attribute_items.account_attribute_item;
            let first = items.into_iter().filter_map(|item| {
                let value = item.attribute_values.value_item.into_iter().next()?;
                Some((item.attribute_name, value.value))
            });
            first.collect()
        }
        Err(error) => {
            return report.add(Finding::unseen(
                Check::Quota,
                "the account's quotas",
                &error,
            ));
        }
    };
    let number = |name: &str| known.get(name)?.parse::<u64>().ok();
    let cores = match template {
        Some((_, survey)) => cores(client, region, survey).await,
        None => None,
    };
    report.add(vcpus(kind, number(&most), number(&used), cores));
    if known.get(REAL_NAME).is_some_and(|value| value == "none") {
        let text = "the account's owner is not verified: there are no instances for it in the \
                    regions of mainland China";
        let hint = "verify the account, or name a region elsewhere";
        report.add(Finding::warning(Check::Quota, text).hint(hint));
    }
    let own_network = |(template, _): (&Resolved, &Survey)| {
        template.instance.vswitch.is_none() && template.instance.security_group.is_none()
    };
    if template.is_some_and(own_network) {
        network(client, region, number(GROUPS), report).await;
    }
    report.add(Finding::ok(
        Check::Quota,
        "those of images and snapshots can't be asked here: a build that meets one says so",
    ));
}

const GROUPS: &str = "max-security-groups";
const REAL_NAME: &str = "real-name-authentication";

/// vCPUs of the instance that would be made.
async fn cores(client: &Client, region: &RegionId, survey: &Survey) -> Option<u64> {
    let kind = survey.candidates.first()?.instance_type.clone();
    let asked = DescribeInstanceTypes {
        instance_types: vec![kind],
        ..DescribeInstanceTypes::default()
    };
    let found = client.call(region, &asked).await.ok()?;
    let kind = found.instance_types.instance_type.into_iter().next()?;
    Some(u64::from(kind.cpu_core_count))
}

fn vcpus(kind: &str, most: Option<u64>, used: Option<u64>, cores: Option<u64>) -> Finding {
    let (Some(most), Some(used)) = (most, used) else {
        let text = format!("the cloud does not say how many vCPUs of {kind} instances are left");
        return Finding::warning(Check::Quota, text);
    };
    let left = most.saturating_sub(used);
    let text = format!("{left} of {most} vCPUs of {kind} instances are left");
    let Some(cores) = cores else {
        return if left == 0 {
            Finding::error(Check::Quota, text).hint(MORE)
        } else {
            Finding::ok(Check::Quota, text)
        };
    };
    let all = cores * AT_ONCE;
    let text = format!("{text}; a run has {AT_ONCE} instances of {cores} at once");
    if left < cores {
        Finding::error(Check::Quota, text).hint(MORE)
    } else if left < all {
        Finding::warning(Check::Quota, text).hint(MORE)
    } else {
        Finding::ok(Check::Quota, text)
    }
}

const MORE: &str = "release instances (`darkroom gc --dry-run` shows what dead runs left), or ask \
                    for a higher quota in the console's quota centre";

/// What a temporary network needs.
async fn network(client: &Client, region: &RegionId, groups: Option<u64>, report: &mut Report<'_>) {
    let vpcs = DescribeVpcs {
        region_id: region.clone(),
        page_size: Some(1),
        ..DescribeVpcs::default()
    };
    match client.call(region, &vpcs).await {
        Ok(found) if found.total_count >= USUAL_VPCS => {
            let text = format!(
                "VPCs: {}, and the run makes one more: an account has {USUAL_VPCS} unless it was \
                 given more, which can't be asked here",
                found.total_count
            );
            let hint = "name instance.vswitch, or look at the console's quota centre";
            report.add(Finding::warning(Check::Quota, text).hint(hint));
        }
        Ok(found) => {
            let text = format!("VPCs: {}, and the run makes one more", found.total_count);
            report.add(Finding::ok(Check::Quota, text));
        }
        Err(error) => report.add(Finding::unseen(
            Check::Quota,
            "how many VPCs there are",
            &error,
        )),
    }
    let asked = DescribeSecurityGroups {
        region_id: region.clone(),
        page_number: Some(1),
        page_size: Some(1),
        ..DescribeSecurityGroups::default()
    };
    let there = client.call(region, &asked).await;
    let there = there.ok().map(|found| u64::from(found.total_count));
    if let Some((most, there)) = groups.zip(there).filter(|(most, there)| there >= most) {
        let text = format!("all {most} security groups of the account are there ({there})");
        let hint = "delete some, or name instance.security-group";
        report.add(Finding::error(Check::Quota, text).hint(hint));
    }
}
