//! The template that a build of one line stands for.

use crate::section::source;

/// The bandwidth of an instance of a one-line build.
const INTERNET: u32 = 10;

/// What a build of one line says. What isn't said is left out of the template, but for
/// the way to the internet: one-line builds are mostly upgrades.
#[derive(Clone, Debug, Default)]
pub struct OneLine<'a> {
    /// A family, or an image, an instance or a snapshot by its id.
    pub from: &'a str,
    /// The scripts, in order.
    pub run: &'a [String],
    /// The template's name.
    pub name: &'a str,
    /// Bandwidth in Mbit/s; none is 10.
    pub internet: Option<u32>,
    /// The instance type.
    pub instance_type: Option<&'a str>,
    /// The system disk in GiB.
    pub disk: Option<u32>,
    /// The family that the image shall be the newest of.
    pub family: Option<&'a str>,
}

/// The template of `darkroom build --from FROM --run RUN --name NAME`, to be shown and
/// built like any other. The scripts are in it exactly as given.
///
/// Nothing is checked here; what can't be in a template is a mistake of
/// [`parse`](crate::parse) at its place in the text.
pub fn one_line(said: &OneLine<'_>) -> String {
    let source = source::key_of(said.from);
    let (name, from) = (scalar(said.name), scalar(said.from));
    let mut text = format!("name: {name}\nsource: {{ {source}: {from} }}\n");
    if !said.run.is_empty() {
        text.push_str("build:\n");
    }
    for run in said.run {
        text.extend(["  - run: ", &script(run), "\n"]);
    }
    let mut instance = vec![format!("internet: {}", said.internet.unwrap_or(INTERNET))];
    instance.extend(
        said.instance_type
            .map(|one| format!("type: {}", scalar(one))),
    );
    instance.extend(said.disk.map(|disk| format!("disk: {disk}")));
    text.extend(["instance: { ", &instance.join(", "), " }\n"]);
    if let Some(family) = said.family {
        text.extend(["image: { family: ", &scalar(family), " }\n"]);
    }
    text
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

    fn said(from: &str, run: &str) -> String {
        one_line(&OneLine {
            from,
            run: &[run.to_owned()],
            name: "web-2",
            ..OneLine::default()
        })
    }

    #[test]
    fn it_reads_like_a_template() {
        assert_eq!(
            said("m-bp1", "apt-get -y upgrade"),
            "name: web-2\nsource: { image: m-bp1 }\nbuild:\n  - run: 'apt-get -y upgrade'\n\
             instance: { internet: 10 }\n"
        );
        assert_eq!(
            said("debian-12", "a\n\n  b: |\n").lines().nth(3),
            Some("  - run: |")
        );
        let all = OneLine {
            from: "debian-12",
            run: &["true".into(), "a\nb".into()],
            name: "web-2",
            internet: Some(0),
            instance_type: Some("ecs.g7.large"),
            disk: Some(40),
            family: Some("web"),
        };
        assert_eq!(
            one_line(&all),
            "name: web-2\nsource: { family: debian-12 }\nbuild:\n  - run: 'true'\n  - run: |-\n      \
             a\n      b\ninstance: { internet: 0, type: ecs.g7.large, disk: 40 }\n\
             image: { family: web }\n"
        );
        assert!(parse(&one_line(&all), "x").is_ok());
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
            let text = said("i-bp1", run);
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
