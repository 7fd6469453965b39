//! A reboot step: over when the boot id has changed and the agent answers.

use std::time::Duration;

use super::record::AttemptRecord;
use super::request::{Target, command};
use super::revive::{has_stopped, revive, through_losses};
use super::script;
use crate::operation::Operation;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// The bare command that tells one boot from another.
pub const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id\n";

/// Seconds until one look at the boot id is given up.
pub const PROBE_SECONDS: u32 = 10;

/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(5);

/// Reboots and waits; the record says the boot id before and after.
pub(super) async fn reboot(
    scope: &Scope,
    target: &Target,
    timeout_seconds: u32,
) -> Result<AttemptRecord, Stop> {
    let before = through_losses(scope, target, "order", |scope| async move {
        order(&scope, target).await
    })
    .await?;
    darkroom_failpoint::reach("engine.reboot").await;
    let mut pause = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    let after = loop {
        let look = scope.scope("look");
        match probe(&look, target).await? {
            Some(now) if now != before => break Some(now),
            _ if waited >= Duration::from_secs(timeout_seconds.into()) => break None,
            // Its power was cut: nobody else starts it again.
            None if has_stopped(&look, target).await? => {
                revive(&look, target).await?;
            }
            _ => {}
        }
        scope.sleep(pause).await?;
        waited += pause;
        pause = (pause * 3 / 2).min(LONGEST);
    };
    Ok(AttemptRecord {
        attempt: "1".into(),
        ended: match &after {
            Some(after) => format!("boot id {before}, then {after}"),
            None => format!("no new boot id within {timeout_seconds} s"),
        },
        interrupted: false,
        exit_code: after.as_ref().map(|_| 0),
        size: 0,
        sha256: String::new(),
        log: String::new(),
        started: String::new(),
        finished: String::new(),
        unmet: match after {
            Some(_) => Vec::new(),
            None => vec![format!("no new boot id within {timeout_seconds} s")],
        },
    })
}

/// Orders the reboot, and gives the boot id before it; none while the agent is away.
async fn order(scope: &Scope, target: &Target) -> Result<Option<String>, Stop> {
    let Some(before) = probe(scope, target).await? else {
        return Ok(None);
    };
    darkroom_failpoint::reach("engine.order").await;
    scope
        .run(Operation::Reboot {
            region: target.region.clone(),
            instance: target.instance.clone(),
            before: before.clone(),
        })
        .await?;
    Ok(Some(before))
}

/// The present boot id; none while the agent doesn't answer, or the cloud refuses to
/// ask it.
async fn probe(scope: &Scope, target: &Target) -> Result<Option<String>, Stop> {
    let request = command(target, "boot id", BOOT_ID, PROBE_SECONDS);
    match script::send(scope, target, &request, "", PROBE_SECONDS).await {
        Ok(ended) if ended.succeeded() => Ok(Some(ended.text().trim().to_owned())),
        Ok(_) | Err(Stop::Failed(Trouble::Refused { .. })) => Ok(None),
        Err(stop) => Err(stop),
    }
}
