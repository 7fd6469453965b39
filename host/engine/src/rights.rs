//! What a template can have the engine do to a cloud, action by action, and the RAM policy
//! that allows just that.
//!
//! One table, `RIGHTS`: the action, what of a template leads to it, and whether it only
//! cleans up. A test reads the sources of this crate and holds the table against every action
//! that they name, so that a new call can't be forgotten; another builds and compares with
//! what the cloud recorded. Nothing here calls anything.
//!
//! Where RAM can tell what a run has made from what was there before, by the tag of the run
//! that is on it from its beginning, the policy allows nothing else to be stopped or deleted.
//! Snapshots are the exception: the cloud makes them with an image and tags them later.

use darkroom_ecs::action::{self, VPC_VERSION};
use darkroom_template::{Resolved, Source};
use serde::Serialize;
use serde_json::{Value, json};

use crate::tags;

/// What of a template leads to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Every build does it or may have to.
    Always,
    /// The template names no network, so that one is made.
    OwnNetwork,
    /// It starts from a family.
    Family,
    /// It starts from an instance or a snapshot.
    NoImage,
    /// The image goes to other regions.
    Copies,
    /// Other accounts may use it.
    Shares,
    /// The finished image joins a family.
    JoinsFamily,
}

/// What is done to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It reads.
    Look,
    /// It makes something, or something that has no tag of the run.
    Region,
    /// It changes one thing of this type that carries the run's tag.
    Own(&'static str),
}

#[derive(Clone, Copy)]
struct Right {
    action: &'static str,
    when: When,
    reach: Reach,
    why: &'static str,
    /// Whether it is only done to clean up or to undo.
    cleanup: bool,
}

const fn look(action: &'static str, when: When, why: &'static str) -> Right {
    Right {
        action,
        when,
        reach: Reach::Look,
        why,
        cleanup: false,
    }
}

const fn make(action: &'static str, when: When, why: &'static str) -> Right {
    Right {
        reach: Reach::Region,
        ..look(action, when, why)
    }
}

const fn own(action: &'static str, kind: &'static str, why: &'static str) -> Right {
    Right {
        reach: Reach::Own(kind),
        ..look(action, When::Always, why)
    }
}

const fn undo(right: Right) -> Right {
    Right {
        cleanup: true,
        ..right
    }
}

/// In the order in which a build comes to them.
const RIGHTS: &[Right] = &[
    look(
        "DescribeImages",
        When::Always,
        "find the source image and the run's own",
    ),
    look(
        "DescribeImageFromFamily",
        When::Family,
        "find the newest image of the family",
    ),
    look(
        "DescribeDisks",
        When::NoImage,
        "find the disks that the image begins with",
    ),
    look(
        "DescribeInstanceTypes",
        When::Always,
        "choose an instance type",
    ),
    look(
        "DescribeAvailableResource",
        When::Always,
        "see what is in stock",
    ),
    look(
        "DescribeSpotPriceHistory",
        When::Always,
        "prefer the cheaper of equal types",
    ),
    look(
        "DescribePrice",
        When::Always,
        "say in a plan what the instances cost",
    ),
    look("DescribeVSwitches", When::Always, "find the network"),
    look("DescribeSecurityGroups", When::Always, "find the network"),
    look(
        "DescribeVpcs",
        When::OwnNetwork,
        "wait for the temporary network",
    ),
    make("CreateVpc", When::OwnNetwork, "make a temporary network"),
    make(
        "CreateVSwitch",
        When::OwnNetwork,
        "make a temporary network",
    ),
    make(
        "CreateSecurityGroup",
        When::OwnNetwork,
        "make a temporary network",
    ),
    make(
        "ModifySecurityGroupPolicy",
        When::OwnNetwork,
        "close the temporary network",
    ),
    make(
        "RunInstances",
        When::Always,
        "start the instances to build and test on",
    ),
    look("DescribeInstances", When::Always, "wait for instances"),
    look(
        "DescribeCloudAssistantStatus",
        When::Always,
        "wait for the agent",
    ),
    own(
        "InstallCloudAssistant",
        "instance",
        "install the agent where it is missing",
    ),
    own(
        "StartInstance",
        "instance",
        "start it again after installing the agent",
    ),
    own(
        "RebootInstance",
        "instance",
        "reboot where a step asks for it",
    ),
    own(
        "ModifyInstanceAutoReleaseTime",
        "instance",
        "keep an instance for a run that is resumed late",
    ),
    own(
        "StopInstance",
        "instance",
        "stop it before its image is made",
    ),
    make("RunCommand", When::Always, "run the steps"),
    make("SendFile", When::Always, "send files and long scripts"),
    look(
        "DescribeInvocationResults",
        When::Always,
        "wait for steps and read their output",
    ),
    look(
        "DescribeInvocations",
        When::Always,
        "wait for the steps of several builds at once",
    ),
    look("DescribeSendFileResults", When::Always, "wait for files"),
    make("CreateImage", When::Always, "make the image"),
    make(
        "TagResources",
        When::Always,
        "tag images and their snapshots",
    ),
    make("CopyImage", When::Copies, "copy the image to other regions"),
    make(
        "ModifyImageAttribute",
        When::JoinsFamily,
        "put the tested image into its family",
    ),
    make(
        "ModifyImageSharePermission",
        When::Shares,
        "share the image",
    ),
    look(
        "DescribeRegions",
        When::Always,
        "find in every region what dead runs have left",
    ),
    look(
        "DescribeImageSharePermission",
        When::Always,
        "see whom an image is shared with",
    ),
    look(
        "DescribeSnapshots",
        When::Always,
        "find the snapshots of an image",
    ),
    undo(own("DeleteInstance", "instance", "release the instances")),
    undo(make(
        "CancelCopyImage",
        When::Copies,
        "stop a copy that is no longer wanted",
    )),
    undo(own(
        "DeleteImage",
        "image",
        "discard images that are not kept",
    )),
    undo(make(
        "DeleteSnapshot",
        When::Always,
        "delete the snapshots of discarded images",
    )),
    undo(make(
        "DeleteSecurityGroup",
        When::OwnNetwork,
        "remove the temporary network",
    )),
    undo(make(
        "DeleteVSwitch",
        When::OwnNetwork,
        "remove the temporary network",
    )),
    undo(make(
        "DeleteVpc",
        When::OwnNetwork,
        "remove the temporary network",
    )),
];

