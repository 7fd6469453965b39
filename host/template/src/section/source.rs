//! `source`: the image that a build starts from.

use serde::Serialize;

use crate::keys;
use crate::read::Reader;
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::Node;

/// The image that a build starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The newest image of a family, in Darkroom's words (`debian-12`) or the cloud's.
    Family(Spanned<String>),
    /// One image by its id.
    Image(Spanned<String>),
}

impl Source {
    /// Where the template names it.
    pub fn span(&self) -> Span {
        match self {
            Self::Family(name) | Self::Image(name) => name.span,
        }
    }
}

pub(crate) fn read(reader: &Reader, node: &Node, path: &str) -> Option<Source> {
    let fields = reader.fields(node, path, &keys::SOURCE)?;
    match (fields.entry("family"), fields.entry("image")) {
        (Some((_, family)), None) => {
            let name = reader.text(family, &format!("{path}.family"))?;
            reader.obey(&name, "an image family", rules::source_family)?;
            Some(Source::Family(name))
        }
        (None, Some((_, image))) => {
            let id = reader.text(image, &format!("{path}.image"))?;
            reader.obey(&id, "an image id", rules::image_id)?;
            Some(Source::Image(id))
        }
        (Some(_), Some((second, _))) => {
            let mistake = reader.mistake(second, format!("`{path}` names a family and an image"));
            reader.note(mistake.label("the second one").help("keep one of them"));
            None
        }
        (None, None) => {
            // An unknown or unsupported key has been noted; this would say it twice.
            if fields.keys().next().is_none() {
                let mistake = reader.mistake(node.span, format!("`{path}` names no image"));
                reader.note(mistake.help("write `family: debian-12` or `image: m-…`"));
            }
            None
        }
    }
}
