//! `${{ … }}`: values of a template that are computed.
//!
//! | step | module |
//! |---|---|
//! | a text is cut into texts and expressions | `pieces` |
//! | the words of an expression are checked against the names there are | `words` |
//! | it is compiled and computed, with limits | `compute` |
//! | a place inside it is found in the file | `place` |
//!
//! The language is that of Jinja expressions, computed by `minijinja`: operators,
//! comparisons, `and`, `or`, `not`, `in`, `a if b else c`, and the filters and tests of
//! `words`. It has no functions, no methods, no loops and no way to a file or to the
//! environment.
//!
//! A value that is one expression and nothing else keeps the type of what comes out;
//! inside a longer text it is written as text. What comes out is never looked at for
//! expressions again, so a parameter can't bring its own. Where expressions may stand is
//! said in `places`.

mod compute;
mod pieces;
mod place;
mod words;

use std::ops::Range;

use serde_json::{Map, Value};

use crate::mistake::Mistake;
use crate::places::Place;
use crate::read::Reader;
use crate::span::Span;
use crate::yaml::{Data, Leaf, Node, Origin};

use pieces::Piece;
use words::Sole;

/// Where expressions can be used, for messages.
pub(crate) const PLACES: &str = "expressions can be used in the values of `with`, `env` and `copy`, \
     and in `source`, `instance`, `image` and `distribute`; with a `matrix` its values also in `name`";

/// How many expressions a template may have, those that aliases repeat counted each
/// time: each may take a few milliseconds, so this is what keeps a template from taking
/// minutes.
const MOST_EXPRESSIONS: usize = 2000;

/// What is wrong with an expression, and where in the text that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    range: Range<usize>,
    message: String,
    label: &'static str,
    help: Option<String>,
}

impl Fault {
    fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            label: "here",
            help: None,
        }
    }

    fn label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same fault, found in a part of the text that begins at `by`.
    fn shifted(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }

    fn into_mistake(self, reader: &Reader, node: Span, text: &str) -> Mistake {
        let span = place::of(reader.source().text(), node, text, self.range);
        let mistake = reader.mistake(span, self.message).label(self.label);
        match self.help {
            Some(help) => mistake.help(help),
            None => mistake,
        }
    }
}

/// The names that expressions can use, known while a template is read.
#[derive(Debug, Default)]
pub(crate) struct Names<'t> {
    /// Each parameter, and whether it is a list.
    pub(crate) parameters: Vec<(&'t str, bool)>,
    /// Each value of the matrix, and whether it is a list; empty without a matrix. `None`
    /// of a matrix that says nothing of its values.
    pub(crate) matrix: Option<Vec<(&'t str, bool)>>,
    /// The secrets.
    pub(crate) secrets: Vec<String>,
}

/// The values of those names, known when it is resolved.
#[derive(Debug)]
pub(crate) struct Scope<'t> {
    pub(crate) parameters: &'t Map<String, Value>,
    pub(crate) matrix: &'t Map<String, Value>,
    pub(crate) name: &'t str,
    pub(crate) cloud: &'static str,
    /// `None` while the region isn't known yet.
    pub(crate) region: Option<&'t str>,
}

/// Checks the expressions of one template and marks the values that wait for one.
pub(crate) struct Checker<'t> {
    reader: &'t Reader,
    names: Names<'t>,
    compute: compute::Engine,
    count: usize,
}

impl<'t> Checker<'t> {
    pub(crate) fn new(reader: &'t Reader, names: Names<'t>) -> Self {
        Self {
            reader,
            names,
            compute: compute::Engine::new(),
            count: 0,
        }
    }

    /// Checks a value and all that it holds.
    pub(crate) fn check(&mut self, place: Place, node: &mut Node) {
        let span = node.span;
        match &mut node.data {
            Data::List(items) => {
                for item in items {
                    self.check(place, item);
                }
            }
            Data::Map(entries) => {
                for (key, value) in entries {
                    if key.text.contains(pieces::OPEN) {
                        let mistake = self
                            .reader
                            .mistake(key.span, "a key can't hold an expression");
                        let help = "expressions can be used in values only";
                        self.reader.note(mistake.help(help));
                    }
                    self.check(place, value);
                }
            }
            Data::Scalar(leaf) if leaf.value.is_string() && leaf.text.contains(pieces::OPEN) => {
                leaf.origin = Origin::Deferred;
                for fault in self.faults(place, leaf) {
                    let mistake = fault.into_mistake(self.reader, span, &leaf.text);
                    self.reader.note(mistake);
                }
            }
            Data::Scalar(_) => {}
        }
    }

