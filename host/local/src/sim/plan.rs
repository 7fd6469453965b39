//! How the sim behaves: scripted results and latencies, set over the admin API and
//! kept with the sim's state. Decides what a command does, and nothing else.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::{read, write};
use crate::clock::after;
use crate::driver::{Agent, CommandFault, CommandSpec, CommandStatus, Finished, OUTPUT_LIMIT};
use crate::state::store::StoreError;

/// The command that asks an instance for its boot id, exactly.
pub const BOOT_ID_PROBE: &str = "cat /proc/sys/kernel/random/boot_id";

const PLAN: &str = "plan";

/// How the sim behaves, set over the admin API and kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimPlan {
    /// The first rule that matches a command decides its result; none: exit code 0
    /// and no output, after `latencies.command`.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// How long things take.
    #[serde(default)]
    pub latencies: Latencies,
    /// What drawn times follow from.
    #[serde(default)]
    pub seed: u64,
    /// Public images beside `debian-12`.
    #[serde(default)]
    pub bases: Vec<SimBase>,
}

/// A public image that a test wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimBase {
    /// Its family.
    pub name: String,
    /// Its `OSName`, such as `Rocky Linux 9.4 64bit`.
    pub os_name: String,
    /// Its Platform, such as `Rocky Linux`; one that begins with `Windows` makes it one.
    pub platform: String,
    /// `x86_64` or `arm64`.
    #[serde(default = "x86")]
    pub architecture: String,
    /// Whether it has the agent.
    #[serde(default)]
    pub agent: Agent,
}

fn x86() -> String {
    "x86_64".to_owned()
}

/// The scripted result of some commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A regular expression, searched for in the decoded command.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Only for instances with this name.
    #[serde(default)]
    pub instance_name: Option<String>,
    /// The exit code; 0 when absent.
    #[serde(default)]
    pub exit_code: i32,
    /// The output. With `expand`, `${1}` and `${name}` stand for what the pattern's
    /// groups matched, and `$$` for a `$`.
    #[serde(default)]
    pub output: String,
    /// The output as base64, instead of `output`.
    #[serde(default)]
    pub output_base64: Option<String>,
    /// Whether groups are put into `output`.
    #[serde(default)]
    pub expand: bool,
    /// Seconds that it takes, instead of `latencies.command`.
    #[serde(default)]
    pub seconds: Option<Latency>,
    /// How often the rule applies; absent: always.
    #[serde(default)]
    pub times: Option<u32>,
    /// Reboots the instance under the command: it fails as interrupted.
    #[serde(default)]
    pub reboot: bool,
    /// Cuts the instance's power under the command: it fails as interrupted, and the
    /// instance is Stopped.
    #[serde(default)]
    pub power_off: bool,
}

/// What a command does to its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Reboot,
    PowerOff,
}

/// How long things take; no time when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latencies {
    /// Boot until Running.
    pub start: Latency,
    /// Running until the agent lives.
    pub agent: Latency,
    /// Shutdown.
    pub stop: Latency,
    /// Shutdown and boot.
    pub reboot: Latency,
    /// Deletion.
    pub delete: Latency,
    /// Making a snapshot of a disk.
    pub image: Latency,
    /// Copying an image to another region.
    pub copy: Latency,
    /// A command.
    pub command: Latency,
}

impl SimPlan {
    /// Whether every rule can be followed.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        for (rule, number) in self.rules.iter().zip(1..) {
            regex::Regex::new(&rule.pattern)
                .map_err(|source| PlanError::Pattern { number, source })?;
            let text = rule.output_base64.as_deref().unwrap_or_default();
            BASE64
                .decode(text)
                .map_err(|_| PlanError::Base64 { number })?;
            if rule.seconds.is_some_and(|seconds| !seconds.is_possible()) {
                let what = format!("seconds of rule {number}");
                return Err(PlanError::Latency { what });
            }
        }
        let Latencies {
            start,
            agent,
            stop,
            reboot,
            delete,
            image,
            copy,
            command,
        } = self.latencies;
        for (what, latency) in [
            ("start", start),
            ("agent", agent),
            ("stop", stop),
            ("reboot", reboot),
            ("delete", delete),
            ("image", image),
            ("copy", copy),
            ("command", command),
        ] {
            if !latency.is_possible() {
                return Err(PlanError::Latency { what: what.into() });
            }
        }
        Ok(())
    }
}

