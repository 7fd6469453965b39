//! What goes wrong on purpose: rules that are set over the admin API, kept with the
//! state, and looked at before each request and each job. They work with every driver.
//!
//! ```json
//! {"seed": 7, "rules": [
//!   {"action": "RunInstances", "times": 1, "fault": {"throttle": {"retry_after": 2}}},
//!   {"action": "CreateImage", "fault": "lose-response", "times": 1},
//!   {"action": "*", "chance": 0.05, "fault": "server-error"},
//!   {"job": "copy-image", "params": {"RegionId": "cn-beijing"}, "fault": "stuck"},
//!   {"job": "create-image", "after": 1, "fault": "fail"}
//! ]}
//! ```
//! The first rule that applies counts. What a chance comes to follows from the seed and
//! from how often its rule was looked at before, so that a plan does the same again to
//! the same requests. Results of commands, and agents that come late or never, are the
//! sim's own script; stock has its own table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::params::Params;
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::state::meta;
use crate::state::store::{Store, StoreError};

/// Where the plan stands among the facts about the cloud.
const NAME: &str = "fault-plan";

/// Rules in a plan; every request looks at them.
const MOST_RULES: usize = 1000;

/// What goes wrong, and with what luck.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultPlan {
    /// Where chances come from.
    pub seed: u64,
    /// The rules, the first one first.
    pub rules: Vec<FaultRule>,
}

/// When something goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultRule {
    /// An ECS action by its name; `*` is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Instead of an action: a job by its name as `GET /-/status` shows it, such as
    /// `create-image`; `*` is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Only where these parameters of the request have these values. A job has one:
    /// `RegionId`, the region that it works in.
    pub params: BTreeMap<String, String>,
    /// How many that fit are let through first.
    pub after: u32,
    /// How often the rule applies; absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// With which probability; absent: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// What happens.
    pub fault: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Request: 500 `InternalError`; nothing was done.
    #[default]
    ServerError,
    /// Request: 400 `Throttling.User`; nothing was done.
    Throttle {
        /// Seconds in the header `x-acs-retry-after`, which is absent without them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Request: this answer; nothing was done.
    Refuse {
        /// The status.
        status: u16,
        /// The error code.
        code: String,
        /// The message.
        #[serde(default)]
        message: String,
    },
    /// Request: a success with this body, such as rules of a security group that can't be
    /// made here; nothing was done.
    Answer {
        /// The fields of the answer.
        body: serde_json::Value,
    },
    /// Request: the connection breaks; nothing was done.
    LoseRequest,
    /// Request: what it asks for is done, and the connection breaks.
    LoseResponse,
    /// Request or job: it begins this many seconds later.
    Delay(f64),
    /// Request: it is done, and answered this many seconds later.
    DelayResponse(f64),
    /// Job: it fails; an image becomes `CreateFailed`, an instance stays Stopped.
    Fail,
    /// Job: it never ends, until the plan is another one.
    Stuck,
}

/// Why a plan was refused.
#[derive(Debug, thiserror::Error)]
pub enum FaultPlanError {
    /// A rule says both or neither of what it is about.
    #[error("rule {number}: name either an action or a job")]
    Subject {
        /// Which rule, from 1.
        number: usize,
    },
    /// A fault of requests for a job, or the other way round.
    #[error("rule {number}: this can't happen to a {subject}")]
    Kind {
        /// Which rule, from 1.
        number: usize,
        /// `request` or `job`.
        subject: &'static str,
    },
    /// Not a probability, a time or a status.
    #[error("rule {number}: {what} can't be {value}")]
    Number {
        /// Which rule, from 1.
        number: usize,
        /// What it was to be.
        what: &'static str,
        /// What it is.
        value: f64,
    },
    /// Too many rules.
    #[error("a plan can have {MOST_RULES} rules")]
    Many,
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FaultPlan {
    fn check(&self) -> Result<(), FaultPlanError> {
        if self.rules.len() > MOST_RULES {
            return Err(FaultPlanError::Many);
        }
        for (rule, number) in self.rules.iter().zip(1..) {
            rule.check(number)?;
        }
        Ok(())
    }
}

impl FaultRule {
    fn check(&self, number: usize) -> Result<(), FaultPlanError> {
        let subject = match (&self.action, &self.job) {
            (Some(_), None) => "request",
            (None, Some(_)) => "job",
            _ => return Err(FaultPlanError::Subject { number }),
        };
        let fits = match self.fault {
            FaultKind::Delay(_) => true,
            FaultKind::Fail | FaultKind::Stuck => self.job.is_some(),
            _ => self.action.is_some(),
        };
        if !fits {
            return Err(FaultPlanError::Kind { number, subject });
        }
        let bad = |what, value| FaultPlanError::Number {
            number,
            what,
            value,
        };
        if let Some(chance) = self.chance.filter(|chance| !(0.0..=1.0).contains(chance)) {
            return Err(bad("a chance", chance));
        }
        match self.fault {
            FaultKind::Delay(seconds) | FaultKind::DelayResponse(seconds)
                if Duration::try_from_secs_f64(seconds).is_err() =>
            {
                Err(bad("a delay", seconds))
            }
            FaultKind::Refuse { status, .. } if !(400..600).contains(&status) => {
                Err(bad("the status of a refusal", f64::from(status)))
            }
            _ => Ok(()),
        }
    }

