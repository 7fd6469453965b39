//! Bringing the Cloud Assistant agent to an instance whose image has none.
//!
//! ```text
//! no answer ── InstallCloudAssistant, stop, start ── answers ──────────────> brought
//!                                                 └─ another instance, with
//!                                                    user data ── answers ─> brought
//!                                                              └───────────> error
//! ```
//! The restart is a stop and a start: a reboot is told from none by the boot id, which
//! only an agent could say.

use std::time::Duration;

use darkroom_ecs::action::{InstallCloudAssistant, InstanceStatus, StartInstance, StopInstance};
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_journal::Waited;

use super::launch::{Launched, STOP, Wish, boot, target};
use super::network::Network;
use crate::carry::{Target, meet, up};
use crate::event::{Kind, Level};
use crate::operation::{Condition, Operation};
use crate::survey::ImageFacts;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// How long the instance without agent may take to go.
const GONE: Duration = Duration::from_mins(10);

/// How often the patience with an agent fits into the wait for one that user data
/// installs, which is downloaded first.
const DOWNLOADS: u32 = 3;

/// Brings the agent to `launched`, or to another instance in its place.
pub(super) async fn bring(
    scope: &Scope,
    wish: Wish<'_>,
    network: &mut Option<Network>,
    launched: Launched,
) -> Result<Launched, Stop> {
    let work = wish.work;
    let say = |level, text: String| {
        work.events.tell(Kind::Message {
            path: wish.purpose.into(),
            level,
            text,
        });
    };
    let waited = work.patience.as_secs();
    say(
        Level::Info,
        format!("no agent has answered within {waited} s: it is installed"),
    );
    let install = scope.scope("install");
    match install_and_restart(&install, &target(work, &launched.instance), work.patience).await {
        Ok(true) => {
            return Ok(Launched {
                agent_brought: true,
                ..launched
            });
        }
        Ok(false) => {}
        Err(Stop::Failed(trouble)) => say(Level::Warning, trouble.to_string()),
        Err(stop) => return Err(stop),
    }
    let Some(user_data) = user_data(&wish.survey.image, &work.region) else {
        let problem = "InstallCloudAssistant did not bring one";
        return Err(missing(&wish, &launched, problem));
    };
    say(
        Level::Info,
        "InstallCloudAssistant has brought no agent: another instance installs it by user data"
            .into(),
    );
    release(&scope.scope("replace"), &wish, &launched).await?;
    let scope = scope.scope("with user data");
    let wish = Wish {
        user_data: Some(user_data),
        ..wish
    };
    let launched = wish.make(&scope, network).await?;
    let limit = work.patience * DOWNLOADS;
    let target = target(work, &launched.instance);
    let met = meet(&scope, &target, limit).await;
    if met.map_err(|stop| boot(&target, stop))? {
        return Ok(Launched {
            agent_brought: true,
            ..launched
        });
    }
    Err(missing(
        &wish,
        &launched,
        "neither InstallCloudAssistant nor user data brought one",
    ))
}

fn missing(wish: &Wish<'_>, launched: &Launched, problem: &str) -> Stop {
    Stop::Failed(Trouble::Boot {
        instance: launched.instance.to_string(),
        problem: format!(
            "image {} has no Cloud Assistant agent, and {problem}",
            wish.image
        ),
        hint: Some(
            "install the agent into the image, or build from one that has it, as public images do; user data needs cloud-init in the image".into(),
        ),
    })
}

async fn install_and_restart(
    scope: &Scope,
    target: &Target,
    patience: Duration,
) -> Result<bool, Stop> {
    let request = InstallCloudAssistant {
        region_id: target.region.clone(),
        instance_id: vec![target.instance.clone()],
    };
    let operation = Operation::ecs(&target.region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    darkroom_failpoint::reach("engine.agent-installed").await;
    let request = StopInstance {
        instance_id: target.instance.clone(),
        // Its place must not be given away.
        stopped_mode: Some("KeepCharging".into()),
        ..StopInstance::default()
    };
    let operation = Operation::ecs(&target.region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    stopped(scope, &target.region, &target.instance).await?;
    let request = StartInstance {
        instance_id: target.instance.clone(),
        ..StartInstance::default()
    };
    let operation = Operation::ecs(&target.region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    up(scope, target).await?;
    meet(scope, target, patience).await
}

async fn stopped(scope: &Scope, region: &RegionId, instance: &InstanceId) -> Result<(), Stop> {
    let condition = Condition::Instance {
        region: region.clone(),
        instance: instance.clone(),
        status: InstanceStatus::Stopped,
    };
    match scope.wait(condition, STOP).await? {
        Waited::Ready(_) => Ok(()),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the stop of instance {instance}"),
            seconds: STOP.as_secs(),
        })),
    }
}