    fn faults(&mut self, place: Place, leaf: &Leaf) -> Vec<Fault> {
        let pieces = match pieces::cut(&leaf.text) {
            Ok(pieces) => pieces,
            Err(fault) => return vec![fault],
        };
        let alone = pieces.len() == 1;
        let mut faults = Vec::new();
        for piece in pieces {
            let Piece::Expression(range) = piece else {
                continue;
            };
            self.count += 1;
            if self.count == MOST_EXPRESSIONS + 1 {
                let message = format!("the template has more than {MOST_EXPRESSIONS} expressions");
                let help = "aliases count each time they are used";
                faults.push(Fault::new(range.clone(), message).help(help));
            }
            if self.count > MOST_EXPRESSIONS {
                break;
            }
            let inner = &leaf.text[range.clone()];
            let found = match words::check(inner, &self.names, place) {
                Ok(expression) => self
                    .list_in_text(expression.sole.as_ref(), place, alone)
                    .or_else(|| self.compute.compile(&expression).err()),
                Err(fault) => Some(fault),
            };
            faults.extend(found.map(|fault| fault.shifted(range.start)));
        }
        faults
    }

    /// A list can't be written into a text; seen here where it is a parameter.
    fn list_in_text(&self, sole: Option<&Sole>, place: Place, alone: bool) -> Option<Fault> {
        let (known, what, root, name, range) = match sole {
            Some(Sole::Parameter(name, range)) => (
                &self.names.parameters,
                "the parameter",
                "parameters",
                name,
                range,
            ),
            Some(Sole::Matrix(name, range)) => (
                self.names.matrix.as_ref()?,
                "the matrix's value",
                "matrix",
                name,
                range,
            ),
            _ => return None,
        };
        let list = known.iter().any(|(known, list)| known == name && *list);
        if !list || (alone && place != Place::Env) {
            return None;
        }
        let message = format!("{what} `{name}` is a list and can't become text");
        let help = format!("join it: `${{{{ {root}.{name} | join(' ') }}}}`");
        Some(Fault::new(range.clone(), message).help(help))
    }
}

/// Gives every value that waits for an expression what it comes to.
pub(crate) struct Evaluator<'t> {
    reader: &'t Reader,
    values: compute::Values<'t>,
    compute: compute::Engine,
}

impl<'t> Evaluator<'t> {
    pub(crate) fn new(reader: &'t Reader, scope: &'t Scope<'t>) -> Self {
        Self {
            reader,
            values: compute::Values::of(scope),
            compute: compute::Engine::new(),
        }
    }

    pub(crate) fn evaluate(&self, node: &mut Node) {
        let span = node.span;
        match &mut node.data {
            Data::List(items) => {
                for item in items {
                    self.evaluate(item);
                }
            }
            Data::Map(entries) => {
                for (_, value) in entries {
                    self.evaluate(value);
                }
            }
            Data::Scalar(leaf) if leaf.origin == Origin::Deferred => match self.value(&leaf.text) {
                Ok(value) => *node = Node::given(value, span),
                // It stays deferred, so that nothing else is said of it.
                Err(fault) => {
                    let mistake = fault.into_mistake(self.reader, span, &leaf.text);
                    self.reader.note(mistake);
                }
            },
            Data::Scalar(_) => {}
        }
    }

    fn value(&self, text: &str) -> Result<Value, Fault> {
        let pieces = pieces::cut(text)?;
        if let [Piece::Expression(range)] = pieces.as_slice() {
            return self.one(text, range);
        }
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(range) => whole.push_str(&text[range]),
                Piece::Expression(range) => match self.one(text, &range)? {
                    Value::String(value) => whole.push_str(&value),
                    value @ (Value::Bool(_) | Value::Number(_)) => {
                        whole.push_str(&value.to_string());
                    }
                    other => return Err(not_text(range, &other)),
                },
            }
        }
        Ok(Value::String(whole))
    }

    fn one(&self, text: &str, range: &Range<usize>) -> Result<Value, Fault> {
        self.compute
            .evaluate(&text[range.clone()], &self.values)
            .map_err(|fault| fault.shifted(range.start))
    }
}