    fn fits(&self, subject: &Subject<'_>, params: &dyn Fn(&str) -> Option<String>) -> bool {
        let named = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_some_and(|one| one == "*" || one == name)
        };
        let right = match subject {
            Subject::Request(action) => named(&self.action, action),
            Subject::Job(name) => named(&self.job, name),
        };
        right
            && self
                .params
                .iter()
                .all(|(name, value)| params(name).as_ref() == Some(value))
    }
}

/// What is about to be done.
enum Subject<'a> {
    Request(&'a str),
    Job(&'a str),
}

/// The plan with what it has done so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    plan: FaultPlan,
    /// For each rule, how many fitted and how often it applied.
    counts: Vec<(u32, u32)>,
    /// What was decided about jobs, which are looked at more than once: a rule, if any.
    jobs: BTreeMap<i64, Option<usize>>,
}

impl Kept {
    fn load(tx: &Transaction<'_>) -> Result<Self, StoreError> {
        let parse = |text: String| {
            serde_json::from_str(&text).map_err(|source| StoreError::Row {
                table: "meta",
                source,
            })
        };
        Ok(meta::get(tx, NAME)?
            .map(parse)
            .transpose()?
            .unwrap_or_default())
    }

    fn keep(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).map_err(|source| StoreError::Row {
            table: "meta",
            source,
        })?;
        meta::put(tx, NAME, &text)
    }

    /// Looks at the rules, and counts.
    fn decide(
        &mut self,
        subject: &Subject<'_>,
        params: &dyn Fn(&str) -> Option<String>,
    ) -> Option<usize> {
        self.counts.resize(self.plan.rules.len(), (0, 0));
        let rules = self.plan.rules.iter().zip(&mut self.counts).enumerate();
        for (index, (rule, (seen, applied))) in rules {
            if !rule.fits(subject, params) {
                continue;
            }
            *seen = seen.saturating_add(1);
            let due = *seen > rule.after && rule.times.is_none_or(|times| *applied < times);
            let lucky = rule
                .chance
                .is_none_or(|chance| draw(self.plan.seed, index, *seen) < chance);
            if due && lucky {
                *applied = applied.saturating_add(1);
                return Some(index);
            }
        }
        None
    }
}

