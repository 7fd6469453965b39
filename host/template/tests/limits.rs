//! Templates that were made to hurt: size, depth, aliases, and texts that are no
//! templates at all. Each must be refused quickly, with a place.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use darkroom_template::parse;

fn message(source: &str) -> String {
    let begun = Instant::now();
    let mistakes = parse(source, "image.yaml").unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    mistakes.0[0].to_string()
}

#[test]
fn nested_aliases() {
    let mut source = String::from(
        "name: web\nsource: { family: debian-12 }\nx0: &a0 [a, a, a, a, a, a, a, a, a]\n",
    );
    for level in 1..40 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 9].join(", ");
        writeln!(source, "x{level}: &a{level} [{items}]").unwrap();
    }
    assert_eq!(
        message(&source),
        "image.yaml:7:15: the template has more than 20000 values"
    );
}

#[test]
fn aliases_that_only_grow_deep() {
    let mut source = String::from("x0: &a0 [a]\n");
    for level in 1..100 {
        writeln!(source, "x{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    let message = message(&source);
    assert!(message.contains("deeper than 64 levels"), "{message}");
}

#[test]
fn an_alias_inside_its_own_value() {
    assert_eq!(
        message("name: web\nx: &a [b, *a]\n"),
        "image.yaml:2:11: an alias can't stand inside the value that it names"
    );
}

#[test]
fn deep_flow_and_deep_block() {
    let flow = format!("name: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert!(
        message(&flow).contains("deeper than 64 levels"),
        "{}",
        message(&flow)
    );
    let block: Vec<_> = (0..400)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    assert!(message(&block.concat()).contains("deeper than 64 levels"));
}

#[test]
fn a_large_file() {
    let source = format!("name: web # {}\n", "x".repeat(1024 * 1024));
    assert_eq!(
        message(&source),
        "image.yaml:1:1: the template is larger than 1 MiB"
    );
}

#[test]
fn many_values() {
    let source = "- a\n".repeat(100_000);
    assert!(message(&source).contains("more than 20000 values"));
}

#[test]
fn many_mistakes_are_cut() {
    let source: Vec<_> = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    let source = source.concat();
    assert!(parse(&source, "image.yaml").unwrap_err().0.len() <= 100);
}

#[test]
fn texts_that_are_no_templates() {
    for source in [
        "\u{feff}name: web\n",
        "\0",
        "name: \u{1}",
        "{{{{",
        "\"",
        "'",
        "%YAML 9",
        "a: b: c",
        "\u{feff}",
        "&a",
        "*",
        "!",
        "- - - -",
        "|",
        "? ",
        ": ",
        "a:\r\n\tb: c\r\n",
    ] {
        let parsed = parse(source, "x");
        assert!(parsed.is_err(), "{source:?}");
    }
}

#[test]
fn marks_of_windows_editors_move_no_place() {
    let lines = "name: web\nsource: { family: debian-12 }\nbiuld: 1\n";
    let expected = "image.yaml:3:1: unknown key `biuld` in the template";
    assert_eq!(message(lines), expected);
    assert_eq!(message(&lines.replace('\n', "\r\n")), expected);
    assert_eq!(message(&format!("\u{feff}{lines}")), expected);
    assert_eq!(
        message("\u{feff}nmae: web\r\nsource: { family: debian-12 }\r\n"),
        "image.yaml:1:1: unknown key `nmae` in the template"
    );
}
