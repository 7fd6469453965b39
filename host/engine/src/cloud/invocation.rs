//! Commands in instances: their outcome, boot ids and reboots.

use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::action::{
    DescribeInvocationResults, InstanceStatus, InvocationResult, RebootInstance, RunCommand,
};
use darkroom_ecs::id::{InstanceId, InvokeId, RegionId};
use darkroom_journal::{Attempt, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Cloud, params_of};
use crate::carry::{BOOT_ID, Invocation, Target, command};
use crate::event::Kind;
use crate::trouble::Trouble;
use crate::waiter::{Command, between};

/// Bytes of a running command's output that are shown.
const SHOWN: usize = 6000;

/// How long a bare command of the host's own may take, in seconds.
pub(super) const BARE_SECONDS: u32 = 60;

impl Cloud {
    pub(super) async fn poll_invocation(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        invoke: &InvokeId,
        step: &str,
        since: Timestamp,
    ) -> Result<Option<Value>, Failure<Trouble>> {
        let found = self
            .look_at_command(region, instance, invoke, since)
            .await?;
        let result = match found {
            Some(Command::Alone(result)) => Some(*result),
            Some(Command::Running) if !self.is_shown_again(step) => None,
            Some(Command::Running) | None => self.result(region, instance, invoke).await?,
        };
        let Some(result) = result else {
            return Ok(None);
        };
        if result.invocation_status.is_final() {
            let invocation = Invocation::from(result).masked(self.vault().masker());
            return serde_json::to_value(invocation)
                .map(Some)
                .map_err(|error| Failure::Final(Trouble::internal("Invocation", &error)));
        }
        if !step.is_empty() {
            let output = STANDARD.decode(&result.output).unwrap_or_default();
            if !output.is_empty() {
                let output = self.vault().masker().growing(&output);
                let start = output.len().saturating_sub(SHOWN);
                self.show(step, String::from_utf8_lossy(&output[start..]).into_owned());
            }
        }
        Ok(None)
    }

    /// Shows the end of a step's output, if it is another one than before.
    fn show(&self, step: &str, text: String) {
        let now = self.clock.now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = shown.insert(step.into(), (now, text.clone()));
        if before.is_some_and(|(_, before)| before == text) {
            return;
        }
        drop(shown);
        self.events.tell(Kind::StepOutput {
            path: step.into(),
            text,
        });
    }

    /// Whether a running step's output is asked for, beside whether it runs: at the pace
    /// of people, not of polls.
    fn is_shown_again(&self, step: &str) -> bool {
        if step.is_empty() {
            return false;
        }
        let now = self.clock.now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, _) = shown.entry(step.into()).or_insert((now, String::new()));
        let due = between(*at, now) >= self.pace.most;
        if due {
            *at = now;
        }
        due
    }

    pub(super) async fn result(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        invoke: &InvokeId,
    ) -> Result<Option<InvocationResult>, Failure<Trouble>> {
        let action = DescribeInvocationResults {
            region_id: region.clone(),
            invoke_id: Some(invoke.clone()),
            instance_id: Some(instance.clone()),
            ..DescribeInvocationResults::default()
        };
        let answer = self.call(region, &action).await?;
        let results = answer.invocation.invocation_results.invocation_result;
        Ok(results.into_iter().next())
    }

    /// Runs a bare command, one that may be run any number of times, to its end.
    pub(super) async fn bare(
        &self,
        target: &Target,
        name: &str,
        content: &str,
        token: Uuid,
    ) -> Result<Invocation, Failure<Trouble>> {
        let region = &target.region;
        let mut params = params_of(&command(target, name, content, BARE_SECONDS))?;
        params.insert("ClientToken", token.to_string());
        let request: RunCommand = darkroom_ecs::params::from_params(&params)
            .map_err(|error| Failure::Final(Trouble::internal("RunCommand", &error)))?;
        let sent = self.call(region, &request).await?;
        let mut polls = 0;
        let mut waited = Duration::ZERO;
        loop {
            if let Some(result) = self
                .result(region, &target.instance, &sent.invoke_id)
                .await?
                && result.invocation_status.is_final()
            {
                return Ok(Invocation::from(result));
            }
            if waited > Duration::from_secs(2 * u64::from(BARE_SECONDS)) {
                return Err(Failure::Unavailable(Trouble::TooLong {
                    subject: format!("{name} on {}", target.instance),
                    seconds: waited.as_secs(),
                }));
            }
            let interval = self.pace.interval(polls);
            polls += 1;
            waited += interval;
            self.pause(interval).await;
        }
    }

    /// Reboots, unless an earlier attempt has: then the boot id is no longer `before`,
    /// or the instance is on its way and its agent doesn't answer. The cloud refuses a
    /// second one on the way, be it that the answer to the first was lost.
    pub(super) async fn reboot(
        &self,
        region: &RegionId,
        instance: &InstanceId,
        before: &str,
        attempt: &Attempt,
    ) -> Result<Value, Failure<Trouble>> {
        if attempt.repeat.is_some() {
            let target = Target {
                region: region.clone(),
                instance: instance.clone(),
                run: self.run.clone(),
            };
            let token = Uuid::new_v5(&attempt.token, self.clock.now().to_string().as_bytes());
            match self.bare(&target, "boot id", BOOT_ID, token).await {
                Ok(now) if now.succeeded() && now.text().trim() == before => {}
                Ok(_) | Err(Failure::Final(_)) => return Ok(json!({})),
                Err(unavailable) => return Err(unavailable),
            }
        }
        let action = RebootInstance {
            instance_id: instance.clone(),
            ..RebootInstance::default()
        };
        match self.call(region, &action).await {
            Ok(_) => Ok(json!({})),
            Err(refused @ Failure::Final(_)) => {
                let on_its_way = [InstanceStatus::Stopping, InstanceStatus::Starting];
                match self.instance(region, instance).await? {
                    Some(found) if on_its_way.contains(&found.status) => Ok(json!({})),
                    _ => Err(refused),
                }
            }
            Err(unavailable) => Err(unavailable),
        }
    }
}
