//! Flattening: any serializable request to parameters.
//!
//! It goes through JSON, so that the engine, whose operations are JSON already, and
//! typed callers end in the same parameters.

use serde::Serialize;
use serde_json::Value;

use super::{ParamError, Params, Problem};

/// Flattens a request: objects to `a.b`, lists to `a.1`, truth values to `true` and
/// `false`; nothing is written for what is absent or null, nor for an empty list.
///
/// # Errors
/// The request isn't an object, or a map in it has keys that are no texts.
pub fn to_params(request: &impl Serialize) -> Result<Params, ParamError> {
    let invalid = |problem: String| ParamError {
        name: "(request)".into(),
        problem: Problem::Invalid(problem),
    };
    let value = serde_json::to_value(request).map_err(|error| invalid(error.to_string()))?;
    if !value.is_object() {
        return Err(invalid("it is not an object".into()));
    }
    let mut params = Params::new();
    flatten(String::new(), value, &mut params);
    Ok(params)
}

fn flatten(name: String, value: Value, params: &mut Params) {
    let below = |part: &str| {
        if name.is_empty() {
            part.to_owned()
        } else {
            format!("{name}.{part}")
        }
    };
    match value {
        Value::Null => {}
        Value::Bool(flag) => drop(params.insert(name, flag.to_string())),
        Value::Number(number) => drop(params.insert(name, number.to_string())),
        Value::String(text) => drop(params.insert(name, text)),
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                flatten(below(&(index + 1).to_string()), item, params);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                flatten(below(&key), field, params);
            }
        }
    }
}
