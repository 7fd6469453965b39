//! `uses` and `with`: a component and its arguments.
//!
//! Where a component is found, whether it has the right role and whether its
//! arguments fit is the engine's to check; it reports at [`Uses::span`] and
//! [`Uses::argument_span`].

use std::path::{Component, Path, PathBuf};

use darkroom_contract::Requirement;
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
        /// Which versions will do, if that is said.
        version: Option<String>,
    },
    /// A package of a registry: `acme:hardening` or `acme:hardening@^1.2`.
    Package {
        /// The name with its namespace.
        name: String,
        /// Which versions will do, if that is said; a [`Requirement`].
        requirement: Option<String>,
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
    if let Some((namespace, rest)) = text.split_once(':') {
        return package(text, namespace, rest);
    }
    let help = if text.contains('/') || text.contains('.') {
        format!("if it is a file, write `./{text}`")
    } else {
        format!("if it is a system component, write `darkroom:{text}`")
    };
    Err((format!("`{text}` names no component"), help))
}

/// What stands on both sides of the first colon.
fn package(text: &str, namespace: &str, rest: &str) -> Result<UsesRef, (String, String)> {
    let (name, requirement) = match rest.split_once('@') {
        Some((name, requirement)) => (name, Some(requirement)),
        None => (rest, None),
    };
    if rules::package_label(namespace).is_err() || rules::package_label(name).is_err() {
        let help = if namespace == "darkroom" {
            "write `darkroom:packages` or, with a version, `darkroom:packages@0.1`"
        } else {
            "write a package as `namespace:name@1.2`, in lower-case letters, digits and `-`; \
             where its registry is, `darkroom help configuration` says"
        };
        return Err((format!("`{text}` names no component"), help.into()));
    }
    if let Some(error) = requirement.and_then(|asked| asked.parse::<Requirement>().err()) {
        return Err((error.to_string(), error.hint().into()));
    }
    let requirement = requirement.map(str::to_owned);
    Ok(if namespace == "darkroom" {
        UsesRef::System {
            name: name.to_owned(),
            version: requirement,
        }
    } else {
        UsesRef::Package {
            name: format!("{namespace}:{name}"),
            requirement,
        }
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
        let package = |requirement: Option<&str>| UsesRef::Package {
            name: "acme:tool".into(),
            requirement: requirement.map(str::to_owned),
        };
        assert_eq!(parse_uses("acme:tool"), Ok(package(None)));
        for good in [
            "1",
            "1.2",
            "1.2.3",
            "^1.2",
            "~1.2",
            "1.0.*",
            ">=1, <1.5",
            "2.0.0-rc.1",
        ] {
            let read = parse_uses(&format!("acme:tool@{good}"));
            assert_eq!(read, Ok(package(Some(good))), "{good}");
        }
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
            "acme:tool@latest",
            "acme:tool@",
            "acme:Tool",
            "acme:tool@1.2.3.4",
            "ghcr.io/acme/tool:1.2.0",
            "https://x/y.wasm",
            "darkroom:",
            "darkroom:files@",
            "darkroom:../x",
            "darkroom:files@1.y",
            "./a\\..\\b",
            "~/a.wasm",
            "file:///a.wasm",
        ] {
            assert!(parse_uses(bad).is_err(), "{bad}");
        }
    }
}