/// An action that a template needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// As RAM spells it: `ecs:RunInstances`.
    pub action: String,
    /// What for.
    pub why: &'static str,
    /// Whether it is only done to clean up or to undo.
    pub cleanup: bool,
}

/// What a template needs to be allowed, in the order in which a build comes to it.
pub fn needed(resolved: &Resolved) -> Vec<Needed> {
    needed_by(std::slice::from_ref(resolved))
}

/// The same of several builds, such as the cells of a matrix.
pub fn needed_by(all: &[Resolved]) -> Vec<Needed> {
    let needed = |right: &Right| Needed {
        action: ram(right.action),
        why: right.why,
        cleanup: right.cleanup,
    };
    rights(all).map(needed).collect()
}

/// The least RAM policy with which these builds can be done and cleaned up: an object with
/// `Version` and `Statement`, as RAM takes it.
pub fn policy(all: &[Resolved]) -> Value {
    let mut regions: Vec<String> = Vec::new();
    for region in all.iter().flat_map(self::regions) {
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let named = |reach: &dyn Fn(Reach) -> bool| -> Vec<String> {
        let rights = rights(all).filter(|right| reach(right.reach));
        rights.map(|right| ram(right.action)).collect()
    };
    let places = |kind: &str| -> Vec<String> {
        let place = |region: &String| format!("acs:ecs:{region}:*:{kind}");
        regions.iter().map(place).collect()
    };
    let networks = regions.iter().map(|region| format!("acs:vpc:{region}:*:*"));
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": named(&|reach| reach == Reach::Look),
            "Resource": ["*"],
        }),
        json!({
            "Effect": "Allow",
            "Action": named(&|reach| reach == Reach::Region),
            "Resource": places("*").into_iter().chain(networks).collect::<Vec<_>>(),
        }),
    ];
    for kind in ["instance", "image"] {
        statements.push(json!({
            "Effect": "Allow",
            "Action": named(&|reach| reach == Reach::Own(kind)),
            "Resource": places(&format!("{kind}/*")),
            "Condition": {
                "StringLike": { format!("acs:ResourceTag/{}", tags::RUN): ["*"] },
            },
        }));
    }
    json!({ "Version": "1", "Statement": statements })
}

fn rights(all: &[Resolved]) -> impl Iterator<Item = &'static Right> {
    let needed = |right: &&Right| all.iter().any(|one| holds(right.when, one));
    RIGHTS.iter().filter(needed)
}

fn holds(when: When, resolved: &Resolved) -> bool {
    let instance = &resolved.instance;
    let named = instance.vswitch.is_some() || instance.security_group.is_some();
    match when {
        When::Always => true,
        When::OwnNetwork => !named,
        When::Family => matches!(resolved.source, Source::Family(_)),
        When::NoImage => matches!(resolved.source, Source::Instance(_) | Source::Snapshot(_)),
        When::Copies => regions(resolved).len() > 1,
        When::Shares => !resolved.distribute.accounts.is_empty(),
        When::JoinsFamily => resolved.image.family.is_some(),
    }
}

