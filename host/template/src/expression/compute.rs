//! Expressions compiled and computed by `minijinja`, with limits.
//!
//! The only file that knows the library. Its environment is empty but for the filters
//! and tests of `words`; an undefined name is an error; fuel bounds what one expression
//! may take in time and memory.

use std::ops::Range;

use darkroom_contract::secret::Marker;
use minijinja::value::{Value as Computed, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, filters, tests};
use serde_json::{Map, Number, Value};

use super::words::{self, Expression, Sole};
use super::{Fault, Scope};
use crate::read::shortened;

/// What one expression may take: about a fuel for each operation and for each 64 bytes
/// that it makes, so 3 MB. Stops `'x' * 1000000000`.
const FUEL: u64 = 50_000;

/// How many values may come out of an expression: a repeated list takes no memory until
/// it is read.
const MOST_VALUES: usize = 10_000;

/// The values of a scope, made for the library once.
pub(super) struct Values<'t> {
    scope: &'t Scope<'t>,
    context: Computed,
}

impl<'t> Values<'t> {
    pub(super) fn of(scope: &'t Scope<'t>) -> Self {
        Self {
            scope,
            context: context(scope),
        }
    }
}

/// Compiles and computes.
pub(super) struct Engine {
    environment: Environment<'static>,
}

impl Engine {
    pub(super) fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        for name in words::FILTERS {
            add_filter(&mut environment, name);
        }
        for name in words::TESTS {
            add_test(&mut environment, name);
        }
        Self { environment }
    }

    /// Whether it is an expression.
    pub(super) fn compile(&self, expression: &Expression) -> Result<(), Fault> {
        match self.environment.compile_expression(&expression.source) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault(expression, &error)),
        }
    }

    /// What it comes to.
    pub(super) fn evaluate(&self, text: &str, values: &Values<'_>) -> Result<Value, Fault> {
        let scope = values.scope;
        let expression = words::read(text)?;
        match &expression.sole {
            Some(Sole::Secret(name)) => return Ok(Value::String(Marker::of(name))),
            // As it is, whatever its size: nothing is computed.
            Some(Sole::Parameter(name, _)) if scope.parameters.contains_key(name) => {
                return Ok(scope.parameters[name].clone());
            }
            Some(Sole::Matrix(name, _)) if scope.matrix.contains_key(name) => {
                return Ok(scope.matrix[name].clone());
            }
            _ => {}
        }
        let computed = self
            .environment
            .compile_expression(&expression.source)
            .and_then(|compiled| compiled.eval(values.context.clone()))
            .map_err(|error| fault(&expression, &error))?;
        let mut room = MOST_VALUES;
        to_json(&computed, &mut room).map_err(|problem| {
            let message = format!("`{}` {problem}", shortened(text.trim()));
            Fault::new(trimmed(text), message)
                .label("no value for a template")
                .help("a value is a text, a number, `true` or `false`, or a list of these")
        })
    }
}

/// The filters that `words` names. A name that isn't here is one that the test of this
/// file finds.
fn add_filter(environment: &mut Environment<'_>, name: &'static str) {
    match name {
        "upper" => environment.add_filter(name, filters::upper),
        "lower" => environment.add_filter(name, filters::lower),
        "trim" => environment.add_filter(name, filters::trim),
        "replace" => environment.add_filter(name, filters::replace),
        "split" => environment.add_filter(name, filters::split),
        "join" => environment.add_filter(name, filters::join),
        "length" => environment.add_filter(name, filters::length),
        "first" => environment.add_filter(name, filters::first),
        "last" => environment.add_filter(name, filters::last),
        "default" => environment.add_filter(name, filters::default),
        "int" => environment.add_filter(name, filters::int),
        "float" => environment.add_filter(name, filters::float),
        "string" => environment.add_filter(name, string),
        "sort" => environment.add_filter(name, filters::sort),
        "unique" => environment.add_filter(name, filters::unique),
        "reverse" => environment.add_filter(name, filters::reverse),
        "min" => environment.add_filter(name, filters::min),
        "max" => environment.add_filter(name, filters::max),
        "round" => environment.add_filter(name, filters::round),
        _ => {}
    }
}

fn add_test(environment: &mut Environment<'_>, name: &'static str) {
    match name {
        "startingwith" => environment.add_test(name, tests::is_startingwith),
        "endingwith" => environment.add_test(name, tests::is_endingwith),
        "string" => environment.add_test(name, tests::is_string),
        "number" => environment.add_test(name, tests::is_number),
        "boolean" => environment.add_test(name, tests::is_boolean),
        "sequence" => environment.add_test(name, tests::is_sequence),
        _ => {}
    }
}

