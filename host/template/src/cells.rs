//! The cells of a template with a `matrix`: what each is called, and which is meant.
//!
//! A cell is chosen as parameters are given: `matrix.base=debian-12`. A build is of one
//! cell; who builds a template asks for its cells first ([`Template::cells`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::body;
use crate::expression::{Evaluator, Scope};
use crate::mistake::Mistakes;
use crate::read::{Reader, quoted, shortened};
use crate::resolve::ResolveWith;
use crate::rules;
use crate::section::matrix::{Matrix, text_of};
use crate::span::Spanned;
use crate::template::Template;
use crate::yaml::{Data, Node};

/// What a value of the matrix is given by, before its name.
const PREFIX: &str = "matrix.";

/// One of the builds that a template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The template's name in this cell.
    pub name: String,
    /// The parameters that were given, and `matrix.name` with its value for each value of
    /// the cell: what it is resolved with.
    pub given: Vec<(String, String)>,
}

/// A cell with its values.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: Spanned<String>,
    pub(crate) values: Map<String, Value>,
}

impl Named {
    /// `base=debian-12, flavor=small`.
    fn words(&self) -> String {
        let each = self.values.iter();
        let each = each.map(|(key, value)| format!("{key}={}", shortened(&text_of(value))));
        each.collect::<Vec<_>>().join(", ")
    }

    fn is(&self, choice: &[&(String, String)]) -> bool {
        choice.iter().all(|(key, text)| {
            let value = key
                .strip_prefix(PREFIX)
                .and_then(|key| self.values.get(key));
            value.is_some_and(|value| text_of(value) == *text)
        })
    }

    fn choice(&self) -> Vec<(String, String)> {
        let each = self.values.iter();
        let each = each.map(|(key, value)| (format!("{PREFIX}{key}"), text_of(value)));
        each.collect()
    }
}

/// Gives each cell its name, by which its images, its layers and its runs are known: two
/// can't have the same.
pub(crate) fn named(reader: &Reader, name: &Node, matrix: &Matrix) -> Vec<Named> {
    let nothing = Map::new();
    let mut cells = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for values in &matrix.cells {
        let scope = Scope {
            parameters: &nothing,
            matrix: values,
            name: "",
            cloud: "",
            region: None,
        };
        let mut node = name.clone();
        Evaluator::new(reader, &scope).evaluate(&mut node);
        let Data::Scalar(leaf) = &node.data else {
            let message = "the name of a template must be a text, not a list";
            reader.note(
                reader
                    .mistake(name.span, message)
                    .help("write a text around it"),
            );
            return cells;
        };
        let cell = Named {
            name: Spanned::new(leaf.text.clone(), name.span),
            values: values.clone(),
        };
        if let Err(help) = rules::template_name(&cell.name) {
            let message = format!(
                "`{}` can't be the name of a template, in the cell {}",
                shortened(&cell.name),
                cell.words()
            );
            let help = format!("{help}; a filter changes a value: `matrix.x | replace('.', '-')`");
            reader.note(reader.mistake(name.span, message).help(help));
            return cells;
        }
        if let Some(other) = taken.insert(cell.name.value.clone(), cells.len()) {
            let other: &Named = &cells[other];
            let message = format!(
                "two cells of the matrix would make an image of the same name, `{}`: {} and {}",
                cell.name.value,
                other.words(),
                cell.words()
            );
            let mistake = reader.mistake(name.span, message).label("the same in both");
            reader.note(mistake.help(differing(other, &cell)));
            return cells;
        }
        cells.push(cell);
    }
    cells
}

/// What to write so that two cells have different names.
fn differing(a: &Named, b: &Named) -> String {
    let key = a
        .values
        .iter()
        .find(|(key, value)| b.values.get(*key) != Some(value));
    let key = key.map_or("x", |(key, _)| key.as_str());
    format!("put `${{{{ matrix.{key} }}}}` in it, such as `name: web-${{{{ matrix.{key} }}}}`")
}

