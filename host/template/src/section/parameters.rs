//! `parameters`: the values that differ from build to build, with their types.
//!
//! The words are JSON Schema's in this file's spelling (`minimum`, `max-length`); a
//! pattern is searched for, as there, so a pattern for the whole value begins with
//! `^` and ends with `$`. Parameters are not secret: they stand in plans, in the
//! journal and in manifests.

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use crate::keys;
use crate::mistake::Mistake;
use crate::read::{Reader, join, quoted_or, shortened};
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// A compiled pattern may take this many bytes: stops `(a{999}){999}` from taking
/// the host's memory.
const LARGEST_PATTERN: usize = 1024 * 1024;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterType {
    /// A text. The default.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    List,
}

impl ParameterType {
    const WORDS: [(&'static str, Self); 5] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("list", Self::List),
    ];

    /// As people read it: "a whole number".
    fn words(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "`true` or `false`",
            Self::List => "a list of texts",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string)),
        }
    }

    fn is_textual(self) -> bool {
        matches!(self, Self::String | Self::List)
    }

    fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }
}

/// A parameter of a template.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub kind: ParameterType,
    /// The value that it has when none is given.
    pub default: Option<Spanned<Value>>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
    rules: Rules,
}

/// What a value must hold beside its type. In a list it holds for every item.
#[derive(Clone, Debug, Default)]
struct Rules {
    pattern: Option<Regex>,
    choices: Option<Vec<Value>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u32>,
    max_length: Option<u32>,
}

impl Parameter {
    /// What is wrong with a value, as the end of a sentence: "must …".
    pub(crate) fn problem(&self, value: &Value) -> Option<String> {
        if !self.kind.fits(value) {
            return Some(format!("must be {}", self.kind.words()));
        }
        match value {
            Value::Array(items) => items.iter().find_map(|item| self.rules.problem(item)),
            value => self.rules.problem(value),
        }
    }

    /// The value that a text of the command line stands for. A list is JSON, or
    /// items between commas.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence: "must …".
    pub(crate) fn value_of(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            ParameterType::String => Some(Value::from(text)),
            ParameterType::Integer => text.trim().parse::<i64>().ok().map(Value::from),
            ParameterType::Number => serde_json::from_str(text.trim()).ok(),
            ParameterType::Boolean => text.trim().parse::<bool>().ok().map(Value::from),
            ParameterType::List if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).ok()
            }
            ParameterType::List if text.is_empty() => Some(Value::Array(Vec::new())),
            ParameterType::List => Some(text.split(',').map(str::trim).collect()),
        };
        let value = value.ok_or_else(|| format!("must be {}", self.kind.words()))?;
        self.problem(&value).map_or(Ok(value), Err)
    }
}

impl Rules {
    fn problem(&self, value: &Value) -> Option<String> {
        if let Some(choices) = &self.choices
            && !choices.contains(value)
        {
            let words: Vec<_> = choices.iter().map(plain).collect();
            return Some(format!(
                "must be {}",
                quoted_or(words.iter().map(String::as_str))
            ));
        }
        match value {
            Value::String(text) => self.text_problem(text),
            Value::Number(number) => self.number_problem(number.as_f64()?),
            _ => None,
        }
    }

    fn text_problem(&self, text: &str) -> Option<String> {
        let length = text.chars().count();
        let over = |limit: Option<u32>| limit.filter(|limit| length > *limit as usize);
        let under = |limit: Option<u32>| limit.filter(|limit| length < *limit as usize);
        if let Some(pattern) = self.pattern.as_ref().filter(|p| !p.is_match(text)) {
            return Some(format!("must match the pattern `{pattern}`"));
        }
        if let Some(limit) = over(self.max_length) {
            return Some(format!("must not be longer than {limit} characters"));
        }
        under(self.min_length).map(|limit| format!("must have at least {limit} characters"))
    }