/// A value as a template writes it: the library would write `True`.
fn string(value: &Computed) -> Result<Computed, Error> {
    let mut room = 1;
    match to_json(value, &mut room) {
        Ok(Value::String(text)) => Ok(Computed::from(text)),
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => Ok(Computed::from(value.to_string())),
        _ => Err(Error::new(
            ErrorKind::InvalidOperation,
            "only a text, a number, `true` and `false` can be written as text",
        )),
    }
}

fn context(scope: &Scope<'_>) -> Computed {
    let region = scope.region.map_or(Computed::UNDEFINED, Computed::from);
    Computed::from_pairs([
        ("parameters", from_map(scope.parameters)),
        ("matrix", from_map(scope.matrix)),
        ("name", Computed::from(scope.name)),
        ("cloud", Computed::from(scope.cloud)),
        ("region", region),
    ])
}

fn from_map(map: &Map<String, Value>) -> Computed {
    Computed::from_pairs(
        map.iter()
            .map(|(name, value)| (name.clone(), from_json(value))),
    )
}

fn from_json(value: &Value) -> Computed {
    match value {
        Value::Null => Computed::from(()),
        Value::Bool(value) => Computed::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Computed::from(number),
            (None, Some(number)) => Computed::from(number),
            (None, None) => Computed::from(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Computed::from(text.as_str()),
        Value::Array(items) => items.iter().map(from_json).collect(),
        Value::Object(map) => from_map(map),
    }
}

/// A value of a template, or what is wrong with it, as the end of a sentence.
fn to_json(value: &Computed, room: &mut usize) -> Result<Value, String> {
    *room = room
        .checked_sub(1)
        .ok_or_else(|| format!("gives more than {MOST_VALUES} values"))?;
    match value.kind() {
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::String => Ok(Value::from(value.as_str().unwrap_or_default())),
        ValueKind::Number => number(value),
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()
            .map_err(|error| error.to_string())?
            .map(|item| to_json(&item, room))
            .collect(),
        ValueKind::Undefined => Err("gives nothing".to_owned()),
        _ => Err(format!("gives a {}", value.kind())),
    }
}

fn number(value: &Computed) -> Result<Value, String> {
    if value.is_integer() {
        return i64::try_from(value.clone())
            .map(Value::from)
            .map_err(|_| "gives too large a number".to_owned());
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| "gives no number that can be written".to_owned())
}

fn trimmed(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..start + text.trim().len()
}

fn fault(expression: &Expression, error: &Error) -> Fault {
    let source = shortened(expression.source.trim());
    let whole = trimmed(&expression.source);
    let range = error
        .range()
        .filter(|range| !range.is_empty() && range.end <= expression.source.len())
        .unwrap_or(whole);
    let range = expression.place(range);
    let detail = error.detail().unwrap_or("it can't be computed");
    match error.kind() {
        ErrorKind::SyntaxError => {
            Fault::new(range, format!("`{source}` is not an expression: {detail}"))
                .label("not understood")
                .help("write it like `parameters.port + 1` or `'a' if parameters.x else 'b'`")
        }
        ErrorKind::OutOfFuel => Fault::new(range, format!("`{source}` is too much work"))
            .label("takes too long or too much memory")
            .help("compute large values in a script"),
        ErrorKind::UndefinedError => Fault::new(range, format!("`{source}` has no value"))
            .label("not known")
            .help("only `region` can be missing, before the build region is known"),
        _ => Fault::new(range, format!("`{source}` can't be computed: {detail}"))
            .label("not possible")
            .help("`| int`, `| float` and `| string` change the type of a value"),
    }
}

#[cfg(test)]
mod coverage {
    use super::*;

    #[test]
    fn every_filter_and_test_is_there() {
        let engine = Engine::new();
        let unknown = |source: &str| {
            let compiled = engine.environment.compile_expression(source);
            compiled
                .and_then(|compiled| compiled.eval(()))
                .is_err_and(|error| {
                    matches!(
                        error.kind(),
                        ErrorKind::UnknownFilter | ErrorKind::UnknownTest
                    )
                })
        };
        for name in words::FILTERS {
            assert!(!unknown(&format!("'1' | {name}")), "{name}");
        }
        for name in words::TESTS {
            assert!(!unknown(&format!("'1' is {name}")), "{name}");
        }
        assert!(unknown("'1' | zzz") && unknown("'1' is zzz"));
    }
}
