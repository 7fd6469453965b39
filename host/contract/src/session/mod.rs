//! One call of a role: the whole meaning of the contract's functions as a state
//! machine over a history.
//!
//! `runtime` makes one per call and hands each call of the guest to the method of
//! the same name. The first fault is kept: whatever the guest does after it has no
//! effect, and [`Session::end`] answers it. A session knows no WIT types, and does
//! nothing on the machine.
//!
//! **The mark.** How far the machine is, is a matter of position, not of time: a
//! question about a step at or beyond the mark moves the mark to the number of
//! steps declared so far, in the first call as in each repetition. Steps below the
//! mark have been carried out, so that refining them is refused. Looking at the
//! stored answers instead would refuse every refinement of a repeated call.
//!
//! **Determinism.** Each call of the interface `steps` is compared with the one at
//! the same place of the previous transcript before anything else is looked at.
//! Inputs and machine answer the same in every call, and reports change nothing,
//! so that they are not recorded.

mod ask;
mod check;
mod declare;
mod given;
mod refine;
mod report;

use std::sync::Arc;

use crate::call::{Call, Transcript};
use crate::fault::Fault;
use crate::history::History;
use crate::inputs::Inputs;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::report::Report;
use crate::role::Role;
use crate::step::Step;

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// At a question without an answer.
    Suspended {
        /// The question.
        question: Call,
    },
    /// The function returned; the error is for the person who started the build.
    Returned(Result<(), String>),
}

/// All that came of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The calls that it made, for the comparison in the next one.
    pub transcript: Transcript,
    /// All declared steps; those from `history.results.len()` on are to be carried
    /// out.
    pub steps: Vec<Step>,
    /// What it reported; results only where it returned.
    pub report: Report,
    /// How it ended.
    pub ending: Ending,
}

/// The state of one call.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    /// `None` while the component describes itself, when it may call nothing.
    role: Option<Role>,
    inputs: Inputs,
    machine: Machine,
    history: Arc<History>,
    previous: Option<Transcript>,
    /// Names of the package's assets; `None` where they are not known.
    assets: Option<Arc<[String]>>,
    calls: Vec<Call>,
    steps: Vec<Step>,
    mark: usize,
    report: Report,
    used: Used,
    fault: Option<Fault>,
}

/// What has been used of the limits.
#[derive(Debug, Default)]
struct Used {
    questions: usize,
    refinements: usize,
    answer_bytes: usize,
    declared_bytes: usize,
    messages_bytes: usize,
    results: usize,
    results_bytes: usize,
}

impl Session {
    /// A call of a role. `previous` is the transcript of the call before, which must
    /// have led to this history.
    pub fn new(
        limits: Limits,
        role: Role,
        inputs: Inputs,
        machine: Machine,
        history: Arc<History>,
        previous: Option<Transcript>,
    ) -> Self {
        Self {
            limits,
            role: Some(role),
            inputs,
            machine,
            history,
            previous,
            assets: None,
            calls: Vec::new(),
            steps: Vec::new(),
            mark: 0,
            report: Report::default(),
            used: Used::default(),
            fault: None,
        }
    }

    /// The call of `describe`, in which every imported function is refused.
    pub fn describing() -> Self {
        let mut session = Self::new(
            Limits::default(),
            Role::Builder,
            Inputs::default(),
            Machine::default(),
            Arc::default(),
            None,
        );
        session.role = None;
        session
    }

    /// Makes `write-asset` refuse what is not among these names.
    #[must_use]
    pub fn with_assets(mut self, names: Arc<[String]>) -> Self {
        self.assets = Some(names);
        self
    }

    /// The first fault, if there was one.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// What has been reported so far, for a call that failed outside of the session.
    pub fn reported(&self) -> &Report {
        &self.report
    }

    /// Ends the call: with what the function returned, or with `None` where it was
    /// cut off by a fault.
    ///
    /// # Errors
    /// The fault, unless it was [`Fault::Suspend`]; [`Fault::EndedEarly`] where the
    /// function returned before the transcript's last call.
    pub fn end(mut self, returned: Option<Result<(), String>>) -> Result<Ended, Fault> {
        let ending = match (self.fault.take(), returned) {
            (None, Some(returned)) => {
                self.check_end()?;
                Ending::Returned(returned)
            }
            // Without a value and without a fault nothing is known, and asking again
            // is the only thing that can be right.
            (Some(Fault::Suspend) | None, _) => {
                self.report.published.clear();
                self.report.cases.clear();
                self.report.items.clear();
                let question = self.calls.last().cloned();
                Ending::Suspended {
                    question: question.unwrap_or_else(|| Call::new("", [])),
                }
            }
            (Some(fault), _) => return Err(fault),
        };
        Ok(Ended {
            transcript: Transcript(self.calls),
            steps: self.steps,
            report: self.report,
            ending,
        })
    }

    fn check_end(&self) -> Result<(), Fault> {
        let recorded = self.previous.as_ref();
        match recorded.and_then(|previous| previous.0.get(self.calls.len())) {
            None => Ok(()),
            Some(next) => Err(Fault::EndedEarly {
                calls: self.calls.len(),
                next: Box::new(next.clone()),
            }),
        }
    }

    /// Keeps the first fault and answers this one.
    fn fail<T>(&mut self, fault: Fault) -> Result<T, Fault> {
        self.fault.get_or_insert_with(|| fault.clone());
        Err(fault)
    }

    fn bad<T>(&mut self, call: &Call, message: impl Into<String>) -> Result<T, Fault> {
        self.fail(Fault::BadCall {
            call: Box::new(call.clone()),
            message: message.into(),
        })
    }

    fn limit<T>(&mut self, call: &Call, what: &'static str, allowed: usize) -> Result<T, Fault> {
        self.fail(Fault::Limit {
            call: Box::new(call.clone()),
            what,
            allowed,
        })
    }

    /// What every call begins with: after a fault, and in `describe`, none goes on.
    fn enter(&mut self, call: &Call) -> Result<Option<Role>, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.role.is_none() {
            return self.bad(call, "`describe` must call no imported function");
        }
        Ok(self.role)
    }

    /// Enters a call of the interface `steps`: compares and records it.
    fn record(&mut self, call: &Call) -> Result<(), Fault> {
        self.enter(call)?;
        let at = self.calls.len();
        let recorded = self
            .previous
            .as_ref()
            .and_then(|previous| previous.0.get(at));
        if let Some(was) = recorded
            && was != call
        {
            let was = Box::new(was.clone());
            return self.fail(Fault::NotDeterministic {
                call: at + 1,
                was,
                is: Box::new(call.clone()),
            });
        }
        self.calls.push(call.clone());
        Ok(())
    }

    /// Adds to what steps and refinements say in all.
    fn use_declared(&mut self, call: &Call, bytes: usize) -> Result<(), Fault> {
        self.used.declared_bytes += bytes;
        if self.used.declared_bytes > self.limits.declared_bytes {
            let allowed = self.limits.declared_bytes;
            return self.limit(call, "bytes in all steps", allowed);
        }
        Ok(())
    }
}
