//! `copy`: files of the template's folder that go into the image.
//!
//! Whether they exist and how large they are is the engine's to check; it reports at
//! the places of [`Copy::from`] and [`Copy::to`].

use crate::keys;
use crate::read::{Fields, Reader, join};
use crate::resolved::Copy;
use crate::rules;
use crate::section::script;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// An item with `copy`; `span` is the key's.
pub(crate) fn read(
    reader: &Reader,
    item: Fields<'_>,
    node: &Node,
    path: &str,
    span: Span,
) -> Option<Copy> {
    let name = script::title(reader, item, path);
    let path = join(path, "copy");
    if let Data::Scalar(leaf) = &node.data
        && leaf.value.is_string()
    {
        let message = format!("`{path}` must be a mapping, not a text");
        let help = format!(
            "write `copy: {{ from: {}, to: /path/in/the/image }}`",
            leaf.text
        );
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    let fields = reader.fields(node, &path, &keys::COPY)?;
    let required = |key: &str, what: &str, rule: fn(&str) -> Result<(), String>, example: &str| {
        let Some(node) = fields.get(key) else {
            let mistake = reader.mistake(span, format!("`{path}` has no `{key}`"));
            reader.note(mistake.help(format!("add it, such as `{key}: {example}`")));
            return None;
        };
        let text = reader.text(node, &join(&path, key))?;
        reader.obey(&text, what, rule)?;
        Some(text)
    };
    let from = required(
        "from",
        "a path of the template's folder",
        rules::inner_path,
        "./site",
    );
    let to = required(
        "to",
        "a path in the image",
        rules::image_path,
        "/var/www/html",
    );
    let mode = fields
        .get("mode")
        .and_then(|node| mode(reader, node, &join(&path, "mode")));
    let owner = fields.get("owner").and_then(|node| {
        let owner = reader.written(node, &join(&path, "owner"))?;
        reader.obey(&owner, "an owner", rules::owner)?;
        Some(owner.value)
    });
    let ignore = fields
        .get("ignore")
        .map(|node| ignore(reader, node, &join(&path, "ignore")))
        .unwrap_or_default();
    Some(Copy {
        from: from?,
        to: to?,
        mode,
        owner,
        ignore,
        name,
        span,
    })
}

/// Permissions. YAML reads `0644` as the number 644, so they are taken as written.
fn mode(reader: &Reader, node: &Node, path: &str) -> Option<u32> {
    let text = reader.written(node, path)?;
    let bad = |text: &Spanned<String>| {
        reader.obey(text, "permissions", |_| {
            Err("write three or four octal digits: '0644' or '0755'".to_owned())
        })
    };
    let digits = text.strip_prefix("0o").unwrap_or(&text);
    if !(3..=4).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        bad(&text)?;
    }
    let mode = u32::from_str_radix(digits, 8).ok();
    if mode.is_none() {
        bad(&text)?;
    }
    mode
}

fn ignore(reader: &Reader, node: &Node, path: &str) -> Vec<String> {
    let nodes = reader.list(node, path, "pattern").unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| {
            let pattern = reader.text(node, path)?;
            reader.obey(&pattern, "a pattern", rules::ignore_pattern)?;
            Some(pattern.value)
        })
        .collect()
}
