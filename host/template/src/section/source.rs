//! `source`: the image that a build starts from.

use std::path::Path;

use serde::Serialize;

use crate::keys;
use crate::read::{Reader, join};
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// The image that a build starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The newest image of a family, in Darkroom's words (`debian-12`) or the cloud's.
    Family(Spanned<String>),
    /// One image by its id.
    Image(Spanned<String>),
    /// An instance of the build region, whose disks become the image to begin with.
    Instance(Spanned<String>),
    /// A snapshot of a system disk.
    Snapshot(Spanned<String>),
}

impl Source {
    /// Where the template names it.
    pub fn span(&self) -> Span {
        match self {
            Self::Family(name)
            | Self::Image(name)
            | Self::Instance(name)
            | Self::Snapshot(name) => name.span,
        }
    }
}

/// A key of the section: its name, what it is for people, its rule, its variant.
type Kind = (
    &'static str,
    &'static str,
    fn(&str) -> Result<(), String>,
    fn(Spanned<String>) -> Source,
);

const KINDS: [Kind; 4] = [
    (
        "family",
        "an image family",
        rules::source_family,
        Source::Family,
    ),
    ("image", "an image id", rules::image_id, Source::Image),
    (
        "instance",
        "an instance id",
        rules::instance_id,
        Source::Instance,
    ),
    (
        "snapshot",
        "a snapshot id",
        rules::snapshot_id,
        Source::Snapshot,
    ),
];

/// What a source is, by the way it is written.
pub(crate) fn key_of(text: &str) -> &'static str {
    // Public images are named like files: `debian_12_5_x64_20G_alibase_20240718.vhd`.
    let file = Path::new(text).extension();
    if text.starts_with("m-") || file.is_some_and(|end| end == "vhd") {
        "image"
    } else if rules::instance_id(text).is_ok() {
        "instance"
    } else if rules::snapshot_id(text).is_ok() {
        "snapshot"
    } else {
        "family"
    }
}

pub(crate) fn read(reader: &Reader, node: &Node, path: &str) -> Option<Source> {
    if let Data::Scalar(leaf) = &node.data
        && leaf.value.is_string()
    {
        let message = format!("`{path}` must be a mapping, not a text");
        let key = key_of(&leaf.text);
        let help = format!("write `source: {{ {key}: {} }}`", leaf.text);
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    let fields = reader.fields(node, path, &keys::SOURCE)?;
    let found: Vec<_> = KINDS
        .iter()
        .filter_map(|kind| fields.entry(kind.0).map(|(span, node)| (kind, span, node)))
        .collect();
    match found.as_slice() {
        [((key, what, rule, variant), _, node)] => {
            let name = reader.text(node, &join(path, key))?;
            reader.obey(&name, what, *rule)?;
            Some(variant(name))
        }
        [] => {
            // An unknown or unsupported key has been noted; this would say it twice.
            if fields.keys().next().is_none() {
                let mistake = reader.mistake(node.span, format!("`{path}` names no image"));
                reader.note(mistake.help("write `family: debian-12` or `image: m-…`"));
            }
            None
        }
        [((first, ..), ..), ((second, ..), span, _), ..] => {
            let message = format!("`{path}` has both `{first}` and `{second}`");
            let mistake = reader.mistake(*span, message);
            reader.note(mistake.label("the second one").help("keep one of them"));
            None
        }
    }
}