/// The instance that stays without agent goes, before another one is made: both are
/// found by the same tags.
async fn release(scope: &Scope, wish: &Wish<'_>, launched: &Launched) -> Result<(), Stop> {
    scope.undo(&launched.undo).await?;
    let condition = Condition::InstancesGone {
        region: wish.work.region.clone(),
        run: wish.work.run.clone(),
        purpose: wish.purpose.into(),
    };
    match scope.wait(condition, GONE).await? {
        Waited::Ready(_) => Ok(()),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the deletion of instance {}", launched.instance),
            seconds: GONE.as_secs(),
        })),
    }
}

/// What installs the agent at the first start, by Alibaba Cloud's documented commands
/// from the region's own OSS, which needs no way to the internet. None where they are
/// not known.
fn user_data(image: &ImageFacts, region: &RegionId) -> Option<String> {
    if image.architecture != "x86_64" {
        return None;
    }
    let host = format!("https://aliyun-client-assist-{region}.oss-{region}-internal.aliyuncs.com");
    if image.os_type == "windows" {
        let setup = "C:\\aliyun_agent_latest_setup.exe";
        return Some(format!(
            "[powershell]\nInvoke-WebRequest -Uri '{host}/windows/aliyun_agent_latest_setup.exe' -OutFile '{setup}'\n& '{setup}' '/S' '--register'\n"
        ));
    }
    let (file, install) = match image.machine().distribution.as_str() {
        "debian" | "ubuntu" => ("aliyun_assist_latest.deb", "dpkg -i"),
        "alinux" | "centos" | "centos-stream" | "rhel" | "almalinux" | "rocky-linux" | "anolis"
        | "fedora" | "opensuse-leap" | "sles" => ("aliyun_assist_latest.rpm", "rpm -ivh --force"),
        _ => return None,
    };
    Some(format!(
        "#!/bin/sh\ncd /tmp || exit 1\nurl={host}/linux/{file}\n\
         for try in 1 2 3 4 5 6; do\n  \
         curl -fsSO \"$url\" || wget -q \"$url\" && break\n  sleep 5\ndone\n\
         {install} {file} && rm -f {file}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(platform: &str, os_type: &str, architecture: &str) -> Option<String> {
        let facts = ImageFacts {
            id: "m-1".parse().unwrap(),
            name: String::new(),
            size: 20,
            os_type: os_type.into(),
            os_name: String::new(),
            platform: platform.into(),
            architecture: architecture.into(),
        };
        user_data(&facts, &"eu-west-1".parse().unwrap())
    }

    #[test]
    fn each_distribution_has_its_package_from_the_regions_own_storage() {
        let debian = text("Debian", "linux", "x86_64").unwrap();
        assert!(debian.starts_with("#!/bin/sh\n"), "{debian}");
        assert!(debian.contains(
            "https://aliyun-client-assist-eu-west-1.oss-eu-west-1-internal.aliyuncs.com/linux/aliyun_assist_latest.deb"
        ));
        for platform in ["RedHat", "Aliyun", "Rocky Linux", "SUSE", "CentOS Stream"] {
            let text = text(platform, "linux", "x86_64").unwrap();
            assert!(text.contains("rpm -ivh --force aliyun_assist_latest.rpm"));
        }
        let windows = text("Windows Server 2022", "windows", "x86_64").unwrap();
        assert!(windows.starts_with("[powershell]\n"));
        assert_eq!(text("Gentoo", "linux", "x86_64"), None);
        assert_eq!(text("Debian", "linux", "arm64"), None);
    }
}
