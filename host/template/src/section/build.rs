//! `build` and `test`: what is done and what is looked at, in order.

use crate::keys;
use crate::read::{Fields, Reader, shortened};
use crate::resolved::{BuildItem, TestItem};
use crate::section::{copy, script, uses};
use crate::span::Span;
use crate::yaml::{Data, Node};

/// The items of `build`.
pub(crate) fn read_build(reader: &Reader, node: &Node) -> Vec<BuildItem> {
    let items = reader.list(node, "build", "item").unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| item(reader, node, &format!("build[{index}]")))
        .collect()
}

/// The items of `test`.
pub(crate) fn read_test(reader: &Reader, node: &Node) -> Vec<TestItem> {
    let items = reader.list(node, "test", "item").unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| test_item(reader, node, &format!("test[{index}]")))
        .collect()
}

fn test_item(reader: &Reader, node: &Node, path: &str) -> Option<TestItem> {
    instead_of_word(reader, node, path)?;
    let fields = reader.fields(node, path, &keys::TEST_ITEM)?;
    match kinds(fields).as_slice() {
        [("uses", _, name)] => {
            alone(reader, fields, "uses", &["with"])?;
            uses::read(reader, fields, name, path, node.span).map(TestItem::Uses)
        }
        [("run", _, script)] => {
            alone(reader, fields, "run", &["env", "name"])?;
            script::read(reader, fields, script, path, node.span).map(TestItem::Run)
        }
        found => {
            let help = "a test is `- uses: darkroom:service`, or `- run:` with a script that fails";
            not_one(reader, node, path, fields, found, help);
            None
        }
    }
}

fn item(reader: &Reader, node: &Node, path: &str) -> Option<BuildItem> {
    instead_of_word(reader, node, path)?;
    let fields = reader.fields(node, path, &keys::BUILD_ITEM)?;
    match kinds(fields).as_slice() {
        [("uses", _, name)] => {
            alone(reader, fields, "uses", &["with"])?;
            uses::read(reader, fields, name, path, node.span).map(BuildItem::Uses)
        }
        [("run", _, script)] => {
            alone(reader, fields, "run", &["env", "name"])?;
            script::read(reader, fields, script, path, node.span).map(BuildItem::Run)
        }
        [("copy", span, what)] => {
            alone(reader, fields, "copy", &["name"])?;
            copy::read(reader, fields, what, path, *span).map(BuildItem::Copy)
        }
        [("reboot", span, value)] => {
            alone(reader, fields, "reboot", &[])?;
            let empty = value.is_null() || matches!(&value.data, Data::Map(map) if map.is_empty());
            if !empty {
                let mistake = reader.mistake(value.span, "`reboot` takes no value");
                reader.note(mistake.help("write `reboot: {}`"));
            }
            Some(BuildItem::Reboot { span: *span })
        }
        found => {
            let help = "an item has one of `uses`, `copy`, `run` and `reboot`";
            not_one(reader, node, path, fields, found, help);
            None
        }
    }
}

/// A key that says what an item is: its name, its place and its value.
type Kind<'n> = (&'static str, Span, &'n Node);

fn kinds(fields: Fields<'_>) -> Vec<Kind<'_>> {
    keys::BUILD_ITEM
        .one_of
        .iter()
        .filter_map(|kind| fields.entry(kind).map(|(span, node)| (*kind, span, node)))
        .collect()
}

/// Notes that an item is nothing, or two things.
fn not_one(
    reader: &Reader,
    node: &Node,
    path: &str,
    fields: Fields<'_>,
    kinds: &[Kind<'_>],
    help: &str,
) {
    if let [(first, ..), (second, span, _), ..] = kinds {
        let message = format!("`{path}` has both `{first}` and `{second}`");
        let mistake = reader.mistake(*span, message).label("the second one");
        reader.note(mistake.help("make two items of it, each beginning with `- `"));
        return;
    }
    // A key that isn't known has been noted and may be what was meant.
    let odd = fields
        .keys()
        .any(|key| !matches!(key.text.as_str(), "with" | "env" | "name"));
    if !odd {
        let mistake = reader.mistake(node.span, format!("`{path}` does nothing"));
        reader.note(mistake.help(help));
    }
}

/// Notes a text where an item should be, with what was meant by it.
fn instead_of_word(reader: &Reader, node: &Node, path: &str) -> Option<()> {
    let Data::Scalar(leaf) = &node.data else {
        return Some(());
    };
    let text = leaf.text.as_str();
    let help = if text == "reboot" {
        "write `- reboot: {}`".to_owned()
    } else if text.starts_with("darkroom:") || text.starts_with("./") {
        format!("write `- uses: {}`", shortened(text))
    } else {
        return Some(());
    };
    let message = format!("`{path}` must be a mapping, not a text");
    reader.note(reader.mistake(node.span, message).help(help));
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
        let owner = match text {
            "with" => "`uses`",
            "env" => "`run`",
            _ => "`run` and `copy`",
        };
        let message = format!("`{text}` does not belong to `{kind}`");
        let mistake = reader.mistake(key.span, message);
        reader.note(mistake.help(format!("`{text}` belongs to items with {owner}")));
        good = None;
    }
    good
}
