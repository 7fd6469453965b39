//! The list of steps that was written by hand.

use std::collections::BTreeMap;

use darkroom_contract::{Case, CaseStatus, Item, ItemStatus, Level, Message, Step};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One call of one role to its end. What is `None` is not compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) machine: darkroom_contract::Machine,
    /// A JSON object.
    pub(crate) arguments: String,
    /// Results by the names of steps; the others succeed mutely.
    #[serde(default)]
    pub(crate) answers: BTreeMap<String, Answer>,
    pub(crate) planned: usize,
    pub(crate) question: String,
    pub(crate) rounds: usize,
    /// The error that the role returns; empty for none.
    pub(crate) returned: String,
    #[serde(default)]
    pub(crate) messages: Vec<String>,
    #[serde(default)]
    pub(crate) published: Option<String>,
    #[serde(default)]
    pub(crate) cases: Vec<String>,
    #[serde(default)]
    pub(crate) items: Vec<String>,
    pub(crate) calls: Option<Vec<String>>,
    /// JSON objects.
    pub(crate) steps: Option<Vec<String>>,
}

/// What came of a step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default)]
    pub(crate) output: String,
    #[serde(default)]
    pub(crate) exit_code: i32,
}

/// All of it.
pub(crate) fn scenarios() -> Vec<Scenario> {
    #[derive(Deserialize)]
    struct File {
        scenario: Vec<Scenario>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/golden-steps.toml");
    let file: File = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file.scenario
}

/// The first one of this name's beginning.
pub(crate) fn scenario(name: &str) -> Scenario {
    let mut all = scenarios().into_iter();
    all.find(|one| one.name.starts_with(name)).unwrap()
}

/// A JSON object.
pub(crate) fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

/// A step without the members that have their defaults.
pub(crate) fn without_defaults(step: &Step) -> Value {
    let plain = serde_json::to_value(Step::new(step.ordinal, &*step.name, step.kind.clone()));
    let (plain, full) = (plain.unwrap(), serde_json::to_value(step).unwrap());
    let mut full = full.as_object().unwrap().clone();
    let declared = ["ordinal", "name", "kind", "language", "script", "path"];
    let declared = [&declared[..], &["content", "address", "sha256", "limit"]].concat();
    full.retain(|name, value| declared.contains(&&**name) || plain.get(name) != Some(value));
    Value::Object(full)
}

/// A message as the list has it.
pub(crate) fn message(message: &Message) -> String {
    let level = match message.level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
    };
    format!("{level}: {}", message.text)
}

/// A test case as the list has it.
pub(crate) fn case(case: &Case) -> String {
    let Case { name, message, .. } = case;
    match case.status {
        CaseStatus::Passed => format!("{name}: passed"),
        CaseStatus::Failed => format!("{name}: failed, {message}"),
        CaseStatus::Skipped => format!("{name}: skipped, {message}"),
    }
}

/// An item of a repairer as the list has it.
pub(crate) fn item(item: &Item) -> String {
    let Item { name, message, .. } = item;
    match item.status {
        ItemStatus::Repaired => format!("{name}: repaired, {message}"),
        ItemStatus::Unrepaired(risk) => {
            format!("{name}: unrepaired ({risk:?}), {message}").replace("High", "high")
        }
        ItemStatus::Intact => format!("{name}: intact"),
    }
}
