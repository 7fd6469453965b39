//! The interface `report`: messages for people, results for the host.

use serde_json::Value;

use super::{Session, check};
use crate::call::{self, Call};
use crate::fault::Fault;
use crate::report::{Case, CaseStatus, Item, ItemStatus, Level, Message, Risk};
use crate::role::Role;

impl Session {
    /// `report.debug`, `report.info` and `report.warning`.
    ///
    /// # Errors
    /// A [`Fault`], as of every function of a session.
    pub fn message(&mut self, level: Level, message: &str) -> Result<(), Fault> {
        let function = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
        };
        let call = Call::new(function, [call::text(message)]);
        self.enter(&call)?;
        if message.len() > self.limits.message_bytes {
            let allowed = self.limits.message_bytes;
            return self.limit(&call, "bytes in one message", allowed);
        }
        // An empty message costs memory too.
        self.used.messages_bytes += message.len() + size_of::<Message>();
        if self.used.messages_bytes > self.limits.messages_bytes {
            let allowed = self.limits.messages_bytes;
            return self.limit(&call, "bytes of messages", allowed);
        }
        self.report.messages.push(Message {
            level,
            text: message.into(),
        });
        Ok(())
    }

    /// `report.publish`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn publish(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let call = Call::new("publish", [call::text(name), call::text(value)]);
        self.output_of(&call, name, value.len(), || {
            serde_json::from_str(value).map_err(|error| {
                format!("the value is no JSON text ({error}); `publish-text` takes a text as it is")
            })
        })
    }

    /// `report.publish-text`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn publish_text(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        let call = Call::new("publish-text", [call::text(name), call::text(text)]);
        self.output_of(&call, name, text.len(), || Ok(text.into()))
    }

    fn output_of(
        &mut self,
        call: &Call,
        name: &str,
        bytes: usize,
        value: impl FnOnce() -> Result<Value, String>,
    ) -> Result<(), Fault> {
        self.result(call, Role::Builder, name.len() + bytes)?;
        match check::output_name(name).and_then(|()| value()) {
            Ok(value) => {
                self.report.published.insert(name.into(), value);
                Ok(())
            }
            Err(message) => self.bad(call, message),
        }
    }

    /// `report.passed`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn passed(&mut self, case: &str) -> Result<(), Fault> {
        let call = Call::new("passed", [call::text(case)]);
        self.case(&call, CaseStatus::Passed, case, "")
    }

    /// `report.failed`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn failed(&mut self, case: &str, message: &str) -> Result<(), Fault> {
        let call = Call::new("failed", [call::text(case), call::text(message)]);
        self.case(&call, CaseStatus::Failed, case, message)
    }

    /// `report.skipped`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn skipped(&mut self, case: &str, message: &str) -> Result<(), Fault> {
        let call = Call::new("skipped", [call::text(case), call::text(message)]);
        self.case(&call, CaseStatus::Skipped, case, message)
    }

    fn case(
        &mut self,
        call: &Call,
        status: CaseStatus,
        case: &str,
        message: &str,
    ) -> Result<(), Fault> {
        self.result(call, Role::Tester, case.len() + message.len())?;
        if let Err(message) = check::name(case) {
            return self.bad(call, message);
        }
        self.report.cases.push(Case {
            name: case.into(),
            status,
            message: message.into(),
        });
        Ok(())
    }

    /// `report.repaired`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn repaired(&mut self, item: &str, message: &str) -> Result<(), Fault> {
        let call = Call::new("repaired", [call::text(item), call::text(message)]);
        self.item(&call, ItemStatus::Repaired, item, message)
    }

    /// `report.unrepaired`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn unrepaired(&mut self, item: &str, risk: &str, message: &str) -> Result<(), Fault> {
        let call = Call::new("unrepaired", [item, risk, message].map(call::text));
        let risk = match risk {
            "high" => Risk::High,
            "medium" => Risk::Medium,
            "low" => Risk::Low,
            other => {
                self.enter(&call)?;
                let message = format!("the risk {other:?} is none of high, medium and low");
                return self.bad(&call, message);
            }
        };
        self.item(&call, ItemStatus::Unrepaired(risk), item, message)
    }

    /// `report.intact`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn intact(&mut self, item: &str) -> Result<(), Fault> {
        let call = Call::new("intact", [call::text(item)]);
        self.item(&call, ItemStatus::Intact, item, "")
    }

    fn item(
        &mut self,
        call: &Call,
        status: ItemStatus,
        item: &str,
        message: &str,
    ) -> Result<(), Fault> {
        self.result(call, Role::Repairer, item.len() + message.len())?;
        if let Err(message) = check::name(item) {
            return self.bad(call, message);
        }
        self.report.items.push(Item {
            name: item.into(),
            status,
            message: message.into(),
        });
        Ok(())
    }

    /// Enters a result, which only one role reports.
    fn result(&mut self, call: &Call, of: Role, bytes: usize) -> Result<(), Fault> {
        let role = self.enter(call)?;
        if let Some(role) = role
            && role != of
        {
            let message = format!("only a {of} reports this, and it runs as {role}");
            return self.bad(call, message);
        }
        self.used.results += 1;
        if self.used.results > self.limits.results {
            let allowed = self.limits.results;
            return self.limit(call, "results", allowed);
        }
        self.used.results_bytes += bytes;
        if self.used.results_bytes > self.limits.results_bytes {
            let allowed = self.limits.results_bytes;
            return self.limit(call, "bytes of results", allowed);
        }
        Ok(())
    }
}
