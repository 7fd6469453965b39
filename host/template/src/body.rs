//! The sections of a template put together.
//!
//! A document is read twice by the same code: when it is parsed, where values that wait
//! for an expression are passed over, and when it is resolved, where each has its value.
//! So a value is held to the same rules however it was written.

use crate::keys;
use crate::nearest::nearest;
use crate::read::{Fields, Reader};
use crate::resolve::Cloud;
use crate::resolved::{BuildItem, OnTestFailure, Rebuild, Retain, Secret, TestItem};
use crate::rules;
use crate::section::matrix::{self, Matrix};
use crate::section::overlay::{self, Layer, Overlays};
use crate::section::parameters::{self, Parameter};
use crate::section::repair::Repair;
use crate::section::{build, keeping, repair, secrets};
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// What a document says, beside its name and its parameters.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) secrets: Vec<Secret>,
    pub(crate) repair: Spanned<Repair>,
    pub(crate) build: Vec<BuildItem>,
    pub(crate) test: Vec<TestItem>,
    pub(crate) everywhere: Layer,
    pub(crate) overlays: Overlays,
    pub(crate) on_test_failure: OnTestFailure,
    pub(crate) retain: Option<Retain>,
    pub(crate) rebuild: Option<Rebuild>,
    pub(crate) checkpoint: Option<bool>,
}

/// Reads everything but name and parameters; `clouds` are those whose overlays are read.
pub(crate) fn read(reader: &Reader, document: &Node, clouds: &[Cloud]) -> Option<Body> {
    let fields = reader.fields(document, "", &keys::TEMPLATE)?;
    let everywhere = overlay::layer(reader, fields, "");
    let overlays = fields
        .get("on")
        .map(|node| overlay::read(reader, node, clouds))
        .unwrap_or_default();
    // A source that has a mistake of its own isn't missing, in an overlay neither.
    let source = fields.get("source").is_some() || meant(document, "source");
    if !source && fields.get("on").is_none() {
        let example = "source: { family: debian-12 }";
        missing(reader, document.span, "source", example);
    }
    let build = fields
        .get("build")
        .map(|node| build::read_build(reader, node))
        .unwrap_or_default();
    let test = fields
        .get("test")
        .map(|node| build::read_test(reader, node))
        .unwrap_or_default();
    let repair = fields.get("repair").map_or_else(
        || Some(Spanned::new(Repair::default(), Span::default())),
        |node| repair::read(reader, node),
    );
    let on_test_failure = fields
        .get("on-test-failure")
        .and_then(|node| keeping::on_test_failure(reader, node));
    Some(Body {
        secrets: secrets(reader, document),
        build,
        test,
        everywhere,
        overlays,
        on_test_failure: on_test_failure.unwrap_or_default(),
        retain: fields
            .get("retain")
            .and_then(|node| keeping::retain(reader, node)),
        rebuild: fields
            .get("rebuild")
            .and_then(|node| keeping::rebuild(reader, node)),
        checkpoint: fields
            .get("checkpoint")
            .and_then(|node| reader.boolean(node, "checkpoint"))
            .map(|asked| asked.value),
        repair: repair?,
    })
}

/// The parameters.
pub(crate) fn parameters(reader: &Reader, document: &Node) -> Vec<Parameter> {
    entry(document, "parameters")
        .map(|node| parameters::read(reader, node))
        .unwrap_or_default()
}

/// The secrets.
pub(crate) fn secrets(reader: &Reader, document: &Node) -> Vec<Secret> {
    entry(document, "secrets")
        .map(|node| secrets::read(reader, node))
        .unwrap_or_default()
}

/// The names of the secrets, those with mistakes too, so that references to them aren't
/// reported as well.
pub(crate) fn secret_names(document: &Node) -> Vec<String> {
    match entry(document, "secrets").map(|node| &node.data) {
        Some(Data::Map(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The region that is the first of `distribute.regions`, in the overlay or at the top;
/// the document has its values.
pub(crate) fn first_region(document: &Node, cloud: Cloud) -> Option<&str> {
    let overlay = entry(document, "on").and_then(|on| entry(on, cloud.word()));
    let regions = [overlay, Some(document)]
        .into_iter()
        .flatten()
        .find_map(|layer| entry(entry(layer, "distribute")?, "regions"))?;
    match &regions.data {
        Data::List(items) => match &items.first()?.data {
            Data::Scalar(leaf) => Some(leaf.text.as_str()),
            Data::List(_) | Data::Map(_) => None,
        },
        Data::Scalar(_) | Data::Map(_) => None,
    }
}

/// The matrix, if there is one.
pub(crate) fn matrix(reader: &Reader, document: &Node) -> Option<Matrix> {
    entry(document, "matrix").map(|node| matrix::read(reader, node))
}

/// The template's name.
pub(crate) fn name(reader: &Reader, document: &Node) -> Option<Spanned<String>> {
    let node = named(reader, document)?;
    let name = reader.text(node, "name")?;
    reader.obey(&name, "the name of a template", rules::template_name)?;
    Some(name)
}

/// What stands under `name`; one that is missing is noted.
pub(crate) fn named<'n>(reader: &Reader, document: &'n Node) -> Option<&'n Node> {
    // What isn't a mapping is noted by whoever reads the rest.
    let Data::Map(_) = &document.data else {
        return None;
    };
    let Some(node) = entry(document, "name") else {
        if meant(document, "name") {
            return None;
        }
        missing(reader, document.span, "name", "name: web-server");
        return None;
    };
    Some(node)
}

fn entry<'n>(document: &'n Node, key: &str) -> Option<&'n Node> {
    let Data::Map(entries) = &document.data else {
        return None;
    };
    Fields::of(entries).get(key)
}

/// Whether a key is there, but misspelt: that has been noted, and isn't said twice.
fn meant(document: &Node, key: &str) -> bool {
    let Data::Map(entries) = &document.data else {
        return false;
    };
    entries.iter().any(|(found, _)| {
        !keys::TEMPLATE.known(&found.text)
            && nearest(&found.text, keys::TEMPLATE.candidates()) == Some(key)
    })
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
