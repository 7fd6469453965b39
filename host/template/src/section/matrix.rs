//! `matrix`: the builds that one template is, each with values of its own.
//!
//! It is written as axes, of which every combination is a cell, or as a list of cells.
//! What a cell is called and how one is chosen is `cells`'s to say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::read::{Reader, join, quoted, shortened};
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Key, Node};

/// How many cells a matrix may have: each is a build of its own.
pub(crate) const MOST_CELLS: usize = 100;

/// A matrix as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matrix {
    /// What is said of every cell, in the order of the file, and where first.
    pub(crate) keys: Vec<Spanned<String>>,
    /// The values of each cell.
    pub(crate) cells: Vec<Map<String, Value>>,
}

impl Matrix {
    /// Each key, and whether its values are lists; nothing of what is no matrix.
    pub(crate) fn names(&self) -> Option<Vec<(&str, bool)>> {
        let is_list = |key: &str| {
            let mut values = self.cells.iter().filter_map(|cell| cell.get(key));
            values.any(Value::is_array)
        };
        let keys = self.keys.iter().map(|key| key.value.as_str());
        let names: Vec<_> = keys.map(|key| (key, is_list(key))).collect();
        (!names.is_empty()).then_some(names)
    }
}

/// Reads the section. Keys with mistakes are returned all the same, so that references to
/// them aren't reported as well.
pub(crate) fn read(reader: &Reader, node: &Node) -> Matrix {
    let matrix = match &node.data {
        Data::List(cells) => listed(reader, cells),
        Data::Map(axes) => combined(reader, axes, node.span),
        Data::Scalar(_) => {
            let message = format!("`matrix` must be a mapping or a list, not {}", node.kind());
            let help = "write axes, `base: [debian-12, debian-13]`, or a list of cells, \
                        `- { base: debian-12 }`";
            reader.note(reader.mistake(node.span, message).help(help));
            Matrix::default()
        }
    };
    if matrix.cells.is_empty() && !matches!(node.data, Data::Scalar(_)) && !reader.has_mistakes() {
        let mistake = reader.mistake(node.span, "`matrix` has no cell");
        reader.note(mistake.help("give it values, or remove it"));
    }
    matrix
}

/// Every combination of the axes' values; the last axis changes fastest.
fn combined(reader: &Reader, axes: &[(Key, Node)], span: Span) -> Matrix {
    let mut matrix = Matrix::default();
    let mut cells = vec![Map::new()];
    for (key, node) in axes {
        let name = named(reader, key);
        let values = axis(reader, node, &join("matrix", &name));
        if cells.len().saturating_mul(values.len().max(1)) > MOST_CELLS {
            let message = format!("`matrix` has more than {MOST_CELLS} cells");
            let mistake = reader.mistake(span, message);
            reader.note(
                mistake.help("write the cells that are wanted as a list, or several templates"),
            );
            cells.truncate(1);
        } else if !values.is_empty() {
            let with = |cell: &Map<String, Value>| {
                let cell = cell.clone();
                let name = name.value.clone();
                values.clone().into_iter().map(move |value| {
                    let mut cell = cell.clone();
                    cell.insert(name.clone(), value);
                    cell
                })
            };
            cells = cells.iter().flat_map(with).collect();
        }
        matrix.keys.push(name);
    }
    if !axes.is_empty() {
        matrix.cells = cells;
    }
    matrix
}

/// The values of one axis.
fn axis(reader: &Reader, node: &Node, path: &str) -> Vec<Value> {
    let Some(nodes) = reader.list(node, path, "value") else {
        return Vec::new();
    };
    if nodes.is_empty() {
        let mistake = reader.mistake(node.span, format!("`{path}` has no value"));
        reader.note(mistake.help("list its values, or remove it"));
    }
    let mut values = Vec::new();
    for node in nodes {
        let Some(value) = value(reader, node, path) else {
            continue;
        };
        if values.contains(&value) {
            let message = format!(
                "`{path}` has the value {} twice",
                shortened(&text_of(&value))
            );
            reader.note(
                reader
                    .mistake(node.span, message)
                    .help("remove one of them"),
            );
            continue;
        }
        values.push(value);
    }
    values
}

/// The cells as they are listed; each has the same keys.
fn listed(reader: &Reader, items: &[Node]) -> Matrix {
    let mut matrix = Matrix::default();
    if let Some(one) = items.get(MOST_CELLS) {
        let message = format!("`matrix` has more than {MOST_CELLS} cells");
        reader.note(
            reader
                .mistake(one.span, message)
                .help("write several templates"),
        );
    }
    for item in items.iter().take(MOST_CELLS) {
        let Some(entries) = reader.map(item, "a cell of `matrix`") else {
            continue;
        };
        let mut cell = Map::new();
        for (key, node) in entries {
            let known = matrix.keys.iter().any(|known| known.value == key.text);
            let name = if known {
                Spanned::new(key.text.clone(), key.span)
            } else {
                named(reader, key)
            };
            if let Some(value) = value(reader, node, &join("matrix", &name)) {
                cell.insert(name.value.clone(), value);
            }
            if !known {
                matrix.keys.push(name);
            }
        }
        if matrix.cells.contains(&cell) {
            let mistake = reader.mistake(item.span, "this cell is in `matrix` twice");
            reader.note(mistake.help("remove one of them"));
            continue;
        }
        matrix.cells.push(cell);
    }
    if !reader.has_mistakes() {
        complete(reader, items, &matrix);
    }
    matrix
}

/// A cell without a value that others have is one in which it would be missed.
fn complete(reader: &Reader, items: &[Node], matrix: &Matrix) {
    let all: BTreeSet<&str> = matrix.keys.iter().map(|key| key.value.as_str()).collect();
    for (item, cell) in items.iter().zip(&matrix.cells) {
        let missing = all.iter().filter(|key| !cell.contains_key(**key));
        let missing: Vec<&str> = missing.copied().collect();
        if !missing.is_empty() {
            let message = format!(
                "this cell of `matrix` has no {}",
                quoted(missing.iter().copied())
            );
            let help = "each cell has a value for everything that one of them has";
            reader.note(reader.mistake(item.span, message).help(help));
        }
    }
}

fn named(reader: &Reader, key: &Key) -> Spanned<String> {
    let name = Spanned::new(key.text.clone(), key.span);
    reader.obey(
        &name,
        "the name of a value of `matrix`",
        rules::parameter_name,
    );
    name
}

/// A text, a number, `true` or `false`, or a list of these.
fn value(reader: &Reader, node: &Node, path: &str) -> Option<Value> {
    let scalar = |node: &Node| match &node.data {
        Data::Scalar(leaf) => !leaf.value.is_null(),
        Data::List(_) | Data::Map(_) => false,
    };
    let fits = match &node.data {
        Data::List(items) => items.iter().all(scalar),
        _ => scalar(node),
    };
    if !fits {
        let message = format!("a value of `{path}` can't be {}", node.kind());
        let help = "write a text, a number, `true` or `false`, or a list of these";
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    reader.no_reference(node, path)?;
    Some(node.to_json())
}

/// A value as it is given on the command line.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
