//! One role of one component, from its first call to its last.
//!
//! The component is called with the history so far, carries out what it declared, and is
//! called again, until it returns. What each call asked is journaled (and compared by the
//! journal when a later process repeats it) before its steps are carried out. This module
//! knows nothing of stages; [`crate::carry`] does the steps.

use std::sync::Arc;

use darkroom_contract::{
    Case, CaseStatus, Ended, Ending, History, Inputs, Item, Level as Says, Machine, Message, Role,
    Step, Transcript,
};
use darkroom_runtime::{Call, Component, Runtime};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::carry::{Hands, Material, StepRecord, carry};
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::trouble::{Trouble, chain};
use crate::{Scope, Stop};

/// What came of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Its path in the run, such as `build/1-packages`.
    pub path: String,
    /// The component, as the template names it.
    pub component: String,
    /// The component's SHA-256; empty for a step of the template's own.
    pub digest: String,
    /// The steps that were carried out, in order.
    pub steps: Vec<StepRecord>,
    /// What a builder published.
    pub published: Map<String, Value>,
    /// A tester's cases.
    pub cases: Vec<Case>,
    /// A repairer's items.
    pub items: Vec<Item>,
    /// How many times it was called.
    pub calls: u32,
}

impl RoleRecord {
    /// How long its steps took, in the cloud's time.
    pub(crate) fn worked(&self) -> SignedDuration {
        let attempts = self.steps.iter().flat_map(|step| &step.attempts);
        let spent = attempts.filter_map(|attempt| {
            let started: Timestamp = attempt.started.parse().ok()?;
            let finished: Timestamp = attempt.finished.parse().ok()?;
            Some(finished.duration_since(started))
        });
        spent.fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Whether a case failed.
    pub fn has_failed(&self) -> bool {
        self.cases
            .iter()
            .any(|case| case.status == CaseStatus::Failed)
    }
}

/// A component with its arguments, ready to be called.
#[derive(Clone)]
pub(crate) struct Part {
    /// The component, as the template names it.
    pub label: String,
    pub component: Component,
    pub inputs: Inputs,
}

impl Part {
    /// What it does, as data: another component or other arguments are another one.
    pub(crate) fn identity(&self) -> Value {
        json!({ "digest": self.component.digest(), "with": self.inputs.arguments() })
    }
}

/// How a role ended that did not stop the run: its record, and the trouble that does.
pub(crate) struct Performed {
    pub record: RoleRecord,
    pub result: Result<(), Stop>,
}

/// Performs `role` of `part` at `path`.
pub(crate) async fn perform(
    scope: &Scope,
    hands: &Hands,
    runtime: &Runtime,
    part: &Part,
    role: Role,
    machine: &Machine,
    path: &str,
) -> Performed {
    hands.events.tell(Kind::ComponentStarted {
        path: path.into(),
        name: part.label.clone(),
    });
    let started = hands.events.now();
    let mut actor = Actor {
        scope,
        hands,
        part,
        role,
        record: RoleRecord {
            path: path.into(),
            component: part.label.clone(),
            digest: part.component.digest().into(),
            ..RoleRecord::default()
        },
    };
    let result = actor.play(runtime, machine).await;
    let record = actor.record;
    hands.events.tell(Kind::ComponentFinished {
        path: path.into(),
        ok: result.is_ok() && !record.has_failed(),
        seconds: hands.events.seconds_since(started),
    });
    Performed { record, result }
}

struct Actor<'a> {
    scope: &'a Scope,
    hands: &'a Hands,
    part: &'a Part,
    role: Role,
    record: RoleRecord,
}

