//! From nodes to values: the checks that every section shares.
//!
//! A [`Reader`] collects mistakes instead of ending at the first, so its methods
//! return `Option`: `None` means that a mistake was noted and the caller goes on
//! with the next value. It knows kinds of values and the tables in `keys`, but not
//! what any section means.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use crate::keys::Keys;
use crate::mistake::Mistake;
use crate::nearest::nearest;
use crate::span::{SourceFile, Span, Spanned};
use crate::yaml::{Data, Key, Node, Origin};

/// More mistakes than this are not listed: nobody reads them, and a file that was
/// never meant as a template would fill the screen.
const MOST_MISTAKES: usize = 100;

/// Reads one template and keeps its mistakes.
pub(crate) struct Reader {
    source: Arc<SourceFile>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Reader {
    pub(crate) fn new(source: &Arc<SourceFile>) -> Self {
        Self {
            source: Arc::clone(source),
            mistakes: RefCell::default(),
        }
    }

    pub(crate) fn source(&self) -> &Arc<SourceFile> {
        &self.source
    }

    pub(crate) fn has_mistakes(&self) -> bool {
        !self.mistakes.borrow().is_empty()
    }

    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }

    /// A mistake to be refined and given to [`Reader::note`].
    pub(crate) fn mistake(&self, span: Span, message: impl Into<String>) -> Mistake {
        Mistake::new(&self.source, span, message)
    }