/// A number from 0 to 1 that follows from its arguments.
fn draw(seed: u64, rule: usize, seen: u32) -> f64 {
    let hash = blake3::hash(format!("{seed} {rule} {seen}").as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// The plan in force.
#[derive(Debug, Default)]
pub(crate) struct FaultPlans {
    /// Nothing is looked up while there is no rule.
    active: AtomicBool,
}

impl FaultPlans {
    /// The plan of a cloud that comes up.
    pub(crate) async fn open(store: &Store) -> Result<Self, StoreError> {
        let kept = store.read(Kept::load).await?;
        Ok(Self {
            active: AtomicBool::new(!kept.plan.rules.is_empty()),
        })
    }

    /// What is in force.
    pub(crate) async fn show(&self, store: &Store) -> Result<FaultPlan, StoreError> {
        Ok(store.read(Kept::load).await?.plan)
    }

    /// Puts a plan in force, and forgets what the last one did.
    pub(crate) async fn set(&self, store: &Store, plan: FaultPlan) -> Result<(), FaultPlanError> {
        plan.check()?;
        let active = !plan.rules.is_empty();
        let kept = Kept {
            plan,
            ..Kept::default()
        };
        store.write(move |tx| kept.keep(tx)).await?;
        self.active.store(active, Ordering::Release);
        Ok(())
    }

    /// What happens to a request.
    pub(crate) async fn of_request(
        &self,
        store: &Store,
        action: &str,
        params: &Params,
    ) -> Result<Option<FaultKind>, StoreError> {
        if !self.active.load(Ordering::Acquire) {
            return Ok(None);
        }
        let (action, params) = (action.to_owned(), params.clone());
        store
            .note(move |tx| {
                let mut kept = Kept::load(tx)?;
                let value = |name: &str| params.get(name).map(str::to_owned);
                let before = kept.counts.clone();
                let found = kept.decide(&Subject::Request(&action), &value);
                if kept.counts != before {
                    kept.keep(tx)?;
                }
                Ok::<_, StoreError>(found.and_then(|index| kept.kind(index)))
            })
            .await
    }

    /// What happens to a job; the same whenever it is asked.
    pub(crate) async fn of_job(
        &self,
        store: &Store,
        number: i64,
        name: &'static str,
        region: impl FnOnce(&Transaction<'_>) -> Result<Option<String>, StoreError> + Send + 'static,
    ) -> Result<Option<FaultKind>, StoreError> {
        if !self.active.load(Ordering::Acquire) {
            return Ok(None);
        }
        store
            .note(move |tx| {
                let mut kept = Kept::load(tx)?;
                if let Some(decided) = kept.jobs.get(&number) {
                    return Ok(decided.and_then(|index| kept.kind(index)));
                }
                let region = region(tx)?;
                let value = |name: &str| region.clone().filter(|_| name == "RegionId");
                let found = kept.decide(&Subject::Job(name), &value);
                kept.jobs.insert(number, found);
                kept.keep(tx)?;
                Ok::<_, StoreError>(found.and_then(|index| kept.kind(index)))
            })
            .await
    }
}

impl Kept {
    fn kind(&self, index: usize) -> Option<FaultKind> {
        self.plan.rules.get(index).map(|rule| rule.fault.clone())
    }
}

impl FaultKind {
    /// The refusal that a request gets, if it gets one.
    pub(crate) fn refusal(&self) -> Option<Fault> {
        match self {
            Self::ServerError => Some(Fault::planned(
                500,
                ErrorCode::InternalError,
                "The request processing has failed due to some unknown error.",
            )),
            Self::Throttle { .. } => Some(Fault::planned(
                400,
                ErrorCode::ThrottlingUser,
                "Request was denied due to user flow control.",
            )),
            Self::Refuse {
                status,
                code,
                message,
            } => {
                let code = code
                    .parse()
                    .unwrap_or_else(|_| ErrorCode::Other(code.clone()));
                Some(Fault::planned(*status, code, message.clone()))
            }
            // Nobody will read it but who looks at the recorded requests.
            Self::LoseRequest => Some(Fault::planned(
                503,
                ErrorCode::ServiceUnavailable,
                "The request was lost on its way.",
            )),
            Self::Answer { .. }
            | Self::LoseResponse
            | Self::Delay(_)
            | Self::DelayResponse(_)
            | Self::Fail
            | Self::Stuck => None,
        }
    }

    /// The answer that a request gets instead of its own, if it gets one.
    pub(crate) fn answer(&self) -> Option<serde_json::Value> {
        match self {
            Self::Answer { body } => Some(body.clone()),
            _ => None,
        }
    }

    /// The value of `x-acs-retry-after`.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Throttle { retry_after } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rules: &serde_json::Value) -> Kept {
        let plan: FaultPlan =
            serde_json::from_value(serde_json::json!({"seed": 1, "rules": rules})).unwrap();
        plan.check().unwrap();
        Kept {
            plan,
            ..Kept::default()
        }
    }

    fn requests(kept: &mut Kept, action: &str, count: usize) -> Vec<Option<usize>> {
        let none = |_: &str| None;
        (0..count)
            .map(|_| kept.decide(&Subject::Request(action), &none))
            .collect()
    }

    #[test]
    fn a_rule_lets_some_through_and_applies_some_times() {
        let mut kept = kept(&serde_json::json!([
            {"action": "RunInstances", "after": 1, "times": 2, "fault": "server-error"},
            {"action": "*", "params": {"RegionId": "cn-beijing"}, "fault": "lose-request"},
        ]));
        let wanted = [None, Some(0), Some(0), None];
        assert_eq!(requests(&mut kept, "RunInstances", 4), wanted);
        assert_eq!(requests(&mut kept, "StopInstance", 1), [None]);
        let beijing = |name: &str| (name == "RegionId").then(|| "cn-beijing".to_owned());
        let stop = Subject::Request("StopInstance");
        assert_eq!(kept.decide(&stop, &beijing), Some(1));
    }

    #[test]
    fn chances_are_about_right_and_come_again() {
        let rules = serde_json::json!([
            {"action": "*", "chance": 0.25, "fault": {"throttle": {}}},
        ]);
        let (mut one, mut other) = (kept(&rules), kept(&rules));
        let first = requests(&mut one, "CopyImage", 1000);
        assert_eq!(first, requests(&mut other, "CopyImage", 1000));
        let count = first.iter().flatten().count();
        assert!((200..300).contains(&count), "{count}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (rule, message) in [
            (
                serde_json::json!({"fault": "fail"}),
                "either an action or a job",
            ),
            (
                serde_json::json!({"action": "*", "fault": "stuck"}),
                "can't happen to a request",
            ),
            (
                serde_json::json!({"job": "*", "fault": "server-error"}),
                "can't happen to a job",
            ),
            (
                serde_json::json!({"action": "*", "chance": 2.0, "fault": "server-error"}),
                "a chance can't be 2",
            ),
            (
                serde_json::json!({"job": "*", "fault": {"delay": -1.0}}),
                "a delay can't be -1",
            ),
            (
                serde_json::json!({"action": "*", "fault": {"refuse": {"status": 200, "code": "X"}}}),
                "can't be 200",
            ),
        ] {
            let plan = FaultPlan {
                seed: 0,
                rules: vec![serde_json::from_value(rule).unwrap()],
            };
            let error = plan.check().unwrap_err().to_string();
            assert!(
                error.contains("rule 1: ") && error.contains(message),
                "{error}"
            );
        }
    }
}
