//! The template that a build of one line stands for.

use std::path::Path;

use crate::rules;

/// The template of `darkroom build --from FROM --run RUN --name NAME`, to be shown and
/// built like any other. The script is in it exactly as given. The instance may reach
/// the internet: one-line builds are mostly upgrades.
///
/// Nothing is checked here; what can't be in a template is a mistake of
/// [`parse`](crate::parse) at its place in the text.
pub fn one_line(from: &str, run: &str, name: &str) -> String {
    let source = source_key(from);
    format!(
        "name: {}\nsource: {{ {source}: {} }}\nbuild:\n  - run: {}\ninstance: {{ internet: 10 }}\n",
        scalar(name),
        scalar(from),
        script(run),
    )
}

/// What a source is, by the way it is written.
fn source_key(from: &str) -> &'static str {
    // Public images are named like files: `debian_12_5_x64_20G_alibase_20240718.vhd`.
    let file = Path::new(from).extension();
    if from.starts_with("m-") || file.is_some_and(|end| end == "vhd") {
        "image"
    } else if rules::instance_id(from).is_ok() {
        "instance"
    } else if rules::snapshot_id(from).is_ok() {
        "snapshot"
    } else {
        "family"
    }
}

/// A text on one line; in quotes unless it can only be read as a text.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.to_owned() } else { quoted(text) }
}

/// A script: in quotes on one line, else as a block, if a block can hold it.
fn script(text: &str) -> String {
    const INDENT: &str = "      ";
    let lines: Vec<&str> = text.split('\n').collect();
    let block = lines.len() > 1
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && text.chars().all(|c| c == '\n' || is_printable(c));
    if !block {
        return quoted(text);
    }
    // `|` ends with one newline, `|-` with none.
    let (head, lines) = match lines.as_slice() {
        [lines @ .., ""] => ("|", lines),
        lines => ("|-", lines),
    };
    lines.iter().fold(head.to_owned(), |block, line| {
        if line.is_empty() {
            block + "\n"
        } else {
            block + "\n" + INDENT + line
        }
    })
}

/// Single quotes where they can hold the text, else double ones with escapes.
fn quoted(text: &str) -> String {
    if text.chars().all(is_printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        let escaped: String = text.chars().map(escape).collect();
        format!("\"{escaped}\"")
    }
}

fn escape(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        c if is_printable(c) => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    }
}

/// Characters that YAML keeps as they are in quotes and blocks.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildItem, Cloud, ResolveWith, Source, parse};

    #[test]
    fn it_reads_like_a_template() {
        assert_eq!(
            one_line("m-bp1", "apt-get -y upgrade", "web-2"),
            "name: web-2\nsource: { image: m-bp1 }\nbuild:\n  - run: 'apt-get -y upgrade'\n\
             instance: { internet: 10 }\n"
        );
        assert_eq!(
            one_line("debian-12", "a\n\n  b: |\n", "web-2")
                .lines()
                .nth(3),
            Some("  - run: |")
        );
    }

    #[test]
    fn every_script_arrives_as_it_was_given() {
        let with = ResolveWith {
            cloud: Cloud::Local,
            parameters: &[],
            region: None,
        };
        for run in [
            "true",
            "8080",
            "null",
            "it's",
            "a: b # c",
            "- x",
            "a\nb",
            "a\nb\n",
            "a\n\n\nb\n\n",
            "  a\n b",
            "\n\na",
            "a\tb",
            "\ta\nb",
            "a\n\tb\n",
            "a \nb ",
            "a\r\nb",
            "\\n \"$X\"",
            "é 镜像\nü",
            "a\u{1}b",
            "a\u{85}b\u{2028}c",
            "\u{feff}a",
            "%x\n---\n...\n",
            "|\n>\n",
            "a\n   \nb",
            "a\n# b\n",
            "#",
            "🦀\u{10ffff}",
        ] {
            let text = one_line("i-bp1", run, "web-2");
            let template =
                parse(&text, "x").unwrap_or_else(|error| panic!("{run:?}: {error}\n{text}"));
            let resolved = template.resolve(with).expect("no parameters");
            let BuildItem::Run(found) = &resolved.build[0] else {
                panic!("{text}")
            };
            assert_eq!(found.script, run, "{text}");
            assert!(matches!(&resolved.source, Source::Instance(id) if id.value == "i-bp1"));
        }
    }
}