impl Actor<'_> {
    async fn play(&mut self, runtime: &Runtime, machine: &Machine) -> Result<(), Stop> {
        let mut history = History::default();
        let mut previous = None;
        loop {
            let call = Call {
                role: self.role,
                inputs: self.part.inputs.clone(),
                machine: machine.clone(),
                history: Arc::new(history.clone()),
                previous,
            };
            let ended = runtime
                .call(&self.part.component, call)
                .await
                .map_err(|error| {
                    self.say(error.messages());
                    Stop::Failed(self.trouble(chain(&error)))
                })?;
            self.record.calls += 1;
            self.say(&ended.report.messages);
            self.compare(&ended.transcript).await?;
            if let Ending::Returned(Err(words)) = &ended.ending {
                self.keep(&ended);
                return Err(Stop::Failed(self.trouble(words.clone())));
            }
            for step in ended.steps.iter().skip(history.results.len()) {
                let record = self.step(step).await?;
                history.results.push(record.result(&self.hands.folder));
                self.record.steps.push(record);
            }
            if let Ending::Returned(_) = ended.ending {
                self.keep(&ended);
                return Ok(());
            }
            previous = Some(ended.transcript);
        }
    }

    /// Journals what the call asked. Where an earlier process recorded another call, the
    /// component isn't deterministic.
    async fn compare(&self, transcript: &Transcript) -> Result<(), Stop> {
        let operation = Operation::Call {
            component: self.part.component.digest().into(),
            role: self.role,
            transcript: transcript.clone(),
        };
        match self.scope.run(operation).await {
            Err(Stop::Diverged { key, was, is }) => match difference(&was, transcript) {
                Some(problem) => Err(Stop::Failed(self.trouble(problem))),
                None => Err(Stop::Diverged { key, was, is }),
            },
            other => other.map(drop),
        }
    }

    async fn step(&mut self, step: &Step) -> Result<StepRecord, Stop> {
        let path = format!("{}/{}", self.record.path, step.ordinal);
        let scope = self.scope.scope(&format!("step {}", step.ordinal));
        let material = Material::Package(&self.part.component);
        let record = carry(&scope, self.hands, material, step, &path).await?;
        if self.role == Role::Tester {
            if !step.tolerate {
                self.record.cases.push(case_of(&record));
            }
        } else if !record.succeeded && !step.tolerate {
            let trouble = failed(&self.part.label, &record, self.hands);
            self.record.steps.push(record);
            return Err(Stop::Failed(trouble));
        }
        Ok(record)
    }

    fn keep(&mut self, ended: &Ended) {
        self.record.published.clone_from(&ended.report.published);
        self.record.cases.extend(ended.report.cases.iter().cloned());
        self.record.items.clone_from(&ended.report.items);
    }

    fn say(&self, messages: &[Message]) {
        for message in messages {
            self.hands.events.tell(Kind::Message {
                path: self.record.path.clone(),
                level: match message.level {
                    Says::Debug => Level::Debug,
                    Says::Info => Level::Info,
                    Says::Warning => Level::Warning,
                },
                text: message.text.clone(),
            });
        }
    }

    fn trouble(&self, problem: String) -> Trouble {
        Trouble::Component {
            component: self.part.label.clone(),
            problem,
        }
    }
}

/// The trouble that a failed step is.
pub(crate) fn failed(component: &str, record: &StepRecord, hands: &Hands) -> Trouble {
    let tail = record.tail(&hands.folder);
    let lines: Vec<&str> = tail.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    Trouble::Step {
        component: component.into(),
        step: record.name.clone(),
        problem: record.problem(),
        tail: last,
        path: record.path.clone(),
    }
}

pub(crate) fn case_of(record: &StepRecord) -> Case {
    Case {
        name: record.name.clone(),
        status: if record.succeeded {
            CaseStatus::Passed
        } else {
            CaseStatus::Failed
        },
        message: if record.succeeded {
            String::new()
        } else {
            record.problem()
        },
    }
}

/// The first call in which a recorded transcript differs from the present one.
fn difference(was: &Value, is: &Transcript) -> Option<String> {
    let recorded = was
        .pointer("/run/transcript")
        .or_else(|| was.get("transcript"))?;
    let was: Transcript = serde_json::from_value(recorded.clone()).ok()?;
    for (index, pair) in was.0.iter().zip(&is.0).enumerate() {
        if pair.0 != pair.1 {
            return Some(format!(
                "not deterministic at call {index}: was {}, is {}",
                pair.0, pair.1
            ));
        }
    }
    (was.0.len() != is.0.len()).then(|| {
        format!(
            "not deterministic: it made {} calls, now it makes {}",
            was.0.len(),
            is.0.len()
        )
    })
}
