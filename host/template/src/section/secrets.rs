//! `secrets`: where the values come from that no file and no journal may hold.
//!
//! Only the names and the sources are read here; the command line asks the sources.

use std::path::PathBuf;

use crate::keys;
use crate::read::{Reader, join, quoted_or};
use crate::resolved::{Secret, SecretFrom};
use crate::rules;
use crate::span::Spanned;
use crate::yaml::{Data, Node};

/// Reads the section.
pub(crate) fn read(reader: &Reader, node: &Node) -> Vec<Secret> {
    let entries = reader.map(node, "secrets").unwrap_or_default();
    entries
        .iter()
        .filter_map(|(key, node)| {
            let name = Spanned::new(key.text.clone(), key.span);
            let good = reader.obey(&name, "the name of a secret", rules::secret_name);
            let from = source(reader, node, &join("secrets", &name))?;
            good.map(|()| Secret { name, from })
        })
        .collect()
}

fn source(reader: &Reader, node: &Node, path: &str) -> Option<SecretFrom> {
    if let Data::Scalar(_) = &node.data {
        let message = format!("`{path}` must be a mapping, not {}", node.kind());
        let help = "a template never holds the value; say where it comes from: \
                    `{ env: NAME }`, `{ file: ./path }` or `{ command: [program, argument] }`";
        reader.note(
            reader
                .mistake(node.span, message)
                .label("not a source")
                .help(help),
        );
        return None;
    }
    let fields = reader.fields(node, path, &keys::SECRET)?;
    let found: Vec<_> = keys::SECRET
        .one_of
        .iter()
        .filter_map(|key| fields.entry(key).map(|(span, node)| (*key, span, node)))
        .collect();
    match found.as_slice() {
        [("env", _, node)] => {
            let name = reader.text(node, &join(path, "env"))?;
            reader.obey(&name, "the name of a variable", rules::variable)?;
            Some(SecretFrom::Environment(name.value))
        }
        [("file", _, node)] => {
            let file = reader.text(node, &join(path, "file"))?;
            reader.obey(&file, "the file of a secret", rules::secret_file)?;
            Some(SecretFrom::File(PathBuf::from(file.value)))
        }
        [(_, _, node)] => command(reader, node, &join(path, "command")),
        [] => {
            // An unknown key has been noted; this would say it twice.
            if fields.keys().next().is_none() {
                let mistake = reader.mistake(node.span, format!("`{path}` has no source"));
                let words = quoted_or(keys::SECRET.candidates());
                reader.note(mistake.help(format!("give one of {words}")));
            }
            None
        }
        [(first, ..), (second, span, _), ..] => {
            let message = format!("`{path}` has both `{first}` and `{second}`");
            let mistake = reader.mistake(*span, message).label("the second one");
            reader.note(mistake.help("keep one of them"));
            None
        }
    }
}

fn command(reader: &Reader, node: &Node, path: &str) -> Option<SecretFrom> {
    if let Data::Scalar(leaf) = &node.data
        && leaf.value.is_string()
    {
        let words: Vec<_> = leaf.text.split_whitespace().collect();
        let message = format!("`{path}` must be a list of texts, not a text");
        let help = format!("no shell is asked; write `[{}]`", words.join(", "));
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    let nodes = reader.list(node, path, "word")?;
    let words: Vec<_> = nodes
        .iter()
        .map(|node| {
            let word = reader.written(node, path)?;
            Some(word.value)
        })
        .collect::<Option<_>>()?;
    if words.first().is_none_or(String::is_empty) {
        let mistake = reader.mistake(node.span, format!("`{path}` names no program"));
        reader.note(mistake.help("write the program and its arguments: `[pass, show, db]`"));
        return None;
    }
    Some(SecretFrom::Command(words))
}
