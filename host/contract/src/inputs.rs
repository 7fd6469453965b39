//! What a component was given, and the rules of asking for it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The largest whole number that every language holds exactly, 2^53 - 1.
const LARGEST: i64 = (1 << 53) - 1;

/// Checked arguments with the defaults filled in; made by
/// [`Description::inputs`](crate::Description::inputs).
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub(crate) arguments: Map<String, Value>,
    /// The `properties` of the description's parameters.
    pub(crate) parameters: Map<String, Value>,
    pub(crate) secrets: BTreeSet<String>,
    /// The secrets whose markers its arguments hold.
    pub(crate) granted: BTreeSet<String>,
}

impl Inputs {
    /// All arguments.
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// The names of the secret parameters.
    pub fn secrets(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// The names of the secrets that it was given, as the template calls them: the only
    /// ones that it may use.
    pub fn granted(&self) -> &BTreeSet<String> {
        &self.granted
    }

    /// The argument of a declared parameter, `None` where it was not given. `types`
    /// are the JSON Schema types that the asking function fits.
    fn find(&self, name: &str, types: &[&str]) -> Result<Option<&Value>, String> {
        let Some(schema) = self.parameters.get(name) else {
            return Err(format!(
                "the description declares no parameter {name:?}{}",
                listed(&self.parameters)
            ));
        };
        let declared = schema.get("type").and_then(Value::as_str);
        if let Some(declared) = declared
            && !types.is_empty()
            && !types.contains(&declared)
        {
            return Err(format!(
                "the parameter {name:?} is of type {declared}, not {}",
                types.join(" or ")
            ));
        }
        Ok(self.arguments.get(name).filter(|value| !value.is_null()))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.find(name, &["string"])? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(is_not(name, other, "a string")),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(value) = self.find(name, &["integer"])? else {
            return Ok(None);
        };
        let whole = value
            .as_i64()
            .or_else(|| value.as_f64().and_then(whole))
            .ok_or_else(|| is_not(name, value, "an integer"))?;
        if (-LARGEST..=LARGEST).contains(&whole) {
            Ok(Some(whole))
        } else {
            Err(format!("the argument {name:?} is beyond 2^53 - 1"))
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        match self.find(name, &["number", "integer"])? {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| is_not(name, value, "a number")),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.find(name, &["boolean"])? {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(is_not(name, other, "a boolean")),
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.find(name, &["array"])? else {
            return Ok(Vec::new());
        };
        value
            .as_array()
            .and_then(|list| {
                list.iter()
                    .map(|item| item.as_str().map(ToOwned::to_owned))
                    .collect()
            })
            .ok_or_else(|| is_not(name, value, "an array of strings"))
    }

    pub(crate) fn json_text(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.find(name, &[])?.map(ToString::to_string))
    }
}

/// A floating number without a fraction, which JSON Schema counts as an integer.
fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the value has no fraction and is in range"
    )]
    (number.fract() == 0.0 && number.abs() <= 9e15).then_some(number as i64)
}

fn is_not(name: &str, value: &Value, wanted: &str) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    if kind == "an array" && wanted.starts_with("an array") {
        return format!("the argument {name:?} is an array with other things than strings");
    }
    format!("the argument {name:?} is {kind}, not {wanted}")
}

/// `; there are "a" and "b"`, for errors.
pub(crate) fn listed(parameters: &Map<String, Value>) -> String {
    let names: Vec<_> = parameters.keys().map(|name| format!("{name:?}")).collect();
    match names.as_slice() {
        [] => "; it has none".into(),
        [one] => format!("; there is {one}"),
        [most @ .., last] => format!("; there are {} and {last}", most.join(", ")),
    }
}
