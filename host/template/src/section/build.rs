//! `build` and `test`: the components, scripts and reboots, in order.
//!
//! Where a component is found, whether it has the right role and whether its
//! arguments fit is the engine's to check; it reports at [`Uses::span`] and
//! [`Uses::argument_span`].

use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use serde_json::Map;

use crate::keys;
use crate::read::{Fields, Reader, join, shortened};
use crate::reference::{self, Known};
use crate::resolve::{BuildItem, Run, Uses};
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// The longest script: the limit that the contract sets for a component's scripts.
const LONGEST_SCRIPT: usize = 1024 * 1024;

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

/// The items of `build`.
pub(crate) fn read_build(reader: &Reader, node: &Node, known: &[Known<'_>]) -> Vec<BuildItem> {
    let items = reader.list(node, "build", "item").unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| item(reader, node, &format!("build[{index}]"), known))
        .collect()
}

/// The items of `test`.
pub(crate) fn read_test(reader: &Reader, node: &Node, known: &[Known<'_>]) -> Vec<Uses> {
    let items = reader.list(node, "test", "item").unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| {
            let path = format!("test[{index}]");
            let fields = reader.fields(node, &path, &keys::TEST_ITEM)?;
            if let Some((_, name)) = fields.entry("uses") {
                return uses(reader, fields, name, &path, known, node.span);
            }
            // `run` has been refused by its key; a second mistake would say the same.
            if fields.get("run").is_none() {
                let mistake = reader.mistake(node.span, format!("`{path}` has no `uses`"));
                reader.note(mistake.help("write `- uses: darkroom:service`"));
            }
            None
        })
        .collect()
}

