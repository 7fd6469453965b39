//! From YAML text to a tree of nodes with positions.
//!
//! The tree is built from the parser's events and not by saphyr's own loader: the
//! loader ends at the first duplicate key, descends by recursion, and forgets how a
//! number was written (an account id must keep its zeros). Duplicate keys are all
//! reported; a text that isn't YAML at all ends at the first error, because what
//! follows it has no meaning.
//!
//! Templates may come from strangers, so size, depth and the nodes that aliases
//! make are limited. Nothing here knows the keys of a template.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScanError};
use serde_json::{Map, Number, Value};

use crate::mistake::{Mistake, Mistakes};
use crate::span::{SourceFile, Span};

/// The longest template, in bytes: stops a file that was never meant to be one from
/// being read into memory several times over.
const LONGEST: usize = 1024 * 1024;

/// How deep lists and mappings may be nested: everything that walks the tree
/// descends by recursion, so this is what keeps the stack from overflowing.
const DEEPEST: usize = 64;

/// How many nodes a template may have, those that aliases repeat counted each time:
/// stops a few nested aliases from growing into gigabytes.
const MOST_NODES: usize = 20_000;

/// A value of the template and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Scalar(Leaf),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A scalar as YAML understands it and as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) value: Value,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Where the value of a scalar comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It stands in the file.
    Written,
    /// The file has an expression, which has no value until the template is resolved.
    Deferred,
    /// An expression gave it; it is never looked at for expressions again.
    Given,
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl Node {
    /// What it is, for "must be a list, not a text".
    pub(crate) fn kind(&self) -> String {
        match &self.data {
            Data::List(_) => "a list".into(),
            Data::Map(_) => "a mapping".into(),
            Data::Scalar(leaf) => match leaf.value {
                Value::Null => "empty".into(),
                Value::Bool(_) => format!("the value {}", leaf.text),
                Value::Number(_) => format!("the number {}", leaf.text),
                _ => "a text".into(),
            },
        }
    }

    /// A value that an expression gave, at the place of the expression.
    pub(crate) fn given(value: Value, span: Span) -> Self {
        let data = match value {
            Value::Array(items) => Data::List(
                items
                    .into_iter()
                    .map(|item| Self::given(item, span))
                    .collect(),
            ),
            Value::Object(entries) => Data::Map(
                entries
                    .into_iter()
                    .map(|(text, value)| (Key { text, span }, Self::given(value, span)))
                    .collect(),
            ),
            value => Data::Scalar(Leaf {
                text: value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
                value,
                origin: Origin::Given,
            }),
        };
        Self { span, data }
    }

    /// Whether it is an expression that has no value yet.
    pub(crate) fn is_deferred(&self) -> bool {
        matches!(&self.data, Data::Scalar(leaf) if leaf.origin == Origin::Deferred)
    }

    /// The value without positions.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Scalar(leaf) => leaf.value.clone(),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.text.clone(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(leaf) if leaf.value.is_null())
    }
}

/// Reads the one document of `source`.
///
/// # Errors
/// The first syntax error, all duplicate keys, or a limit that was passed.
pub(crate) fn read(source: &Arc<SourceFile>) -> Result<Node, Mistakes> {
    if source.text().len() > LONGEST {
        let mistake = Mistake::new(source, Span::default(), "the template is larger than 1 MiB");
        return Err(mistake
            .help("an image template is a few kilobytes; is this another file?")
            .into());
    }
    let mut tree = Tree::new(source);
    let mut parser = Parser::new_from_str(source.text());
    while let Some(event) = parser.next_event() {
        let next = event
            .map_err(|error| tree.syntax(&error))
            .and_then(|(event, span)| tree.event(event, span));
        if let Err(mistake) = next {
            tree.mistakes.push(mistake);
            break;
        }
    }
    match tree.document {
        Some(node) => Mistakes::none_or(tree.mistakes, node),
        None if tree.mistakes.is_empty() => {
            let mistake = Mistake::new(source, Span::default(), "the template is empty");
            Err(mistake
                .help("a template begins with `name:`; see the examples")
                .into())
        }
        None => Err(Mistakes::none_or(tree.mistakes, ())
            .err()
            .unwrap_or(Mistakes(vec![]))),
    }
}

/// A list or mapping whose end hasn't come yet.
struct Open {
    anchor: usize,
    start: usize,
    data: Data,
    key: Option<Key>,
    seen: HashMap<String, Span>,
}