fn not_text(range: Range<usize>, value: &Value) -> Fault {
    let (what, help) = match value {
        Value::Array(_) => ("a list", "join it with `| join(' ')`"),
        Value::Null => ("nothing", "give it a value with `| default('…')`"),
        _ => ("a mapping", "a text can hold texts, numbers and `true`"),
    };
    Fault::new(range, format!("{what} can't become text"))
        .label("stands inside a longer text")
        .help(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::span::SourceFile;

    fn value(text: &str) -> Result<Value, String> {
        let reader = Reader::new(&std::sync::Arc::new(SourceFile::new("x", text)));
        let parameters = json!({
            "n": 8, "l": ["a", "b"], "t": "${{ parameters.n }}", "web-port": 80,
            "tls": true, "half": 0.5, "word": "Nginx",
        });
        let matrix = json!({ "php-version": "8.2" });
        let scope = Scope {
            parameters: parameters.as_object().expect("a mapping"),
            matrix: matrix.as_object().expect("a mapping"),
            name: "web",
            cloud: "local",
            region: Some("cn-hangzhou"),
        };
        let evaluator = Evaluator::new(&reader, &scope);
        evaluator.value(text).map_err(|fault| fault.message)
    }

    #[test]
    fn values_and_their_types() {
        for (text, expected) in [
            ("${{ parameters.n }}", json!(8)),
            ("${{parameters.n}}", json!(8)),
            ("p${{ parameters.n }}.", json!("p8.")),
            ("${{ parameters.l }}", json!(["a", "b"])),
            ("<${{ parameters.t }}>", json!("<${{ parameters.n }}>")),
            ("${{ parameters.web-port }}", json!(80)),
            ("${{ parameters.web-port - 1 }}", json!(79)),
            ("${{ matrix.php-version }}", json!("8.2")),
            (
                "${{ matrix.php-version | replace('.', '-') }}",
                json!("8-2"),
            ),
            ("${{ parameters.n * 2 + 1 }}", json!(17)),
            ("${{ parameters.n / 2 }}", json!(4.0)),
            ("${{ parameters.n // 3 }}", json!(2)),
            (
                "${{ parameters.half }}${{ parameters.tls }}",
                json!("0.5true"),
            ),
            (
                "${{ 'https' if parameters.tls else 'http' }}",
                json!("https"),
            ),
            (
                "http${{ 's' if parameters.tls else '' }}://x",
                json!("https://x"),
            ),
            ("${{ parameters.l | join(' ') }}", json!("a b")),
            ("${{ parameters.word | lower }}", json!("nginx")),
            ("${{ parameters.tls | string }}", json!("true")),
            (
                "${{ cloud == 'local' and region is startingwith('cn-') }}",
                json!(true),
            ),
            ("${{ name + '-x' }}", json!("web-x")),
            ("${{ 'a' in parameters.l }}", json!(true)),
            ("${{ parameters.l + ['c'] }}", json!(["a", "b", "c"])),
            ("${{ '${{ }}' }}", json!("${{ }}")),
            ("${{ \"}}\" }}", json!("}}")),
            (
                "${{ secrets.db-password }}",
                json!(darkroom_contract::secret::Marker::of("db-password")),
            ),
            ("a}} {{ $", json!("a}} {{ $")),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_can_t_be_computed() {
        for text in [
            "${{ parameters.n / 0 }}",
            "${{ parameters.word + 1 }}",
            "${{ parameters.zzz }}",
            "x${{ parameters.l }}",
            "${{ 'x' * 1000000000 }}",
            "${{ [0] * 100000000 }}",
            "${{ ([0] * 100000000) | join(',') }}",
            "${{ ([0] * 100000000) | sort }}",
            "${{ 9 ** 9 ** 9 }}",
            "${{ {'a': 1} }}",
            "${{ none }}x",
        ] {
            let begun = std::time::Instant::now();
            assert!(value(text).is_err(), "{text}: {:?}", value(text));
            assert!(begun.elapsed().as_secs() < 5, "{text}");
        }
    }
}
