//! `uses` and `with`: a component and its arguments.
//!
//! Where a component is found, whether it has the right role and whether its
//! arguments fit is the engine's to check; it reports at [`Uses::span`] and
//! [`Uses::argument_span`].

use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use serde_json::Map;

use crate::read::{Fields, Reader, join};
use crate::resolved::Uses;
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// What `uses` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsesRef {
    /// A system component: `darkroom:packages` or `darkroom:packages@0.1`.
    System {
        /// The name after `darkroom:`.
        name: String,
        /// The version, if one is asked for.
        version: Option<String>,
    },
    /// A file, relative to the template's folder, as written. It has no `..` and is
    /// not absolute; whether a symbolic link leads out is seen when it is opened.
    Path(PathBuf),
}

/// The places of a value and of everything inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpanTree {
    pub(crate) span: Span,
    children: Vec<(String, Span, SpanTree)>,
}

impl SpanTree {
    fn of(node: &Node) -> Self {
        let children = match &node.data {
            Data::Scalar(_) => Vec::new(),
            Data::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (index.to_string(), item.span, Self::of(item)))
                .collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.text.clone(), key.span, Self::of(value)))
                .collect(),
        };
        Self {
            span: node.span,
            children,
        }
    }

    /// The value at a path, or the nearest value around it that the file has.
    pub(crate) fn find<S: AsRef<str>>(&self, path: &[S]) -> Span {
        let Some((first, rest)) = path.split_first() else {
            return self.span;
        };
        let child = self.children.iter().find(|(key, ..)| key == first.as_ref());
        child.map_or(self.span, |(.., child)| child.find(rest))
    }

    /// The key at a path of one.
    pub(crate) fn key(&self, name: &str) -> Option<Span> {
        let child = self.children.iter().find(|(key, ..)| key == name);
        child.map(|(_, span, _)| *span)
    }
}

/// An item with `uses`.
pub(crate) fn read(
    reader: &Reader,
    fields: Fields<'_>,
    name: &Node,
    path: &str,
    item: Span,
) -> Option<Uses> {
    let reference = reader
        .text(name, &join(path, "uses"))
        .and_then(|text| uses_ref(reader, &text));
    let with = fields.get("with");
    let arguments = match with {
        None => Some(Map::new()),
        Some(node) => reader
            .map(node, &join(path, "with"))
            .and_then(|_| node.to_json().as_object().cloned()),
    };
    Some(Uses {
        reference: reference?,
        with: arguments?,
        span: name.span,
        item,
        arguments: with.map(SpanTree::of),
    })
}

fn uses_ref(reader: &Reader, text: &Spanned<String>) -> Option<UsesRef> {
    match parse_uses(text) {
        Ok(reference) => Some(reference),
        Err((message, help)) => {
            reader.note(
                reader
                    .mistake(text.span, message)
                    .label("not valid")
                    .help(help),
            );
            None
        }
    }
}

fn parse_uses(text: &str) -> Result<UsesRef, (String, String)> {
    if let Some(rest) = text.strip_prefix("darkroom:") {
        return system(text, rest);
    }
    if text.starts_with('/') || text.starts_with('~') || text.starts_with("file:") {
        return Err((
            format!("`{text}` is an absolute path"),
            "a component by path lies in the template's folder: `./component.wasm`".into(),
        ));
    }
    if Path::new(text)
        .components()
        .any(|part| part == Component::ParentDir)
        || text.contains('\\')
    {
        return Err((
            format!("`{text}` leads out of the template's folder"),
            "write the path without `..`, and copy or build the component there".into(),
        ));
    }
    if text.starts_with("./") {
        let inside = Path::new(text).components().count() > 1;
        let plain = inside && !text.ends_with('/') && !text.contains('\0');
        return if plain {
            Ok(UsesRef::Path(PathBuf::from(text)))
        } else {
            Err((
                format!("`{text}` is not the path of a component"),
                "write the path of the file: `./component.wasm`".into(),
            ))
        };
    }
    if text.contains(':') {
        return Err((
            format!("`{text}`: packages from registries are not supported"),
            "use a system component, `darkroom:name`, or a file, `./component.wasm`".into(),
        ));
    }
    let help = if text.contains('/') || text.contains('.') {
        format!("if it is a file, write `./{text}`")
    } else {
        format!("if it is a system component, write `darkroom:{text}`")
    };
    Err((format!("`{text}` names no component"), help))
}

fn system(text: &str, rest: &str) -> Result<UsesRef, (String, String)> {
    let (name, version) = match rest.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (rest, None),
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let good_version = version
        .is_none_or(|version| version.split('.').all(number) && version.split('.').count() <= 3);
    if rules::template_name(name).is_err() || !good_version {
        return Err((
            format!("`{text}` names no component"),
            "write `darkroom:packages` or, with a version, `darkroom:packages@0.1`".into(),
        ));
    }
    Ok(UsesRef::System {
        name: name.to_owned(),
        version: version.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_components() {
        let system = |name: &str, version: Option<&str>| UsesRef::System {
            name: name.into(),
            version: version.map(str::to_owned),
        };
        assert_eq!(parse_uses("darkroom:files"), Ok(system("files", None)));
        assert_eq!(
            parse_uses("darkroom:files@0.1"),
            Ok(system("files", Some("0.1")))
        );
        assert_eq!(
            parse_uses("./a/b.wasm"),
            Ok(UsesRef::Path("./a/b.wasm".into()))
        );
        for bad in [
            "",
            ".",
            "./",
            "/a.wasm",
            "../a.wasm",
            "./a/../b.wasm",
            "a.wasm",
            "files",
            "acme:tool@1",
            "https://x/y.wasm",
            "darkroom:",
            "darkroom:files@",
            "darkroom:../x",
            "darkroom:files@1.x",
            "./a\\..\\b",
            "~/a.wasm",
            "file:///a.wasm",
        ] {
            assert!(parse_uses(bad).is_err(), "{bad}");
        }
    }
}
