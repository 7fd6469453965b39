//! The template as it was written: [`parse`] and [`Template`].
//!
//! A template that could be parsed has no mistakes that can be seen in the file
//! alone. What depends on the cloud and on the given parameters is checked by
//! [`Template::resolve`], which reads the same document once more, with the values of
//! its expressions.

use std::sync::Arc;

use crate::body;
use crate::cells::{self, Named};
use crate::expression::{Checker, Names};
use crate::keys;
use crate::mistake::{Mistake, Mistakes};
use crate::places;
use crate::read::Reader;
use crate::resolve::Cloud;
use crate::resolved::{BuildItem, Secret, TestItem, Uses};
use crate::section::build;
use crate::section::matrix::Matrix;
use crate::section::parameters::{Parameter, ParameterType};
use crate::span::{SourceFile, Span, Spanned};
use crate::yaml::{self, Node};

/// A template without mistakes of its own, as it was written.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) source_file: Arc<SourceFile>,
    pub(crate) name: Spanned<String>,
    pub(crate) parameters: Vec<Parameter>,
    /// The builds that it is; one without a matrix.
    pub(crate) cells: Vec<Named>,
    /// The whole document, its expressions marked and checked.
    pub(crate) document: Node,
}

impl Template {
    /// The template's name, as it was written where there is a matrix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is several builds.
    pub fn has_matrix(&self) -> bool {
        self.cells.iter().any(|cell| !cell.values.is_empty())
    }

    /// The parameters in the order of the file.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Where its secrets come from, in the order of the file.
    pub fn secrets(&self) -> Vec<Secret> {
        body::secrets(&Reader::new(&self.source_file), &self.document)
    }

    /// The file and its text.
    pub fn source_file(&self) -> &Arc<SourceFile> {
        &self.source_file
    }

    /// A mistake in this template that only others can find.
    pub fn mistake_at(
        &self,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Mistake {
        let mistake = Mistake::new(&self.source_file, span, message);
        help.into_iter().fold(mistake, Mistake::help)
    }
}

/// Reads a template. `file_name` is how messages call the file; nothing is opened.
///
/// # Errors
/// Every mistake that the text has.
pub fn parse(source: &str, file_name: &str) -> Result<Template, Mistakes> {
    let source_file = Arc::new(SourceFile::new(file_name, source));
    let mut document = yaml::read(&source_file)?;
    let reader = Reader::new(&source_file);
    let parameters = body::parameters(&reader, &document);
    let matrix = body::matrix(&reader, &document);
    mark(&reader, &mut document, &parameters, matrix.as_ref());
    let named = cells::read(&reader, &document, matrix.as_ref());
    // What it returns lacks the values of expressions; only its mistakes count here.
    body::read(&reader, &document, &Cloud::ALL);
    let mistakes = reader.into_mistakes();
    match named {
        Some((name, cells)) => Mistakes::none_or(
            mistakes,
            Template {
                source_file,
                name,
                parameters,
                cells,
                document,
            },
        ),
        None => Err(Mistakes::none_or(mistakes, ())
            .err()
            .unwrap_or_else(|| Mistake::new(&source_file, document.span, "not a template").into())),
    }
}

/// Checks every expression and marks the values that wait for one.
fn mark(reader: &Reader, document: &mut Node, parameters: &[Parameter], matrix: Option<&Matrix>) {
    let names = Names {
        parameters: parameters
            .iter()
            .map(|one| (one.name.as_str(), one.kind == ParameterType::List))
            .collect(),
        matrix: matrix.map_or_else(|| Some(Vec::new()), Matrix::names),
        secrets: body::secret_names(document),
    };
    let mut checker = Checker::new(reader, names);
    if matrix.is_some() {
        places::visit_name(document, &mut |place, node| checker.check(place, node));
    }
    places::visit(document, &Cloud::ALL, &mut |place, node| {
        checker.check(place, node);
    });
}

/// What a text with mistakes still says of the components that it uses.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The items of `build` that use a component.
    pub build: Vec<Uses>,
    /// The items of `test` that use one.
    pub test: Vec<Uses>,
    /// The file and its text.
    pub source_file: Arc<SourceFile>,
}

/// Reads what can be read of a text that [`parse`] or
/// [`resolve`](Template::resolve) refuses, so that mistakes in the use of components can
/// be reported with the others. References to parameters are left as they are written.
pub fn draft(source: &str, file_name: &str) -> Option<Draft> {
    let source_file = Arc::new(SourceFile::new(file_name, source));
    let mut document = yaml::read(&source_file).ok()?;
    // Its mistakes have been reported by whoever refused the text.
    let reader = Reader::new(&source_file);
    let matrix = body::matrix(&reader, &document);
    mark(&reader, &mut document, &[], matrix.as_ref());
    let fields = reader.fields(&document, "", &keys::TEMPLATE)?;
    let items = fields
        .get("build")
        .map(|node| build::read_build(&reader, node))
        .unwrap_or_default();
    let tests = fields
        .get("test")
        .map(|node| build::read_test(&reader, node))
        .unwrap_or_default();
    let build = items.into_iter().filter_map(|item| match item {
        BuildItem::Uses(uses) => Some(uses),
        BuildItem::Copy(_) | BuildItem::Run(_) | BuildItem::Reboot { .. } => None,
    });
    let test = tests.into_iter().filter_map(|item| match item {
        TestItem::Uses(uses) => Some(uses),
        TestItem::Run(_) => None,
    });
    Some(Draft {
        build: build.collect(),
        test: test.collect(),
        source_file,
    })
}
