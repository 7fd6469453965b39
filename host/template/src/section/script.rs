//! `run` and `env`: a script of the template, in `build` and in `test`.

use crate::read::{Fields, Reader, join};
use crate::resolved::Run;
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// The longest script: the limit that the contract sets for a component's scripts.
const LONGEST_SCRIPT: usize = 1024 * 1024;

/// An item with `run`.
pub(crate) fn read(
    reader: &Reader,
    fields: Fields<'_>,
    script: &Node,
    path: &str,
    item: Span,
) -> Option<Run> {
    let name = title(reader, fields, path);
    let env = match fields.get("env") {
        None => Vec::new(),
        Some(node) => env(reader, node, &join(path, "env")).unwrap_or_default(),
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

/// What an item is called, for people.
pub(crate) fn title(reader: &Reader, item: Fields<'_>, path: &str) -> Option<String> {
    let name = reader.text(item.get("name")?, &join(path, "name"))?;
    reader.obey(&name, "a name", rules::title)?;
    Some(name.value)
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

fn env(reader: &Reader, node: &Node, path: &str) -> Option<Vec<(String, String)>> {
    let entries = reader.map(node, path)?;
    let mut variables = Vec::new();
    for (key, value) in entries {
        let name = Spanned::new(key.text.clone(), key.span);
        let good = reader.obey(&name, "the name of a variable", rules::variable);
        let text = reader.written(value, &join(path, &name));
        if let (Some(()), Some(text)) = (good, text) {
            if text.contains('\0') {
                let message = format!("the value of `{name}` holds a zero byte");
                reader.note(reader.mistake(value.span, message).help("remove the `\\0`"));
            }
            variables.push((name.value, text.value));
        }
    }
    Some(variables)
}