/// Why a plan was refused.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A rule's pattern is not a regular expression.
    #[error("rule {number}: the pattern can't be understood")]
    Pattern {
        /// Which rule, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
    /// A rule's `output_base64` is none.
    #[error("rule {number}: output_base64 is not base64")]
    Base64 {
        /// Which rule, from 1.
        number: usize,
    },
    /// A time that can't be.
    #[error("`{what}` is no time: give seconds, {{min, max}} or {{median, p95}}")]
    Latency {
        /// Which one.
        what: String,
    },
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn load(tx: &Transaction<'_>) -> Result<SimPlan, StoreError> {
    let text: Option<String> = tx
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([PLAN], |row| row.get(0))
        .optional()?;
    text.map_or_else(|| Ok(SimPlan::default()), |text| read(&text))
}

pub(super) fn keep(tx: &Transaction<'_>, plan: &SimPlan) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2)")?
        .execute(params![PLAN, write(plan)?])?;
    Ok(())
}

/// Two numbers from 0 to 1, which follow from the seed and from how many were drawn.
pub(super) fn luck(tx: &Transaction<'_>) -> Result<(f64, f64), StoreError> {
    let drawn: i64 = tx
        .prepare_cached(
            "INSERT INTO settings VALUES ('drawn', '1')
         ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1
         RETURNING CAST(value AS INTEGER)",
        )?
        .query_row([], |row| row.get(0))?;
    let seed = load(tx)?.seed;
    let hash = blake3::hash(format!("{seed} {drawn}").as_bytes());
    let share = |at: usize| {
        let bytes = hash.as_bytes().iter().skip(at).take(4);
        let number = bytes.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        f64::from(number) / f64::from(u32::MAX)
    };
    Ok((share(0), share(4)))
}

/// What a command will have done when it ends, and what it does to its instance.
pub(super) fn decide(
    tx: &Transaction<'_>,
    (name, boot_id): (&str, &str),
    command: &CommandSpec,
    now: Timestamp,
) -> Result<(Finished, Effect), StoreError> {
    let mut plan = load(tx)?;
    let text = String::from_utf8_lossy(&command.content).into_owned();
    let mut exit_code = 0;
    let mut output = Vec::new();
    let mut latency = plan.latencies.command;
    let mut effect = Effect::Nothing;
    if text.trim_end() == BOOT_ID_PROBE {
        output = format!("{boot_id}\n").into_bytes();
    } else if let Some((rule, found)) = plan.rules.iter_mut().find_map(|rule| {
        let named = rule.instance_name.as_ref();
        let fits = named.is_none_or(|wanted| wanted == name) && rule.times != Some(0);
        let found = regex::Regex::new(&rule.pattern).ok()?;
        (fits && found.is_match(&text)).then_some((rule, found))
    }) {
        exit_code = rule.exit_code;
        latency = rule.seconds.unwrap_or(latency);
        effect = match (rule.reboot, rule.power_off) {
            (_, true) => Effect::PowerOff,
            (true, false) => Effect::Reboot,
            (false, false) => Effect::Nothing,
        };
        output = scripted(rule, &found, &text);
        if let Some(times) = rule.times.as_mut() {
            *times = times.saturating_sub(1);
            keep(tx, &plan)?;
        }
    }
    let seconds = latency.draw(tx)?;
    let limit = span(f64::from(
        u32::try_from(command.timeout_seconds).unwrap_or(u32::MAX),
    ));
    let timed_out = span(seconds) > limit;
    let kept = output.len().saturating_sub(OUTPUT_LIMIT);
    let status = match exit_code {
        _ if timed_out => CommandStatus::Timeout,
        0 => CommandStatus::Success,
        _ => CommandStatus::Failed,
    };
    let error_code = match status {
        CommandStatus::Success => None,
        CommandStatus::Timeout => Some(CommandFault::ExecutionTimeout),
        _ => Some(CommandFault::ExitCodeNonzero),
    };
    let finished = Finished {
        status,
        exit_code: (!timed_out).then_some(exit_code),
        dropped: u64::try_from(kept).unwrap_or(u64::MAX),
        output: output.split_off(kept),
        error_code,
        error_info: None,
        started_at: Some(now),
        finished_at: after(now, span(seconds).min(limit)),
    };
    Ok((finished, effect))
}

fn scripted(rule: &Rule, pattern: &regex::Regex, text: &str) -> Vec<u8> {
    if let Some(bytes) = rule.output_base64.as_ref() {
        return BASE64.decode(bytes).unwrap_or_default();
    }
    if !rule.expand {
        return rule.output.clone().into_bytes();
    }
    let mut output = String::new();
    if let Some(groups) = pattern.captures(text) {
        groups.expand(&rule.output, &mut output);
    }
    output.into_bytes()
}

/// Seconds as a span; what can't be is none.
pub(super) fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
