//! `${{ parameters.x }}`: found and checked when the template is read, replaced when
//! it is resolved.
//!
//! A value that is one reference and nothing else keeps the parameter's type; inside
//! a longer text the value is written as text. What a parameter's value contains is
//! never looked at again, so that a value can't bring references of its own. This
//! module knows texts only; where references may stand is the sections' to say.

use serde_json::{Map, Value};

use crate::mistake::Mistake;
use crate::nearest::nearest;
use crate::read::{Reader, quoted};
use crate::span::Span;
use crate::yaml::{Data, Node, Origin};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it stands.
    Text(String),
    /// The value of a parameter.
    Parameter(String),
}

/// Cuts a text into pieces; `Err` with what is wrong with a reference in it.
fn pieces(text: &str) -> Result<Vec<Piece>, (String, String)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let (before, from) = rest.split_at(at);
        let inside = &from[OPEN.len()..];
        let Some(end) = inside.find(CLOSE) else {
            let message = "a `${{` has no `}}` after it".to_owned();
            return Err((message, "write `${{ parameters.name }}`".to_owned()));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Parameter(parameter(inside[..end].trim())?));
        rest = &inside[end + CLOSE.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn parameter(expression: &str) -> Result<String, (String, String)> {
    match expression.strip_prefix("parameters.") {
        Some(name) if crate::rules::parameter_name(name).is_ok() => Ok(name.to_owned()),
        _ => Err((
            format!("`${{{{ {expression} }}}}` is not a reference"),
            "only `${{ parameters.name }}` can be used; there are no other expressions".to_owned(),
        )),
    }
}

/// Where expressions can be used, for messages.
pub(crate) const PLACES: &str = "expressions can be used in the values of `with`, `env` and `copy`, and in `source`, \
     `instance`, `image` and `distribute`";

/// What is known of a parameter while the template is read.
pub(crate) struct Known<'p> {
    pub(crate) name: &'p str,
    pub(crate) list: bool,
}

/// Notes every wrong reference in the texts of a value and marks what has no value yet.
/// `list_may_stand` says whether a parameter that is a list can be the whole value.
pub(crate) fn check(reader: &Reader, node: &mut Node, known: &[Known<'_>], list_may_stand: bool) {
    let span = node.span;
    match &mut node.data {
        Data::List(items) => {
            for item in items {
                check(reader, item, known, list_may_stand);
            }
        }
        Data::Map(entries) => {
            for (key, value) in entries {
                if key.text.contains(OPEN) {
                    let mistake = reader.mistake(key.span, "a key can't be a reference");
                    reader.note(mistake.help("parameters can be used in values only"));
                }
                check(reader, value, known, list_may_stand);
            }
        }
        Data::Scalar(leaf) if leaf.value.is_string() && leaf.text.contains(OPEN) => {
            leaf.origin = Origin::Deferred;
            check_text(reader, span, &leaf.text, known, list_may_stand);
        }
        Data::Scalar(_) => {}
    }
}

/// Gives every deferred text of a value its value.
pub(crate) fn evaluate(node: &mut Node, parameters: &Map<String, Value>) {
    match &mut node.data {
        Data::List(items) => {
            for item in items {
                evaluate(item, parameters);
            }
        }
        Data::Map(entries) => {
            for (_, value) in entries {
                evaluate(value, parameters);
            }
        }
        Data::Scalar(leaf) if leaf.origin == Origin::Deferred => {
            *node = Node::given(replace(&leaf.value, parameters), node.span);
        }
        Data::Scalar(_) => {}
    }
}

fn check_text(reader: &Reader, at: Span, text: &str, known: &[Known<'_>], list_may_stand: bool) {
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err((message, help)) => {
            let span = place(reader, at, OPEN);
            reader.note(reader.mistake(span, message).label("not valid").help(help));
            return;
        }
    };
    for piece in &pieces {
        let Piece::Parameter(name) = piece else {
            continue;
        };
        let span = place(reader, at, &format!("parameters.{name}"));
        match known.iter().find(|known| known.name == name) {
            None => reader.note(unknown(reader, span, name, known)),
            Some(known) if known.list && (pieces.len() > 1 || !list_may_stand) => {
                let message = format!("the parameter `{name}` is a list and can't become text");
                let help = "a list can only be a whole value in `with`";
                reader.note(reader.mistake(span, message).help(help));
            }
            Some(_) => {}
        }
    }
}

fn unknown(reader: &Reader, span: Span, name: &str, known: &[Known<'_>]) -> Mistake {
    let mistake = reader
        .mistake(span, format!("there is no parameter `{name}`"))
        .label("not in `parameters`");
    let names = || known.iter().map(|known| known.name);
    match nearest(name, names()) {
        Some(near) => mistake.help(format!("did you mean `parameters.{near}`?")),
        None if known.is_empty() => mistake.help(format!(
            "add it: `parameters: {{ {name}: {{ type: string }} }}`"
        )),
        None => mistake.help(format!("the parameters are {}", quoted(names()))),
    }
}

/// Where a piece of text stands in a value, or the whole value if escapes hide it.
fn place(reader: &Reader, span: Span, what: &str) -> Span {
    let text = reader.source().text();
    match text
        .get(span.start..span.end)
        .and_then(|text| text.find(what))
    {
        Some(at) => Span::new(span.start + at, span.start + at + what.len()),
        None => span,
    }
}

/// Replaces the references in a value. References that `check` has refused stay.
fn replace(value: &Value, parameters: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => match pieces(text).as_deref() {
            Ok([Piece::Parameter(name)]) => parameters.get(name).cloned().unwrap_or(Value::Null),
            Ok(pieces) => Value::String(join(pieces, parameters)),
            Err(_) => value.clone(),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| replace(item, parameters)).collect())
        }
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), replace(value, parameters)))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn join(pieces: &[Piece], parameters: &Map<String, Value>) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Parameter(name) => match parameters.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_cut_at_references() {
        let text = |text: &str| Piece::Text(text.into());
        let parameter = |name: &str| Piece::Parameter(name.into());
        assert_eq!(pieces("").unwrap(), []);
        assert_eq!(pieces("a}} {{ $").unwrap(), [text("a}} {{ $")]);
        assert_eq!(pieces("${{parameters.a}}").unwrap(), [parameter("a")]);
        assert_eq!(
            pieces("x ${{ parameters.a-b }}${{ parameters.c }}.").unwrap(),
            [text("x "), parameter("a-b"), parameter("c"), text(".")]
        );
        for bad in [
            "${{ parameters.a",
            "${{ a }}",
            "${{ parameters. }}",
            "${{ parameters.a + 1 }}",
        ] {
            assert!(pieces(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lone_reference_keeps_its_type_and_values_are_not_read_again() {
        let parameters = json!({"n": 8, "l": ["a"], "t": "${{ parameters.n }}"});
        let parameters = parameters.as_object().unwrap();
        let value = json!({
            "n": "${{ parameters.n }}",
            "port": ["p${{ parameters.n }}"],
            "l": "${{ parameters.l }}",
            "t": "<${{ parameters.t }}>",
        });
        assert_eq!(
            replace(&value, parameters),
            json!({"n": 8, "port": ["p8"], "l": ["a"], "t": "<${{ parameters.n }}>"})
        );
    }
}