struct Tree<'s> {
    source: &'s Arc<SourceFile>,
    /// Byte offsets by character index; `None` for ASCII, where both are the same.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    document: Option<Node>,
    mistakes: Vec<Mistake>,
}

impl<'s> Tree<'s> {
    fn new(source: &'s Arc<SourceFile>) -> Self {
        let text = source.text();
        let offsets =
            (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect());
        Self {
            source,
            offsets,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            document: None,
            mistakes: Vec::new(),
        }
    }

    fn byte(&self, marker: Marker) -> usize {
        let end = self.source.text().len();
        match &self.offsets {
            None => marker.index().min(end),
            Some(offsets) => offsets.get(marker.index()).copied().unwrap_or(end),
        }
    }

    fn mistake(&self, span: Span, message: impl Into<String>) -> Mistake {
        Mistake::new(self.source, span, message)
    }

    fn syntax(&self, error: &ScanError) -> Mistake {
        let at = self.byte(*error.marker());
        // The scanner reads ahead and has a limit of its own, a higher one.
        if error.info() == "recursion limit exceeded" {
            return self.too_deep(Span::new(at, at));
        }
        let text = self.source.text();
        let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
        let indent = text[line_start..]
            .split(|c: char| !c.is_whitespace() || c == '\n')
            .next()
            .unwrap_or("");
        if let Some(tab) = indent.find('\t') {
            let tab = line_start + tab;
            return self
                .mistake(
                    Span::new(tab, tab + 1),
                    "this is not YAML: a line is indented with a tab",
                )
                .label("a tab")
                .help("YAML is indented with spaces, never with tabs");
        }
        let next = text[at..]
            .split([' ', '\n', ',', '}', ']'])
            .next()
            .unwrap_or("");
        let (message, help) = explained(error.info(), next);
        self.mistake(Span::new(at, at), format!("this is not YAML: {message}"))
            .label("not understood here or just before")
            .help(help)
    }

    fn event(&mut self, event: Event<'_>, at: saphyr_parser::Span) -> Result<(), Mistake> {
        let span = Span::new(self.byte(at.start), self.byte(at.end));
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.document.is_none() => Ok(()),
            Event::DocumentStart(_) => Err(self
                .mistake(
                    span,
                    "a template is one YAML document; here a second one begins",
                )
                .help("remove the line `---` or put the second template into its own file")),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == saphyr::ScalarStyle::Plain;
                let written = text.to_string();
                let value = Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref());
                let value = value
                    .and_then(|scalar| json(&scalar, plain))
                    .ok_or_else(|| {
                        self.mistake(span, format!("`{written}` is not a value that JSON has"))
                            .help("put quotes around it if it is meant as text")
                    })?;
                let leaf = Leaf {
                    value,
                    text: written,
                    origin: Origin::Written,
                };
                self.add(
                    Node {
                        span,
                        data: Data::Scalar(leaf),
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Data::List(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.open(Data::Map(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
        }
    }

    fn open(
        &mut self,
        data: Data,
        anchor: usize,
        tag: Option<&saphyr::Tag>,
        span: Span,
    ) -> Result<(), Mistake> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(self
                .mistake(
                    span,
                    format!("the YAML tag `{tag}` has no meaning in a template"),
                )
                .help("remove the tag"));
        }
        if self.open.len() >= DEEPEST {
            return Err(self.too_deep(span));
        }
        self.open.push(Open {
            anchor,
            start: span.start,
            data,
            key: None,
            seen: HashMap::new(),
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Mistake> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        // A block ends where the next token begins; the space before that isn't its own.
        let inside = self.source.text().get(open.start..span.end).unwrap_or("");
        let end = open.start + inside.trim_end().len();
        let node = Node {
            span: Span::new(open.start, end),
            data: open.data,
        };
        self.add(node, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Mistake> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self
                .mistake(span, "an alias can't stand inside the value that it names")
                .help("write the value out"));
        };
        let (nodes, depth) = measure(node);
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            return Err(self.too_many(span));
        }
        if self.open.len() + depth > DEEPEST {
            return Err(self.too_deep(span));
        }
        let node = node.clone();
        self.add(node, 0)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Mistake> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.too_many(node.span));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.document = Some(node);
            return Ok(());
        };
        match &mut open.data {
            Data::List(items) => items.push(node),
            Data::Map(entries) => match open.key.take() {
                Some(key) => entries.push((key, node)),
                None => return self.key(node),
            },
            Data::Scalar(_) => {}
        }
        Ok(())
    }

    fn key(&mut self, node: Node) -> Result<(), Mistake> {
        let span = node.span;
        let Data::Scalar(leaf) = node.data else {
            return Err(self
                .mistake(span, "a key must be a text, not a list or a mapping")
                .help("if this is a value with braces, put quotes around it"));
        };
        let earlier = self.open.last_mut().and_then(|open| {
            open.key = Some(Key {
                text: leaf.text.clone(),
                span,
            });
            open.seen.insert(leaf.text.clone(), span)
        });
        if let Some(earlier) = earlier {
            let (line, _) = self.source.line_column(earlier.start);
            let mistake = self
                .mistake(span, format!("the key `{}` stands here twice", leaf.text))
                .label("the second one")
                .help(format!("the first one is in line {line}; keep one of them"));
            self.mistakes.push(mistake);
        }
        Ok(())
    }

    fn too_many(&self, span: Span) -> Mistake {
        self.mistake(
            span,
            format!("the template has more than {MOST_NODES} values"),
        )
        .help("aliases count each time they are used; write less or use fewer of them")
    }

    fn too_deep(&self, span: Span) -> Mistake {
        self.mistake(
            span,
            format!("lists and mappings are nested deeper than {DEEPEST} levels"),
        )
        .help("no template needs that; is a bracket not closed?")
    }
}

