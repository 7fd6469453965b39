//! The machine of a unit test: what is known of it, the arguments, and what each step
//! comes to.

use super::session::{Facts, RoleKind, Run, Session};
use super::{Answer, attempt};
use crate::description::{Kind, Parameter};
use crate::{About, Builder, Json, Repairer, Tester};

/// A scripted machine. Steps that nothing was scripted for succeed without output.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) facts: Facts,
    arguments: Vec<(String, Json)>,
    answers: Vec<(String, Answer)>,
}

impl Machine {
    /// A Debian 12 for `x86_64` with the root `/`.
    pub fn debian() -> Self {
        Self::new("linux", "debian", "12")
    }

    /// Any machine for `x86_64`; the texts as in [`crate::machine`].
    pub fn new(family: &str, distribution: &str, release: &str) -> Self {
        Self {
            facts: Facts {
                family: family.to_owned(),
                distribution: distribution.to_owned(),
                release: release.to_owned(),
                architecture: "x86_64".to_owned(),
                root: "/".to_owned(),
            },
            arguments: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Another architecture.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.facts.architecture);
        self
    }

    /// Another root, as when a disk is repaired from another machine.
    #[must_use]
    pub fn root(mut self, root: &str) -> Self {
        root.clone_into(&mut self.facts.root);
        self
    }

    /// An argument of the component.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.arguments.push((name.to_owned(), value.into()));
        self
    }

    /// What the step of this name comes to. Given several times, the steps of this name
    /// take them in order, and the last one holds for all further ones.
    #[must_use]
    pub fn answer(mut self, step: &str, answer: Answer) -> Self {
        self.answers.push((step.to_owned(), answer));
        self
    }

    /// Runs the builder.
    pub fn build<T: About + Builder>(&self) -> Run {
        self.run::<T>(RoleKind::Builder, T::build)
    }

    /// Runs the tester.
    pub fn test<T: About + Tester>(&self) -> Run {
        self.run::<T>(RoleKind::Tester, T::test)
    }

    /// Runs the repairer.
    pub fn repair<T: About + Repairer>(&self) -> Run {
        self.run::<T>(RoleKind::Repairer, T::repair)
    }

    /// Calls the role until it returns, carrying out the declared steps in between.
    fn run<T: About>(&self, kind: RoleKind, role: fn() -> Result<(), String>) -> Run {
        let parameters = T::describe().parameters().to_vec();
        let arguments = self.checked(&parameters);
        let mut session = Session::new(
            kind,
            self.facts.clone(),
            parameters,
            arguments,
            self.answers.clone(),
        );
        loop {
            let (ended, outcome) = attempt(session, role);
            match ended.settle(outcome) {
                Ok(run) => return *run,
                Err(again) => session = *again,
            }
        }
    }

    /// The arguments with defaults; panics where the host would refuse them.
    fn checked(&self, parameters: &[Parameter]) -> Vec<(String, Json)> {
        for (name, value) in &self.arguments {
            let Some(parameter) = parameters.iter().find(|parameter| parameter.name == *name)
            else {
                panic!("the description has no parameter {name:?}");
            };
            assert!(
                fits(parameter.kind, value),
                "the parameter {name:?} is {:?}, and {value} is not",
                parameter.kind
            );
        }
        let mut arguments = Vec::new();
        for parameter in parameters {
            let given = self
                .arguments
                .iter()
                .rev()
                .find(|(name, _)| *name == parameter.name);
            let value = given.map(|(_, value)| value).or(parameter.default.as_ref());
            match value {
                Some(value) => arguments.push((parameter.name.clone(), value.clone())),
                None => assert!(
                    !parameter.required,
                    "the parameter {:?} is required",
                    parameter.name
                ),
            }
        }
        arguments
    }
}

fn fits(kind: Kind, value: &Json) -> bool {
    let is_text = |value: &Json| value.as_text().is_some();
    match kind {
        Kind::Text => is_text(value),
        Kind::Integer => value.as_integer().is_some(),
        Kind::Number => matches!(value, Json::Number(_)),
        Kind::Flag => value.as_flag().is_some(),
        Kind::Texts => matches!(value, Json::List(list) if list.iter().all(is_text)),
        Kind::Map => {
            matches!(value, Json::Object(members) if members.iter().all(|(_, value)| is_text(value)))
        }
        Kind::Scalars => {
            let scalar =
                |value: &Json| matches!(value, Json::Text(_) | Json::Number(_) | Json::Flag(_));
            matches!(value, Json::Object(members) if members.iter().all(|(_, value)| scalar(value)))
        }
        Kind::Objects => {
            let object = |value: &Json| matches!(value, Json::Object(_));
            matches!(value, Json::List(list) if list.iter().all(object))
        }
        Kind::Any => true,
    }
}