fn item(reader: &Reader, node: &Node, path: &str, known: &[Known<'_>]) -> Option<BuildItem> {
    if let Data::Scalar(leaf) = &node.data
        && let Some(help) = instead_of_word(&leaf.text)
    {
        let message = format!("`{path}` must be a mapping, not a text");
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    let fields = reader.fields(node, path, &keys::BUILD_ITEM)?;
    let kinds: Vec<_> = ["uses", "run", "reboot"]
        .iter()
        .filter_map(|kind| fields.entry(kind).map(|(span, node)| (*kind, span, node)))
        .collect();
    match kinds.as_slice() {
        [("uses", _, name)] => {
            alone(reader, fields, "uses", &["with"])?;
            uses(reader, fields, name, path, known, node.span).map(BuildItem::Uses)
        }
        [("run", _, script)] => {
            alone(reader, fields, "run", &["env", "name"])?;
            run(reader, fields, script, path, known, node.span).map(BuildItem::Run)
        }
        [(_, span, value)] => {
            alone(reader, fields, "reboot", &[])?;
            let empty = value.is_null() || matches!(&value.data, Data::Map(map) if map.is_empty());
            if !empty {
                let mistake = reader.mistake(value.span, "`reboot` takes no value");
                reader.note(mistake.help("write `reboot: {}`"));
            }
            Some(BuildItem::Reboot { span: *span })
        }
        [] => {
            let odd = fields
                .keys()
                .any(|key| !matches!(key.text.as_str(), "with" | "env" | "name"));
            // A key that isn't known has been noted and may be what was meant.
            if !odd {
                let mistake = reader.mistake(node.span, format!("`{path}` does nothing"));
                reader.note(mistake.help("an item has one of `uses`, `run` and `reboot`"));
            }
            None
        }
        [(first, ..), (second, span, _), ..] => {
            let message = format!("`{path}` has both `{first}` and `{second}`");
            let mistake = reader.mistake(*span, message).label("the second one");
            reader.note(mistake.help("make two items of it, each beginning with `- `"));
            None
        }
    }
}

/// What somebody meant who wrote a text where an item should be.
fn instead_of_word(text: &str) -> Option<String> {
    if text == "reboot" {
        return Some("write `- reboot: {}`".to_owned());
    }
    if text.starts_with("darkroom:") || text.starts_with("./") {
        return Some(format!("write `- uses: {}`", shortened(text)));
    }
    None
}

/// Notes keys that belong to another kind of item.
fn alone(reader: &Reader, fields: Fields<'_>, kind: &str, allowed: &[&str]) -> Option<()> {
    let mut good = Some(());
    for key in fields.keys() {
        let text = key.text.as_str();
        if text == kind || allowed.contains(&text) || !keys::BUILD_ITEM.known(text) {
            continue;
        }
        let owner = if text == "with" { "uses" } else { "run" };
        let message = format!("`{text}` does not belong to `{kind}`");
        let mistake = reader.mistake(key.span, message);
        reader.note(mistake.help(format!("`{text}` belongs to items with `{owner}`")));
        good = None;
    }
    good
}

fn uses(
    reader: &Reader,
    fields: Fields<'_>,
    name: &Node,
    path: &str,
    known: &[Known<'_>],
    item: Span,
) -> Option<Uses> {
    let reference = reader
        .text(name, &join(path, "uses"))
        .and_then(|text| uses_ref(reader, &text));
    let with = fields.get("with");
    let arguments = match with {
        None => Some(Map::new()),
        Some(node) => reader.map(node, &join(path, "with")).and_then(|_| {
            reference::check(reader, node, known, true);
            node.to_json().as_object().cloned()
        }),
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
            format!("`{text}`: packages from registries are not supported yet"),
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

fn run(
    reader: &Reader,
    fields: Fields<'_>,
    script: &Node,
    path: &str,
    known: &[Known<'_>],
    item: Span,
) -> Option<Run> {
    let name = fields.get("name").and_then(|node| {
        let name = reader.text(node, &join(path, "name"))?;
        reader.obey(&name, "a name", rules::title)?;
        Some(name.value)
    });
    let env = match fields.get("env") {
        None => Vec::new(),
        Some(node) => env(reader, node, &join(path, "env"), known).unwrap_or_default(),
    };
    let script = run_script(reader, script, path)?;
    Some(Run {
        script: script.value,
        env,
        name,
        span: script.span,
        item,
    })
}

fn run_script(reader: &Reader, node: &Node, path: &str) -> Option<Spanned<String>> {
    let path = join(path, "run");
    let leaf = match &node.data {
        Data::Scalar(leaf) if leaf.value.is_string() => leaf,
        // `run: true` is the command of that name to people, whatever YAML says.
        Data::Scalar(leaf) if !leaf.value.is_null() => leaf,
        Data::List(_) => {
            let message = format!("`{path}` must be a text, not a list");
            let help = "write the commands below `run: |`, one a line";
            reader.note(reader.mistake(node.span, message).help(help));
            return None;
        }
        _ => return reader.text(node, &path),
    };
    let text = leaf.text.as_str();
    if text.contains("${{") {
        reader.note(reference_in_run(reader, node.span));
        return None;
    }
    if text.trim().is_empty() {
        let mistake = reader.mistake(node.span, format!("`{path}` has no command"));
        reader.note(mistake.help("write the script, or remove the item"));
        return None;
    }
    if text.len() > LONGEST_SCRIPT || text.contains('\0') {
        let mistake = reader.mistake(
            node.span,
            format!("`{path}` is longer than 1 MiB or holds a zero byte"),
        );
        reader.note(mistake.help("bring large files as a component's assets"));
        return None;
    }
    Some(Spanned::new(text.to_owned(), node.span))
}

fn reference_in_run(reader: &Reader, span: Span) -> crate::mistake::Mistake {
    let text = reader.source().text();
    let inside = text.get(span.start..span.end).unwrap_or("");
    let start = span.start + inside.find("${{").unwrap_or(0);
    let end = inside.find("}}").map_or(span.end, |at| span.start + at + 2);
    let reference = text.get(start..end).unwrap_or("${{ parameters.x }}");
    let variable = reference
        .trim_start_matches("${{")
        .trim_end_matches("}}")
        .trim()
        .rsplit('.')
        .next()
        .unwrap_or("x")
        .to_uppercase()
        .replace('-', "_");
    reader
        .mistake(Span::new(start, end), "`${{ }}` can't be used inside `run`")
        .label("would become part of the script")
        .help(format!(
            "carry the value by `env`, where quotes in it do no harm: \
             `env: {{ {variable}: '{reference}' }}`, and write \"${variable}\" in the script"
        ))
}

fn env(
    reader: &Reader,
    node: &Node,
    path: &str,
    known: &[Known<'_>],
) -> Option<Vec<(String, String)>> {
    let entries = reader.map(node, path)?;
    let mut variables = Vec::new();
    for (key, value) in entries {
        let name = Spanned::new(key.text.clone(), key.span);
        let good = reader.obey(&name, "the name of a variable", rules::variable);
        let text = reader.written(value, &join(path, &name));
        reference::check(reader, value, known, false);
        if let (Some(()), Some(text)) = (good, text) {
            if text.contains('\0') {
                let message = format!("the value of `{name}` holds a zero byte");
                reader.note(reader.mistake(value.span, message));
            }
            variables.push((name.value, text.value));
        }
    }
    Some(variables)
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
