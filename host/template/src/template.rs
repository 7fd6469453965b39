//! The template as it was written: [`parse`] and [`Template`].
//!
//! A template that could be parsed has no mistakes that can be seen in the file
//! alone. What depends on the cloud and on the given parameters is checked by
//! [`Template::resolve`].

use std::sync::Arc;

use crate::keys;
use crate::mistake::{Mistake, Mistakes};
use crate::read::{Fields, Reader};
use crate::reference::Known;
use crate::resolve::{BuildItem, Uses};
use crate::rules;
use crate::section::overlay::{Layer, Overlays};
use crate::section::parameters::{Parameter, ParameterType};
use crate::section::repair::Repair;
use crate::section::{build, overlay, parameters, repair};
use crate::span::{SourceFile, Span, Spanned};
use crate::yaml;

/// A template without mistakes of its own, as it was written.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) source_file: Arc<SourceFile>,
    pub(crate) name: Spanned<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) repair: Spanned<Repair>,
    pub(crate) build: Vec<BuildItem>,
    pub(crate) test: Vec<Uses>,
    pub(crate) everywhere: Layer,
    pub(crate) overlays: Overlays,
}

impl Template {
    /// The template's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameters in the order of the file.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
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
    let document = yaml::read(&source_file)?;
    let reader = Reader::new(&source_file);
    let template = read(&reader, &document);
    let mistakes = reader.into_mistakes();
    match template {
        Some(template) => Mistakes::none_or(mistakes, template),
        None => Err(Mistakes::none_or(mistakes, ())
            .err()
            .unwrap_or_else(|| Mistake::new(&source_file, document.span, "not a template").into())),
    }
}

/// What a text with mistakes still says of the components that it uses.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The items of `build` that use a component.
    pub build: Vec<Uses>,
    /// The items of `test`.
    pub test: Vec<Uses>,
    /// The file and its text.
    pub source_file: Arc<SourceFile>,
}

/// Reads what can be read of a text that [`parse`] or
/// [`resolve`](Template::resolve) refuses, so that mistakes in the use of components can
/// be reported with the others. References to parameters are left as they are written.
pub fn draft(source: &str, file_name: &str) -> Option<Draft> {
    let source_file = Arc::new(SourceFile::new(file_name, source));
    let document = yaml::read(&source_file).ok()?;
    // Its mistakes have been reported by whoever refused the text.
    let reader = Reader::new(&source_file);
    let fields = reader.fields(&document, "", &keys::TEMPLATE)?;
    let items = fields
        .get("build")
        .map(|node| build::read_build(&reader, node, &[]))
        .unwrap_or_default();
    let test = fields
        .get("test")
        .map(|node| build::read_test(&reader, node, &[]))
        .unwrap_or_default();
    let build = items
        .into_iter()
        .filter_map(|item| match item {
            BuildItem::Uses(uses) => Some(uses),
            BuildItem::Run(_) | BuildItem::Reboot { .. } => None,
        })
        .collect();
    Some(Draft {
        build,
        test,
        source_file,
    })
}

fn read(reader: &Reader, document: &yaml::Node) -> Option<Template> {
    let fields = reader.fields(document, "", &keys::TEMPLATE)?;
    let name = name(reader, document, fields);
    let parameters = fields
        .get("parameters")
        .map(|node| parameters::read(reader, node))
        .unwrap_or_default();
    let known: Vec<_> = parameters
        .iter()
        .map(|parameter| Known {
            name: &parameter.name,
            list: parameter.kind == ParameterType::List,
        })
        .collect();
    let everywhere = overlay::layer(reader, fields, "");
    let overlays = fields
        .get("on")
        .and_then(|node| overlay::read(reader, node))
        .unwrap_or_default();
    // A source that has a mistake of its own isn't missing, in an overlay neither.
    if fields.get("source").is_none() && fields.get("on").is_none() {
        let example = "source: { family: debian-12 }";
        missing(reader, document.span, "source", example);
    }
    let build = fields
        .get("build")
        .map(|node| build::read_build(reader, node, &known))
        .unwrap_or_default();
    let test = fields
        .get("test")
        .map(|node| build::read_test(reader, node, &known))
        .unwrap_or_default();
    let repair = fields.get("repair").map_or_else(
        || Some(Spanned::new(Repair::default(), Span::default())),
        |node| repair::read(reader, node),
    );
    drop(known);
    Some(Template {
        source_file: Arc::clone(reader.source()),
        name: name?,
        parameters,
        repair: repair?,
        build,
        test,
        everywhere,
        overlays,
    })
}

fn name(reader: &Reader, document: &yaml::Node, fields: Fields<'_>) -> Option<Spanned<String>> {
    let Some(node) = fields.get("name") else {
        missing(reader, document.span, "name", "name: web-server");
        return None;
    };
    let name = reader.text(node, "name")?;
    reader.obey(&name, "the name of a template", rules::template_name)?;
    Some(name)
}

fn missing(reader: &Reader, document: Span, key: &str, example: &str) {
    let start = Span::new(document.start, document.start);
    let mistake = reader.mistake(start, format!("the template has no `{key}`"));
    reader.note(
        mistake
            .label("belongs here")
            .help(format!("add a line like `{example}`")),
    );
}