    fn number_problem(&self, number: f64) -> Option<String> {
        if let Some(limit) = self.minimum.filter(|limit| number < *limit) {
            return Some(format!("must be {limit} or more"));
        }
        let limit = self.maximum.filter(|limit| number > *limit)?;
        Some(format!("must be {limit} or less"))
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads the section. Names of parameters that have mistakes are returned all the
/// same, so that references to them aren't reported as well.
pub(crate) fn read(reader: &Reader, node: &Node) -> Vec<Parameter> {
    let Some(entries) = reader.map(node, "parameters") else {
        return Vec::new();
    };
    entries
        .iter()
        .map(|(key, node)| {
            let name = Spanned::new(key.text.clone(), key.span);
            reader.obey(&name, "the name of a parameter", rules::parameter_name);
            one(reader, node, name)
        })
        .collect()
}

fn one(reader: &Reader, node: &Node, name: Spanned<String>) -> Parameter {
    let path = join("parameters", &name);
    let mut parameter = Parameter {
        name,
        kind: ParameterType::default(),
        default: None,
        description: None,
        rules: Rules::default(),
    };
    if let Data::Scalar(leaf) = &node.data {
        let mistake = reader.mistake(
            node.span,
            format!("`{path}` must be a mapping, not {}", node.kind()),
        );
        let help = if leaf.value.is_null() {
            "write `{ type: string }`".to_owned()
        } else {
            format!("if this is its value, write `{{ default: {} }}`", leaf.text)
        };
        reader.note(mistake.help(help));
        return parameter;
    }
    let Some(fields) = reader.fields(node, &path, &keys::PARAMETER) else {
        return parameter;
    };
    let at = |key: &str| join(&path, key);
    if let Some(node) = fields.get("type") {
        let kind = reader
            .text(node, &at("type"))
            .and_then(|word| reader.word(&word, &at("type"), &ParameterType::WORDS));
        let Some(kind) = kind else {
            return parameter;
        };
        parameter.kind = kind;
    }
    parameter.description = fields
        .get("description")
        .and_then(|node| reader.text(node, &at("description")));
    let kind = parameter.kind;
    let applies = |key: &str, applies: bool| {
        let (span, node) = fields.entry(key)?;
        if applies {
            return Some(node);
        }
        let mistake = reader.mistake(span, format!("`{key}` says nothing about {}", kind.words()));
        let help = format!("remove it, or change `type`, which is {}", kind.words());
        reader.note(mistake.label("doesn't belong here").help(help));
        None
    };
    let length = |key: &str| {
        let node = applies(key, kind.is_textual())?;
        let length = reader.integer(node, &at(key), 0, 1_000_000, "")?;
        Some(length.value)
    };
    let limit = |key: &str| number(reader, applies(key, kind.is_numeric())?, &at(key));
    parameter.rules = Rules {
        pattern: applies("pattern", kind.is_textual())
            .and_then(|node| pattern(reader, node, &at("pattern"))),
        choices: applies("enum", kind != ParameterType::Boolean)
            .and_then(|node| choices(reader, node, &at("enum"), kind)),
        minimum: limit("minimum"),
        maximum: limit("maximum"),
        min_length: length("min-length"),
        max_length: length("max-length"),
    };
    parameter.default = fields
        .get("default")
        .and_then(|node| default(reader, node, &at("default"), &parameter));
    parameter
}

fn number(reader: &Reader, node: &Node, path: &str) -> Option<f64> {
    let value = node.to_json();
    if value.is_number() {
        return value.as_f64();
    }
    let message = format!("`{path}` must be a number, not {}", node.kind());
    reader.note(
        reader
            .mistake(node.span, message)
            .help("write a number without quotes"),
    );
    None
}

fn pattern(reader: &Reader, node: &Node, path: &str) -> Option<Regex> {
    let text = reader.text(node, path)?;
    let compiled = regex::RegexBuilder::new(&text)
        .size_limit(LARGEST_PATTERN)
        .build();
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            reader.note(bad_pattern(reader, &text, &error));
            None
        }
    }
}

fn bad_pattern(reader: &Reader, text: &Spanned<String>, error: &regex::Error) -> Mistake {
    let mistake = reader.mistake(
        text.span,
        format!("`{}` is not a valid pattern", shortened(text)),
    );
    let regex::Error::Syntax(detail) = error else {
        return mistake
            .label("too large")
            .help("make the repetitions smaller");
    };
    // The detail draws the pattern over several lines; its last line says what is wrong.
    let reason = detail.lines().last().unwrap_or(detail);
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let mut help = reason.to_owned();
    if reason.contains("look-around") || reason.contains("backreference") {
        help.push_str("; write the pattern without it");
    }
    mistake.label("not a regular expression").help(help)
}

fn choices(reader: &Reader, node: &Node, path: &str, kind: ParameterType) -> Option<Vec<Value>> {
    let nodes = reader.list(node, path, "value")?;
    if nodes.is_empty() {
        let mistake = reader.mistake(node.span, format!("`{path}` allows no value"));
        reader.note(mistake.help("list the values, or remove it"));
        return None;
    }
    let item = match kind {
        ParameterType::List => ParameterType::String,
        kind => kind,
    };
    let values = nodes.iter().filter_map(|node| {
        let value = node.to_json();
        if item.fits(&value) {
            return Some(value);
        }
        let message = format!(
            "a value in `{path}` must be {}, not {}",
            item.words(),
            node.kind()
        );
        let help = format!("write {}, or change `type`", item.words());
        reader.note(reader.mistake(node.span, message).help(help));
        None
    });
    Some(values.collect())
}

fn default(
    reader: &Reader,
    node: &Node,
    path: &str,
    parameter: &Parameter,
) -> Option<Spanned<Value>> {
    let value = node.to_json();
    reader.no_reference(node, path)?;
    let Some(problem) = parameter.problem(&value) else {
        return Some(Spanned::new(value, node.span));
    };
    let mistake = reader.mistake(node.span, format!("`{path}` {problem}"));
    let quotes = parameter.kind == ParameterType::String
        && matches!(&node.data, Data::Scalar(leaf) if !leaf.value.is_null() && !leaf.value.is_string());
    reader.note(match &node.data {
        Data::Scalar(leaf) if quotes => {
            mistake.help(format!("put quotes around it: '{}'", leaf.text))
        }
        Data::Scalar(leaf) if parameter.value_of(&leaf.text).is_ok() => {
            mistake.help(format!("write it without quotes: {}", leaf.text))
        }
        _ => mistake
            .label("not valid")
            .help("the default must be a value that could be given"),
    });
    None
}

/// Where the whole section could be marked when there is none.
pub(crate) fn section_span(parameters: &[Parameter], otherwise: Span) -> Span {
    parameters
        .first()
        .map_or(otherwise, |first| first.name.span)
}