fn regions(resolved: &Resolved) -> Vec<String> {
    let mut regions = vec![resolved.region.clone()];
    for region in &resolved.distribute.regions {
        if !regions.contains(&region.value) {
            regions.push(region.value.clone());
        }
    }
    regions
}

/// The name of an action in RAM, which has the product in front.
fn ram(name: &str) -> String {
    let of_vpc = action::info(name).is_some_and(|info| info.version == VPC_VERSION);
    format!("{}:{name}", if of_vpc { "vpc" } else { "ecs" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use darkroom_template::{Cloud, ResolveWith, parse};

    use super::*;

    fn resolved(rest: &str) -> Resolved {
        let text = format!("name: web\n{rest}\nbuild: [{{ run: 'true' }}]\n");
        let with = ResolveWith {
            cloud: Cloud::Aliyun,
            parameters: &[],
            region: None,
        };
        parse(&text, "image.yaml").unwrap().resolve(with).unwrap()
    }

    /// The words of all sources below a folder, without comments and without the tables that
    /// know every action.
    fn words(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                words(&path, found);
                continue;
            }
            if ["rights.rs", "effects.rs", "trouble.rs"].contains(&name) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in lines {
                found.extend(
                    line.split(|c: char| !c.is_alphanumeric())
                        .map(str::to_owned),
                );
            }
        }
    }

    #[test]
    fn the_table_has_what_the_engine_calls_and_nothing_else() {
        let mut found = BTreeSet::new();
        words(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        let called: BTreeSet<_> = action::ACTIONS
            .iter()
            .map(|info| info.name)
            .filter(|name| found.contains(*name))
            .collect();
        let listed: BTreeSet<_> = RIGHTS.iter().map(|right| right.action).collect();
        assert_eq!(
            called, listed,
            "left: what host/engine/src names; right: RIGHTS"
        );
        assert_eq!(listed.len(), RIGHTS.len(), "an action stands twice");
    }

    #[test]
    fn what_reads_looks_and_what_changes_does_not() {
        for right in RIGHTS {
            let mutating = action::info(right.action).unwrap().mutating;
            assert_eq!(mutating, right.reach != Reach::Look, "{}", right.action);
            assert!(mutating || !right.cleanup, "{}", right.action);
        }
    }

    #[test]
    fn a_template_is_allowed_what_it_needs() {
        let actions = |rest: &str| -> Vec<String> {
            needed(&resolved(rest))
                .into_iter()
                .map(|one| one.action)
                .collect()
        };
        let has = |rest: &str, action: &str| actions(rest).contains(&action.to_owned());
        let family = "source: { family: debian-12 }";
        let named = "source: { image: m-1 }\ninstance: { vswitch: vsw-1, security-group: sg-1 }";
        assert!(has(family, "vpc:CreateVpc") && has(family, "ecs:DeleteSecurityGroup"));
        assert!(has(family, "ecs:DescribeImageFromFamily"));
        assert!(!has(named, "vpc:CreateVpc") && !has(named, "vpc:DeleteVpc"));
        assert!(!has(named, "ecs:DescribeImageFromFamily"));
        assert!(!has(family, "ecs:CopyImage") && !has(family, "ecs:ModifyImageSharePermission"));
        let wide = "source: { family: debian-12 }\ndistribute: { regions: [cn-beijing, cn-hangzhou], accounts: ['1234567890123456'] }";
        assert!(has(wide, "ecs:CopyImage") && has(wide, "ecs:CancelCopyImage"));
        assert!(has(wide, "ecs:ModifyImageSharePermission"));
        assert!(has("source: { snapshot: s-1 }", "ecs:DescribeDisks"));
    }

    #[test]
    fn the_policy_is_one_that_ram_takes() {
        let policy = policy(&[resolved(
            "source: { image: m-1 }\ninstance: { vswitch: vsw-1 }",
        )]);
        assert_eq!(policy["Version"], "1");
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 4);
        assert_eq!(statements[0]["Resource"], json!(["*"]));
        assert_eq!(
            statements[1]["Resource"],
            json!(["acs:ecs:cn-hangzhou:*:*", "acs:vpc:cn-hangzhou:*:*"])
        );
        assert_eq!(
            statements[3],
            json!({
                "Effect": "Allow",
                "Action": ["ecs:DeleteImage"],
                "Resource": ["acs:ecs:cn-hangzhou:*:image/*"],
                "Condition": { "StringLike": { "acs:ResourceTag/darkroom:run": ["*"] } },
            })
        );
    }
}
