//! What a template needs to be allowed, asked as far as that can be without making anything.
//!
//! Calls that read are made, with `DryRun` where ECS has it: without, RAM answers some of
//! them with an empty list instead of a refusal. Of calls that make something only those are
//! made that have a `DryRun` and that need nothing which isn't there. What a policy allows by
//! the tag of a run can't be asked before there is a run.

use darkroom_ecs::action::{self, DescribeImages, DescribeSecurityGroups, DescribeVSwitches};
use darkroom_ecs::client::{CallError, Class};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, SecurityGroupId, VSwitchId};
use darkroom_ecs::params::Params;
use darkroom_engine::rights::{self, Needed};
use darkroom_engine::survey::Survey;
use darkroom_template::Source;

use super::{Check, Finding, Report, Subject};

/// An image that nobody has: reading it is refused by RAM, or it isn't there.
const NO_IMAGE: &str = "m-00000000000000000000";

/// An instance type that every region knows.
const ANY_TYPE: &str = "ecs.g7.large";

/// What came of asking.
enum Verdict {
    Allowed,
    Refused(CallError),
    /// Nothing was asked, or no answer came.
    Unknown,
}

/// Asks for each action that the template needs.
pub(crate) async fn look(subject: &Subject<'_>, survey: Option<&Survey>, report: &mut Report<'_>) {
    let there = There::look(subject, survey).await;
    let (mut allowed, mut unknown) = (0, Vec::new());
    let needed = rights::needed(subject.template);
    for one in &needed {
        match ask(subject, &there, one).await {
            Verdict::Allowed => allowed += 1,
            Verdict::Unknown => unknown.push(one.action.as_str()),
            Verdict::Refused(error) => report.add(refused(subject, one, &error)),
        }
    }
    let all = needed.len();
    let text = format!("{allowed} of the {all} actions that the template needs are allowed");
    report.add(Finding::ok(Check::Rights, text));
    if !unknown.is_empty() {
        let text = format!(
            "can't be known without making something: {}",
            unknown.join(", ")
        );
        let hint = format!(
            "compare with what `darkroom policy {} --on aliyun` prints",
            subject.words
        );
        report.add(Finding::ok(Check::Rights, text).hint(hint));
    }
}

fn refused(subject: &Subject<'_>, needed: &Needed, error: &CallError) -> Finding {
    let cause = error.api().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "{} is refused, which is needed to {}: {cause}",
        needed.action, needed.why
    );
    Finding::error(Check::Rights, text)
        .hint(format!(
            "allow {} to the RAM user or role of this key",
            needed.action
        ))
        .hint(format!(
            "`darkroom policy {} --on aliyun` prints a policy that is enough",
            subject.words
        ))
}

async fn ask(subject: &Subject<'_>, there: &There, needed: &Needed) -> Verdict {
    let name = needed.action.rsplit(':').next().unwrap_or_default();
    let Some((info, params)) = action::info(name).zip(probe(name, subject, there)) else {
        return Verdict::Unknown;
    };
    let call = subject
        .client
        .call_raw(subject.region, name, info.version, &params);
    match call.await {
        Ok(_) => Verdict::Allowed,
        Err(error) if is_refusal(&error) => Verdict::Refused(error),
        // Any other code was given to somebody who may ask.
        Err(error) if error.api().is_some() && !error.is_unavailable() => Verdict::Allowed,
        Err(_) => Verdict::Unknown,
    }
}

fn is_refusal(error: &CallError) -> bool {
    let known = [
        ErrorCode::ForbiddenRam,
        ErrorCode::ForbiddenUnauthorized,
        ErrorCode::ForbiddenSubUser,
        ErrorCode::NoPermission,
    ];
    error.class() == Class::Mistake && error.code().is_some_and(|code| known.contains(code))
}

/// What is there already, and so can be named in a question.
struct There {
    /// An image of the account's own.
    image: Option<ImageId>,
    /// A network.
    network: Option<(VSwitchId, SecurityGroupId)>,
    /// What an instance would be made of, and its type.
    source: Option<(ImageId, String)>,
}