/// What a scanner's message means for people, and what to write; `next` is the word at
/// the place. The scanner's words are matched, for it has no codes; those that aren't
/// known are passed on.
fn explained(info: &str, next: &str) -> (String, String) {
    let said = |words: &str| info.contains(words);
    let next = next.chars().take(40).collect::<String>();
    let (message, help) = if said("mapping values are not allowed") {
        (
            "a `:` stands where no key can be".to_owned(),
            "put quotes around a text with `: ` in it, or check the indentation".to_owned(),
        )
    } else if said("quoted scalar") && said("end of stream") {
        (
            "a text in quotes has no end".to_owned(),
            "end it with the quote that it begins with; inside '…' an apostrophe is written ''"
                .to_owned(),
        )
    } else if said("did not find expected key") || said("did not find expected '-'") {
        (
            "a line doesn't belong to the list or mapping before it".to_owned(),
            "indent it exactly like the lines that it belongs with".to_owned(),
        )
    } else if said("flow sequence") {
        (
            "a list in `[ ]` doesn't go on".to_owned(),
            "write `,` between its items and `]` after the last".to_owned(),
        )
    } else if said("flow mapping") {
        (
            "a mapping in `{ }` doesn't go on".to_owned(),
            "write `,` between its pairs and `}` after the last".to_owned(),
        )
    } else if said("unexpected character") {
        (
            format!("a text can't begin like `{next}` without quotes"),
            format!("put quotes around it: '{next}'"),
        )
    } else if said("unknown anchor") {
        (
            format!("`{next}` is the alias of nothing"),
            "put quotes around a text that begins with `*`; an alias needs a value marked with `&`"
                .to_owned(),
        )
    } else {
        (
            info.to_owned(),
            "check indentation and quotes on this line and the one before".to_owned(),
        )
    };
    (message, help)
}

/// How many nodes a tree has, and how many levels.
fn measure(node: &Node) -> (usize, usize) {
    let join = |children: &mut dyn Iterator<Item = &Node>| {
        children
            .map(measure)
            .fold((1, 0), |(nodes, depth), (n, d)| (nodes + n, depth.max(d)))
    };
    let (nodes, depth) = match &node.data {
        Data::Scalar(_) => return (1, 0),
        Data::List(items) => join(&mut items.iter()),
        Data::Map(entries) => join(&mut entries.iter().map(|(_, value)| value)),
    };
    (nodes, depth + 1)
}

/// The JSON value of a scalar; `None` for infinity and for what isn't a number.
fn json(scalar: &Scalar<'_>, plain: bool) -> Option<Value> {
    Some(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::FloatingPoint(value) => Value::Number(Number::from_f64(value.into_inner())?),
        Scalar::String(text) if plain && text.is_empty() => Value::Null,
        Scalar::String(text) => Value::String(text.to_string()),
    })
}
