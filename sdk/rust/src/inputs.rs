//! What the component was given: its arguments, checked by the host against the
//! component's [`Description`](crate::Description), with defaults filled in.
//!
//! Nothing here is a question. A name that the description doesn't declare, or a
//! function of another type than the parameter's, ends the component with an error.

use crate::{Json, calls::inputs};

/// All arguments as the text of one JSON object.
pub fn json_object() -> String {
    inputs::json_object()
}

/// An argument of [`Parameter::text`](crate::Parameter::text); none where it was not
/// given and has no default. That of a secret parameter is a marker, which may stand in
/// [`Step::environment`](crate::Step::environment) and in the text of
/// [`write`](crate::write()) only.
pub fn text(name: &str) -> Option<String> {
    inputs::text(name)
}

/// An argument of [`Parameter::integer`](crate::Parameter::integer).
pub fn integer(name: &str) -> Option<i64> {
    inputs::integer(name)
}

/// An argument of [`Parameter::number`](crate::Parameter::number) or of an integer.
pub fn number(name: &str) -> Option<f64> {
    inputs::number(name)
}

/// An argument of [`Parameter::flag`](crate::Parameter::flag).
pub fn flag(name: &str) -> Option<bool> {
    inputs::flag(name)
}

/// An argument of [`Parameter::texts`](crate::Parameter::texts); empty where it was not
/// given.
pub fn texts(name: &str) -> Vec<String> {
    inputs::texts(name)
}

/// An argument of [`Parameter::map`](crate::Parameter::map) or
/// [`Parameter::scalars`](crate::Parameter::scalars): names and values in the order in
/// which they were given; empty where it was not given.
pub fn map(name: &str) -> Vec<(String, String)> {
    match json(name) {
        Some(Json::Object(members)) => members
            .into_iter()
            .filter_map(|(name, value)| match value {
                Json::Text(text) | Json::Number(text) => Some((name, text)),
                Json::Flag(flag) => Some((name, flag.to_string())),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Any argument as a [`Json`] value.
pub fn json(name: &str) -> Option<Json> {
    inputs::json_text(name).and_then(|text| text.parse().ok())
}

/// Any argument as JSON text, for authors who bring a parser of their own.
pub fn json_text(name: &str) -> Option<String> {
    inputs::json_text(name)
}