    pub(crate) fn note(&self, mistake: Mistake) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MOST_MISTAKES {
            mistakes.push(mistake);
        }
    }

    /// A node of the wrong kind: "`name` must be a text, not a list".
    fn wrong_kind(&self, node: &Node, name: &str, expected: &str, help: &str) {
        if node.is_deferred() {
            return;
        }
        let mistake = self.mistake(
            node.span,
            format!("`{name}` must be {expected}, not {}", node.kind()),
        );
        let given = matches!(&node.data, Data::Scalar(leaf) if leaf.origin == Origin::Given);
        let verb = if given { "this gives" } else { "this is" };
        let mistake = mistake.label(format!("{verb} {}", node.kind()));
        self.note(if help.is_empty() {
            mistake.help(format!("write {expected}"))
        } else {
            mistake.help(help)
        });
    }

    /// The entries of a mapping with known keys only; unknown ones are noted.
    /// `name` is the path of the mapping, empty at the top.
    pub(crate) fn fields<'n>(&self, node: &'n Node, name: &str, keys: &Keys) -> Option<Fields<'n>> {
        let Data::Map(entries) = &node.data else {
            let what = if name.is_empty() { "template" } else { name };
            let help = format!("write `key: value` pairs; the keys are {}", keys.list());
            self.wrong_kind(node, what, "a mapping", &help);
            return None;
        };
        for (key, _) in entries {
            self.check_key(key, name, keys);
        }
        Some(Fields { entries })
    }

    fn check_key(&self, key: &Key, name: &str, keys: &Keys) {
        let text = &key.text;
        if keys.known(text) {
            return;
        }
        let path = join(name, text);
        if let Some(instead) = keys.unsupported(text) {
            let mistake = self.mistake(key.span, format!("`{path}` is not supported"));
            self.note(mistake.label("not supported").help(instead));
            return;
        }
        let mistake = self
            .mistake(key.span, format!("unknown key `{text}` in {}", keys.title))
            .label("unknown key");
        self.note(mistake.help(match nearest(text, keys.candidates()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", keys.list()),
        }));
    }

    /// A text. Numbers and `true` are not taken for one.
    pub(crate) fn text(&self, node: &Node, name: &str) -> Option<Spanned<String>> {
        if node.is_deferred() {
            return None;
        }
        let leaf = match &node.data {
            Data::Scalar(leaf) if leaf.value.is_string() => leaf,
            Data::Scalar(leaf) if !leaf.value.is_null() => {
                let help = format!("put quotes around it: '{}'", leaf.text);
                self.wrong_kind(node, name, "a text", &help);
                return None;
            }
            _ => {
                self.wrong_kind(node, name, "a text", "");
                return None;
            }
        };
        self.no_reference(node, name)?;
        Some(Spanned::new(leaf.text.clone(), node.span))
    }

    /// A text, or a number or `true` as it was written: for ids and variables, where
    /// forgotten quotes change nothing.
    pub(crate) fn written(&self, node: &Node, name: &str) -> Option<Spanned<String>> {
        match &node.data {
            Data::Scalar(leaf) if leaf.origin == Origin::Deferred => None,
            Data::Scalar(leaf) if !leaf.value.is_null() => {
                self.no_reference(node, name)?;
                Some(Spanned::new(leaf.text.clone(), node.span))
            }
            _ => {
                self.wrong_kind(node, name, "a text", "an empty text is written ''");
                None
            }
        }
    }

    /// `${{ }}` is refused wherever it would not be replaced.
    pub(crate) fn no_reference(&self, node: &Node, name: &str) -> Option<()> {
        if let Data::Scalar(leaf) = &node.data
            && leaf.origin != Origin::Written
        {
            return Some(());
        }
        let written = self.source.text().get(node.span.start..node.span.end)?;
        let Some(at) = written.find("${{") else {
            return Some(());
        };
        let start = node.span.start + at;
        let end = written[at..]
            .find("}}")
            .map_or(node.span.end, |end| start + end + 2);
        let mistake = self
            .mistake(
                Span::new(start, end),
                format!("`${{{{ }}}}` is not replaced in `{name}`"),
            )
            .label("stays as it is")
            .help(crate::expression::PLACES);
        self.note(mistake);
        None
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn integer(
        &self,
        node: &Node,
        name: &str,
        low: u32,
        high: u32,
        unit: &str,
    ) -> Option<Spanned<u32>> {
        let expected = format!("a whole number from {low} to {high}{unit}");
        let Data::Scalar(leaf) = &node.data else {
            self.wrong_kind(node, name, &expected, "");
            return None;
        };
        let Some(number) = leaf.value.as_i64() else {
            let help = if leaf.text.trim().parse::<u32>().is_ok() {
                "write it without quotes"
            } else {
                ""
            };
            self.wrong_kind(node, name, &expected, help);
            return None;
        };
        let fitting = u32::try_from(number)
            .ok()
            .filter(|number| (low..=high).contains(number));
        if fitting.is_none() {
            let message = format!("`{name}` must be {expected}, not {number}");
            let help = format!("write {expected}");
            let mistake = self.mistake(node.span, message).label("out of range");
            self.note(mistake.help(help));
        }
        fitting.map(|number| Spanned::new(number, node.span))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, node: &Node, name: &str) -> Option<Spanned<bool>> {
        if let Data::Scalar(leaf) = &node.data
            && let Value::Bool(value) = leaf.value
        {
            return Some(Spanned::new(value, node.span));
        }
        let text = match &node.data {
            Data::Scalar(leaf) => leaf.text.to_lowercase(),
            Data::List(_) | Data::Map(_) => String::new(),
        };
        let help = match text.as_str() {
            "true" | "false" => "write it without quotes",
            "yes" | "on" | "y" => "write `true`; this is a text in YAML",
            "no" | "off" | "n" => "write `false`; this is a text in YAML",
            _ => "",
        };
        self.wrong_kind(node, name, "`true` or `false`", help);
        None
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&self, node: &'n Node, name: &str, of: &str) -> Option<&'n [Node]> {
        if let Data::List(items) = &node.data {
            return Some(items);
        }
        let help = if node.is_null() {
            format!("remove `{name}` or write `[]`")
        } else {
            format!("each {of} is a line that begins with `- `")
        };
        self.wrong_kind(node, name, &format!("a list of {of}s"), &help);
        None
    }

    /// The entries of a mapping with keys of the author's own.
    pub(crate) fn map<'n>(&self, node: &'n Node, name: &str) -> Option<&'n [(Key, Node)]> {
        if let Data::Map(entries) = &node.data {
            return Some(entries);
        }
        let help = "write `name: value` pairs, one a line";
        self.wrong_kind(node, name, "a mapping", help);
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        text: &Spanned<String>,
        name: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let list = quoted_or(words.iter().map(|(word, _)| *word));
        let mistake = self
            .mistake(text.span, format!("`{name}` can't be `{}`", text.value))
            .label("not one of the words known here");
        let help = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean `{near}`? It can be {list}"),
            None => format!("it can be {list}"),
        };
        self.note(mistake.help(help));
        None
    }

    /// Notes what a rule says against a text.
    pub(crate) fn obey(
        &self,
        text: &Spanned<String>,
        name: &str,
        rule: fn(&str) -> Result<(), String>,
    ) -> Option<()> {
        let Err(help) = rule(text) else {
            return Some(());
        };
        let message = format!("`{}` can't be {name}", shortened(text));
        self.note(
            self.mistake(text.span, message)
                .label("not valid")
                .help(help),
        );
        None
    }
}

/// The entries of a mapping whose keys have been checked.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// Entries whose keys are checked elsewhere.
    pub(crate) fn of(entries: &'n [(Key, Node)]) -> Self {
        Self { entries }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<(Span, &'n Node)> {
        self.entries
            .iter()
            .find(|(found, _)| found.text == key)
            .map(|(key, node)| (key.span, node))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'n Key> {
        self.entries.iter().map(|(key, _)| key)
    }
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    enumerated(words, "and")
}

/// `a`, `b` or `c`, each in backquotes.
pub(crate) fn quoted_or<'a>(words: impl Iterator<Item = &'a str>) -> String {
    enumerated(words, "or")
}

fn enumerated<'a>(words: impl Iterator<Item = &'a str>, joint: &str) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {joint} {last}", first.join(", ")),
    }
}

/// A text short enough to stand in a message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= LONGEST && line.len() == text.trim_end().len() {
        return line.to_owned();
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}

/// `instance` and `disk` give `instance.disk`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