impl There {
    async fn look(subject: &Subject<'_>, survey: Option<&Survey>) -> Self {
        let images = DescribeImages {
            region_id: subject.region.clone(),
            image_owner_alias: Some("self".to_owned()),
            page_size: Some(1),
            ..DescribeImages::default()
        };
        let images = subject.client.call(subject.region, &images).await;
        let first = images
            .ok()
            .and_then(|found| found.images.image.into_iter().next());
        let source = survey.and_then(|survey| {
            let candidate = survey.candidates.first()?;
            Some((survey.image.id.clone(), candidate.instance_type.clone()))
        });
        Self {
            image: first.map(|image| image.image_id),
            network: network(subject, survey).await,
            source,
        }
    }
}

/// The network that the template names, else any of the account's.
async fn network(
    subject: &Subject<'_>,
    survey: Option<&Survey>,
) -> Option<(VSwitchId, SecurityGroupId)> {
    let named = survey.and_then(|survey| {
        let candidate = survey.candidates.first()?;
        candidate.vswitch.clone().zip(survey.security_group.clone())
    });
    if named.is_some() {
        return named;
    }
    let zone = survey.and_then(|survey| Some(survey.candidates.first()?.zone.clone()));
    let vswitches = DescribeVSwitches {
        region_id: subject.region.clone(),
        zone_id: zone,
        page_size: Some(1),
        ..DescribeVSwitches::default()
    };
    let found = subject.client.call(subject.region, &vswitches).await.ok()?;
    let vswitch = found.vswitches.vswitch.into_iter().next()?;
    let groups = DescribeSecurityGroups {
        region_id: subject.region.clone(),
        vpc_id: Some(vswitch.vpc_id),
        max_results: Some(10),
        ..DescribeSecurityGroups::default()
    };
    let found = subject.client.call(subject.region, &groups).await.ok()?;
    let group = found.security_groups.security_group.into_iter().next()?;
    Some((vswitch.vswitch_id, group.security_group_id))
}

/// The harmless call that shows whether an action is allowed; none where there is none.
fn probe(name: &str, subject: &Subject<'_>, there: &There) -> Option<Params> {
    let dry = ("DryRun", "true");
    let own = || Some(there.image.as_ref()?.as_str());
    let asked = match name {
        "DescribeImages"
        | "DescribeDisks"
        | "DescribeInstances"
        | "DescribeSnapshots"
        | "DescribeSecurityGroups"
        | "DescribeVpcs"
        | "CreateVpc" => vec![dry],
        "DescribeImageFromFamily" => match &subject.template.source {
            Source::Family(family) => vec![("ImageFamily", family.value.as_str())],
            _ => return None,
        },
        "DescribeInstanceTypes" => vec![("InstanceTypes.1", ANY_TYPE)],
        "DescribeAvailableResource" => vec![("DestinationResource", "Zone")],
        "DescribePrice" => vec![("ResourceType", "instance"), ("InstanceType", ANY_TYPE)],
        "DescribeSpotPriceHistory" => vec![("NetworkType", "vpc"), ("InstanceType", ANY_TYPE)],
        "DescribeVSwitches" => vec![("PageSize", "1")],
        "DescribeRegions" => return Some(Params::new()),
        "DescribeCloudAssistantStatus"
        | "DescribeInvocationResults"
        | "DescribeSendFileResults" => Vec::new(),
        "DescribeImageSharePermission" => vec![("ImageId", own().unwrap_or(NO_IMAGE))],
        "RunInstances" => {
            let (image, kind) = there.source.as_ref()?;
            let (vswitch, group) = there.network.as_ref()?;
            vec![
                ("ImageId", image.as_str()),
                ("InstanceType", kind),
                ("VSwitchId", vswitch.as_str()),
                ("SecurityGroupId", group.as_str()),
                dry,
            ]
        }
        // Even where somebody takes no notice of `DryRun`, these would change nothing.
        "ModifyImageAttribute" | "ModifyImageSharePermission" => vec![("ImageId", own()?), dry],
        _ => return None,
    };
    let region = ("RegionId", subject.region.as_str());
    Some(std::iter::once(region).chain(asked).collect())
}