impl Template {
    /// The builds that this template is with what was given: every cell of its matrix, or
    /// those that `matrix.name=value` chooses; one for a template without a matrix.
    ///
    /// # Errors
    /// Every mistake that resolving one of them finds, a choice that no cell is, and two
    /// cells whose images would have the same name.
    pub fn cells(&self, with: ResolveWith<'_>) -> Result<Vec<Cell>, Mistakes> {
        let reader = Reader::new(&self.source_file);
        let chosen = self.chosen(&reader, with.parameters);
        Mistakes::none_or(reader.into_mistakes(), ())?;
        let reader = Reader::new(&self.source_file);
        let mut names: BTreeMap<String, &Named> = BTreeMap::new();
        let mut cells = Vec::new();
        for cell in &chosen {
            let others = with.parameters.iter().filter(|(name, _)| !is_choice(name));
            let given: Vec<_> = others.cloned().chain(cell.choice()).collect();
            let resolved = self.resolve(ResolveWith {
                parameters: &given,
                ..with
            })?;
            cells.push(Cell {
                name: cell.name.value.clone(),
                given,
            });
            let Some(name) = resolved.image.name else {
                continue;
            };
            if let Some(other) = names.insert(name.value.clone(), cell) {
                let message = format!(
                    "two cells of the matrix would make an image of the same name, `{}`: {} and {}",
                    name.value,
                    other.words(),
                    cell.words()
                );
                reader.note(
                    reader
                        .mistake(name.span, message)
                        .help(differing(other, cell)),
                );
                break;
            }
        }
        Mistakes::none_or(reader.into_mistakes(), cells)
    }

    /// The one cell that was given.
    pub(crate) fn cell(&self, reader: &Reader, given: &[(String, String)]) -> Option<&Named> {
        let chosen = self.chosen(reader, given);
        if chosen.len() > 1 {
            let count = chosen.len();
            let message = format!("the template has a matrix, and {count} of its cells are meant");
            let mistake = reader.mistake(self.name.span, message);
            let one = chosen[0].choice();
            let one = one.iter().map(|(key, text)| format!("-p {key}={text}"));
            let help = format!(
                "choose one, such as `{}`",
                one.collect::<Vec<_>>().join(" ")
            );
            reader.note(mistake.help(help));
            return None;
        }
        chosen.first().copied()
    }

    /// The cells that what was given chooses.
    fn chosen(&self, reader: &Reader, given: &[(String, String)]) -> Vec<&Named> {
        let choice: Vec<_> = given.iter().filter(|(name, _)| is_choice(name)).collect();
        let chosen: Vec<_> = self.cells.iter().filter(|cell| cell.is(&choice)).collect();
        if chosen.is_empty() {
            let asked = choice.iter().map(|(key, text)| format!("{key}={text}"));
            let asked = asked.collect::<Vec<_>>().join(", ");
            let keys: Vec<_> = self.cells.first().map_or(Vec::new(), |cell| {
                cell.values.keys().map(String::as_str).collect()
            });
            let mistake = if keys.is_empty() {
                let message = format!("the template has no matrix, and {asked} was given");
                reader.mistake(self.name.span, message).help("leave it out")
            } else {
                let message = format!("no cell of the matrix has {}", shortened(&asked));
                let names = self.cells.iter().take(NAMED).map(Named::words);
                let more = if self.cells.len() > NAMED {
                    "; …"
                } else {
                    ""
                };
                let names = names.collect::<Vec<_>>().join("; ");
                let keys = quoted(keys.into_iter());
                let help = format!("a cell has {keys}; the cells are {names}{more}");
                reader.mistake(self.name.span, message).help(help)
            };
            reader.note(mistake);
        }
        chosen
    }
}

/// How many cells a message names.
const NAMED: usize = 6;

/// Whether a given parameter chooses a cell.
pub(crate) fn is_choice(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The cells of a template without a matrix.
pub(crate) fn only(name: &Spanned<String>) -> Vec<Named> {
    vec![Named {
        name: name.clone(),
        values: Map::new(),
    }]
}

/// The name of a template and its cells.
pub(crate) fn read(
    reader: &Reader,
    document: &Node,
    matrix: Option<&Matrix>,
) -> Option<(Spanned<String>, Vec<Named>)> {
    let Some(matrix) = matrix else {
        let name = body::name(reader, document)?;
        let cells = only(&name);
        return Some((name, cells));
    };
    let node = body::named(reader, document)?;
    let Data::Scalar(leaf) = &node.data else {
        return None;
    };
    let name = Spanned::new(leaf.text.clone(), node.span);
    // Of a matrix with mistakes nothing is said that may only follow from them.
    let cells = if reader.has_mistakes() {
        only(&name)
    } else {
        named(reader, node, matrix)
    };
    Some((name, cells))
}
