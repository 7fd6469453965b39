//! There is no Windows here. So the text is read by another reader than the one that wrote
//! it: PowerShell's rules for the few forms that a wrapper may have, and no others. What it
//! reads must be the values, to the letter.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a wrapper would set and run.
#[derive(Debug, Default, PartialEq)]
struct Read {
    run: String,
    script: String,
    marked: bool,
    variables: BTreeMap<String, String>,
    directory: Option<String>,
    arguments: Vec<String>,
}

/// PowerShell takes each of these for a single quote, and a doubled one for itself.
fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

/// A literal at the beginning, and what follows it.
fn string(text: &str) -> (String, &str) {
    let mut chars = text.char_indices().peekable();
    assert!(chars.next().is_some_and(|(_, c)| is_quote(c)), "{text}");
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        if !is_quote(c) {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| is_quote(*next)) {
            value.push(c);
            chars.next();
        } else {
            return (value, &text[at + c.len_utf8()..]);
        }
    }
    panic!("it has no end: {text}");
}

/// A value at the beginning, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(coded) = text.strip_prefix("(Text ") else {
        return string(text);
    };
    let (base64, rest) = string(coded);
    let bytes = STANDARD.decode(base64).unwrap();
    let rest = rest.strip_prefix(')').unwrap();
    (String::from_utf8(bytes).unwrap(), rest)
}

fn values(mut text: &str) -> Vec<String> {
    let mut all = Vec::new();
    while !text.is_empty() {
        let (one, rest) = value(text);
        all.push(one);
        text = rest.strip_prefix(", ").unwrap_or(rest);
    }
    all
}

/// Reads a whole wrapper; a line that it doesn't know is one that must not be there.
fn read(text: &str) -> Read {
    assert!(text.is_ascii() && !text.contains('\r'), "{text}");
    let mut read = Read::default();
    let mut fixed = [BEGINNING, RUN_CMD, RUN_POWERSHELL].concat();
    fixed.push_str("# darkroom build/0-x/0 1\n");
    for line in text.lines() {
        let inside = |before: &str, after: &str| line.strip_prefix(before)?.strip_suffix(after);
        if let Some(rest) = line.strip_prefix("$run = ") {
            let (run, end) = value(rest);
            assert_eq!(end, "");
            read.run = run;
        } else if let Some(rest) = line.strip_prefix("[Environment]::SetEnvironmentVariable(") {
            let (name, rest) = string(rest);
            let (value, rest) = value(rest.strip_prefix(", ").unwrap());
            assert_eq!(rest, ", 'Process')");
            read.variables.insert(name, value);
        } else if let Some(rest) = line.strip_prefix("Set-Location -LiteralPath ") {
            let (directory, end) = value(rest);
            assert_eq!(end, "");
            read.directory = Some(directory);
        } else if let Some(rest) = inside("$arguments = @(", ")") {
            read.arguments = values(rest);
        } else if let Some(rest) = line.strip_prefix("[IO.File]::WriteAllText($script, ") {
            let (script, rest) = value(rest);
            read.script = script;
            read.marked = match rest {
                ", (New-Object Text.UTF8Encoding $true))" => true,
                ", (New-Object Text.UTF8Encoding $false))" => false,
                other => panic!("{other}"),
            };
        } else if let Some(rest) = line.strip_prefix(r"$script = 'C:\ProgramData\darkroom' + ") {
            let name = rest.strip_prefix(r#""\$run" + '-"#).unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
            assert!(
                name.strip_suffix('\'').unwrap().chars().all(plain),
                "{name}"
            );
        } else {
            assert!(fixed.lines().any(|known| known == line), "{line}");
        }
    }
    read
}

fn place() -> Place {
    Place {
        root: "/x".into(),
        run: "RUN".into(),
        step: "build/0-x/0".into(),
        attempt: "1".into(),
    }
}

fn arrives(text: &str, value: &str, language: Language) {
    let environment = [
        ("A".to_owned(), value.to_owned()),
        ("B".to_owned(), "b".into()),
    ];
    let arguments = [value.to_owned(), "-n".into(), value.to_owned()];
    let script = Script {
        text,
        directory: Some(value),
        arguments: &arguments,
        environment: &environment,
        ..Script::default()
    };
    let read = read(&wrap(&place(), &script, language).command("221122-101010-abcdef"));
    assert_eq!(read.run, "221122-101010-abcdef");
    assert_eq!(read.variables["A"], value);
    assert_eq!(read.variables["B"], "b");
    assert_eq!(read.directory.as_deref(), Some(value));
    assert_eq!(read.arguments, arguments);
    match language {
        Language::Cmd => {
            assert!(!read.marked);
            assert_eq!(
                read.script.replace("\r\n", "\n"),
                text.replace("\r\n", "\n")
            );
            assert!(!read.script.replace("\r\n", "").contains('\n'));
        }
        _ => assert_eq!((read.marked, &*read.script), (true, text)),
    }
}

/// What has broken quoting before, somewhere.
const HOSTILE: [&str; 18] = [
    "",
    "'",
    "''",
    "it's \"q\" `b` $(id) $env:A ${A} %PATH% !PATH! ^ & | < > ; # @ ~",
    "a\nb",
    "a\r\nb\r",
    "ends with a newline\n",
    "\n",
    "\t tab and blanks ",
    "-n",
    "--%",
    "\u{2018}typographic\u{2019} \u{201a}quotes\u{201b} \u{201c}too\u{201d}",
    "é 镜像 😀 \u{feff}",
    "'@\n'@",
    "(Text 'QQ==')",
    "', 'Process')\n& calc",
    "\"",
    "\\",
];

#[test]
fn hostile_values_arrive_in_the_text() {
    let long = "it's \"é\" %A%\n".repeat(5000);
    for language in [Language::PowerShell, Language::Cmd] {
        for value in HOSTILE.into_iter().chain([&*long]) {
            arrives("echo off\nset A\r\n", value, language);
            arrives(value, "plain", language);
        }
    }
}

#[test]
fn what_is_plain_can_be_read_by_people() {
    let script = Script {
        text: "Write-Output $env:GREETING",
        environment: &[("GREETING".into(), "it's \"on\"".into())],
        ..Script::default()
    };
    let text = wrap(&place(), &script, Language::PowerShell).command("RUN");
    assert!(
        text.starts_with("$run = 'RUN'\n# darkroom build/0-x/0 1\n"),
        "{text}"
    );
    assert!(
        text.contains("('GREETING', 'it''s \"on\"', 'Process')"),
        "{text}"
    );
    assert!(
        text.contains("WriteAllText($script, 'Write-Output $env:GREETING', "),
        "{text}"
    );
}

#[test]
fn the_reader_finds_what_escapes() {
    let refused = |text: &str| std::panic::catch_unwind(|| read(text)).is_err();
    assert!(refused(
        "[Environment]::SetEnvironmentVariable('A', 'it's', 'Process')"
    ));
    assert!(refused("Set-Location -LiteralPath 'a\u{2019}; calc'"));
    assert!(refused("& calc"));
}

proptest! {
    #[test]
    fn any_value_arrives(text in "\\PC{1,40}|(?s).{1,40}", value in "(?s)[^\0]{0,60}") {
        for language in [Language::PowerShell, Language::Cmd] {
            arrives(&text.replace('\r', ""), &value, language);
        }
    }
}
