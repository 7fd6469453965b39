//! The words of an expression: names, filters and tests, checked against those there
//! are, each mistake at its word.
//!
//! `minijinja` finds an unknown filter or name only when it gets there, so a mistake in
//! the branch not taken would wait for the day on which it is; and it reads
//! `parameters.page-title` as a subtraction. So the words are looked at here first, and
//! names with `-` are handed on in brackets. Whether the words make an expression is
//! `compute`'s to say.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Fault, Names};
use crate::nearest::nearest;
use crate::places::Place;
use crate::read::{quoted, shortened};

/// The longest expression in bytes: stops one from taking the library's compiler long.
const LONGEST: usize = 2048;

/// The filters: what can stand after `|`.
pub(super) const FILTERS: [&str; 19] = [
    "upper", "lower", "trim", "replace", "split", "join", "length", "first", "last", "default",
    "int", "float", "string", "sort", "unique", "reverse", "min", "max", "round",
];

/// The tests: what can stand after `is`.
pub(super) const TESTS: [&str; 6] = [
    "startingwith",
    "endingwith",
    "string",
    "number",
    "boolean",
    "sequence",
];

/// The names that an expression begins with.
const ROOTS: [&str; 6] = ["parameters", "secrets", "matrix", "name", "cloud", "region"];

/// Words that are neither names nor values.
const KEYWORDS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

/// An expression that is one name and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sole {
    /// A parameter, and where it is named.
    Parameter(String, Range<usize>),
    /// A value of the matrix, and where it is named.
    Matrix(String, Range<usize>),
    /// A secret.
    Secret(String),
}

/// An expression whose words are known.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) sole: Option<Sole>,
    /// What is handed to the library.
    pub(super) source: String,
    /// For each byte of `source`, and its end, the byte of the text that was checked.
    places: Vec<usize>,
}

impl Expression {
    /// The range of the text that a range of `source` comes from.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let at = |byte: usize| self.places.get(byte).or(self.places.last()).copied();
        at(range.start).unwrap_or(0)..at(range.end).unwrap_or(0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
    Sign,
}

#[derive(Clone, Debug)]
struct Token<'e> {
    kind: Kind,
    text: &'e str,
    range: Range<usize>,
}

/// Checks the words of an expression.
pub(super) fn check(text: &str, names: &Names<'_>, place: Place) -> Result<Expression, Fault> {
    let expression = read(text)?;
    let tokens = tokens(text)?;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Word => word(&tokens, index, names, place)?,
            Kind::Sign if token.text == "~" => {
                return Err(Fault::new(token.range.clone(), "texts aren't joined by `~`").help(
                    "write them beside each other: 'http://${{ parameters.host }}/', or use `+`",
                ));
            }
            _ => {}
        }
    }
    Ok(expression)
}

/// Reads an expression without judging its names.
pub(super) fn read(text: &str) -> Result<Expression, Fault> {
    if text.len() > LONGEST {
        let message = format!("an expression has {LONGEST} bytes at most");
        return Err(Fault::new(0..text.len(), message).help("use several, or compute it in `run`"));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        let fault = Fault::new(0..text.len(), "an expression is empty");
        return Err(fault.help("write a name: `${{ parameters.name }}`"));
    }
    let sole = match tokens.as_slice() {
        [root, dot, name] if dot.text == "." && name.kind == Kind::Word => match root.text {
            "parameters" => Some(Sole::Parameter(
                name.text.to_owned(),
                root.range.start..name.range.end,
            )),
            "matrix" => Some(Sole::Matrix(
                name.text.to_owned(),
                root.range.start..name.range.end,
            )),
            "secrets" => Some(Sole::Secret(name.text.to_owned())),
            _ => None,
        },
        _ => None,
    };
    let mut source = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len());
    let mut copy = |source: &mut String, range: Range<usize>| {
        places.extend(range.clone());
        source.push_str(&text[range]);
        places.len()
    };
    let mut done = 0;
    let mut inserted = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Word && token.text.contains('-') && index > 0 {
            let dot = &tokens[index - 1].range;
            copy(&mut source, done..dot.start);
            let before = source.len();
            // Writing to a text can't fail.
            let _ = write!(source, "['{}']", token.text);
            inserted.push((before, source.len(), token.range.clone()));
            done = token.range.end;
        }
    }
    copy(&mut source, done..text.len());
    for (start, end, range) in inserted {
        // Quotes and brackets lie where the name does.
        let spread = (0..end - start).map(|at| range.start + at.min(range.len() - 1));
        places.splice(start..start, spread);
    }
    places.push(text.len());
    Ok(Expression {
        sole,
        source,
        places,
    })
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (kind, length) = if next.is_ascii_alphabetic() || next == '_' {
            (Kind::Word, word_length(rest, in_names(&tokens)))
        } else if next.is_ascii_digit() {
            let digit = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            (Kind::Number, rest.find(|c| !digit(c)).unwrap_or(rest.len()))
        } else if next == '\'' || next == '"' {
            let Some(length) = quoted_length(rest, next) else {
                let fault = Fault::new(at..text.len(), "a text in an expression has no end");
                return Err(fault.help(format!("end it with {next}")));
            };
            (Kind::Text, length)
        } else {
            (Kind::Sign, next.len_utf8())
        };
        tokens.push(Token {
            kind,
            text: &text[at..at + length],
            range: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

/// Whether the next word is the name of a parameter or a secret.
fn in_names(tokens: &[Token<'_>]) -> bool {
    matches!(tokens, [.., root, dot]
        if dot.text == "." && matches!(root.text, "parameters" | "secrets" | "matrix"))
}

/// How long a word is; `-` belongs to the names of parameters and secrets, unless
/// nothing follows it.
fn word_length(text: &str, dashes: bool) -> usize {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (dashes && c == '-');
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    text[..length].trim_end_matches('-').len()
}

fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn word(tokens: &[Token<'_>], index: usize, names: &Names<'_>, place: Place) -> Result<(), Fault> {
    let token = &tokens[index];
    let before = |back: usize| index.checked_sub(back).map_or("", |at| tokens[at].text);
    let after = |ahead: usize| tokens.get(index + ahead).map_or("", |token| token.text);
    if KEYWORDS.contains(&token.text) {
        return Ok(());
    }
    if before(1) == "." {
        return match before(2) {
            // Its root has been checked.
            "parameters" | "secrets" | "matrix" if index >= 2 && !is_part(tokens, index - 2) => {
                Ok(())
            }
            _ => Err(no_parts(token, after(1) == "(")),
        };
    }
    if before(1) == "|" {
        return known("filter", token, &FILTERS);
    }
    if before(1) == "is" || (before(2) == "is" && before(1) == "not") {
        // `is true` and `is none` are tests of the library, and say nothing here that
        // `==` doesn't; they are refused like any other.
        return known("test", token, &TESTS);
    }
    if CONSTANTS.contains(&token.text) {
        return Ok(());
    }
    if after(1) == "(" {
        let message = format!("there is no function `{}`", token.text);
        let fault = Fault::new(token.range.clone(), message).label("not known");
        return Err(if FILTERS.contains(&token.text) {
            fault.help(format!(
                "it is a filter: `parameters.name | {}`",
                token.text
            ))
        } else {
            fault.help(format!(
                "there are filters: {}",
                quoted(FILTERS.into_iter())
            ))
        });
    }
    // The name of a filter's argument.
    if after(1) == "=" && after(2) != "=" {
        return Ok(());
    }
    if place == Place::Name && token.text != "matrix" && ROOTS.contains(&token.text) {
        let message = format!("`{}` can't be used in `name`", token.text);
        let fault = Fault::new(token.range.clone(), message).label("not known yet");
        return Err(fault.help("only values of the matrix can be used there: `matrix.…`"));
    }
    match token.text {
        "matrix" => in_matrix(tokens, index, names),
        "parameters" => parameter(tokens, index, names),
        "secrets" => secret(tokens, names, place),
        "region" if place == Place::Distribute => Err(Fault::new(
            token.range.clone(),
            "`region` can't be used in `distribute`",
        )
        .label("not known yet")
        .help("without `--region` it is the first of `distribute.regions`")),
        "name" | "cloud" | "region" => Ok(()),
        _ => Err(unknown(token, after(1), names)),
    }
}

fn is_part(tokens: &[Token<'_>], index: usize) -> bool {
    index > 0 && tokens[index - 1].text == "."
}

fn known(what: &str, token: &Token<'_>, list: &[&'static str]) -> Result<(), Fault> {
    if list.contains(&token.text) {
        return Ok(());
    }
    let message = format!("there is no {what} `{}`", token.text);
    let fault = Fault::new(token.range.clone(), message).label("not known");
    Err(match nearest(token.text, list.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("the {what}s are {}", quoted(list.iter().copied()))),
    })
}

fn no_parts(token: &Token<'_>, called: bool) -> Fault {
    if called {
        let message = format!("`.{}()` can't be called", token.text);
        let fault = Fault::new(token.range.clone(), message).label("there are no methods");
        return match nearest(token.text, FILTERS) {
            Some(near) => fault.help(format!("use a filter: `| {near}`")),
            None => fault.help(format!("the filters are {}", quoted(FILTERS.into_iter()))),
        };
    }
    Fault::new(
        token.range.clone(),
        format!("`.{}` names nothing: a value has no parts", token.text),
    )
    .label("not known")
    .help("only `parameters`, `matrix` and `secrets` are followed by `.` and a name")
}

fn parameter(tokens: &[Token<'_>], index: usize, names: &Names<'_>) -> Result<(), Fault> {
    let root = &tokens[index];
    let (Some(dot), Some(name)) = (tokens.get(index + 1), tokens.get(index + 2)) else {
        return Err(without_name(root));
    };
    if dot.text != "." || name.kind != Kind::Word {
        return Err(without_name(root));
    }
    let known = || names.parameters.iter().map(|(name, _)| *name);
    if known().any(|known| known == name.text) {
        return Ok(());
    }
    let range = root.range.start..name.range.end;
    let fault = Fault::new(range, format!("there is no parameter `{}`", name.text))
        .label("not in `parameters`");
    // The longest parameter that the name begins with, before a `-`.
    let minus = name
        .text
        .match_indices('-')
        .map(|(at, _)| name.text.split_at(at))
        .rfind(|(first, _)| known().any(|known| known == *first));
    Err(if let Some((first, rest)) = minus {
        let rest = &rest[1..];
        fault.help(format!(
            "`-` is part of the name; to subtract, write spaces: `parameters.{first} - {rest}`"
        ))
    } else if let Some(near) = nearest(name.text, known()) {
        fault.help(format!("did you mean `parameters.{near}`?"))
    } else if names.parameters.is_empty() {
        fault.help(format!(
            "add it: `parameters: {{ {}: {{ type: string }} }}`",
            name.text
        ))
    } else {
        fault.help(format!("the parameters are {}", quoted(known())))
    })
}

fn in_matrix(tokens: &[Token<'_>], index: usize, names: &Names<'_>) -> Result<(), Fault> {
    let root = &tokens[index];
    let (Some(dot), Some(name)) = (tokens.get(index + 1), tokens.get(index + 2)) else {
        return Err(without_name(root));
    };
    if dot.text != "." || name.kind != Kind::Word {
        return Err(without_name(root));
    }
    let Some(matrix) = &names.matrix else {
        return Ok(());
    };
    let known = || matrix.iter().map(|(name, _)| *name);
    if known().any(|known| known == name.text) {
        return Ok(());
    }
    let range = root.range.start..name.range.end;
    let message = format!("the matrix has no `{}`", name.text);
    let fault = Fault::new(range, message).label("not in `matrix`");
    Err(match nearest(name.text, known()) {
        Some(near) => fault.help(format!("did you mean `matrix.{near}`?")),
        None if matrix.is_empty() => {
            fault.help(format!("add it: `matrix: {{ {}: [one, two] }}`", name.text))
        }
        None => fault.help(format!("its values are {}", quoted(known()))),
    })
}

fn without_name(root: &Token<'_>) -> Fault {
    Fault::new(
        root.range.clone(),
        format!("`{}` needs a name after it", root.text),
    )
    .help(format!("write `{}.name`", root.text))
}

/// Only `secrets.name` and nothing else: a secret's value isn't there to be computed
/// with, and what stands for it must stay whole.
fn secret(tokens: &[Token<'_>], names: &Names<'_>, place: Place) -> Result<(), Fault> {
    let Some(root) = tokens.iter().find(|token| token.text == "secrets") else {
        return Ok(());
    };
    let whole = root.range.start..tokens.last().map_or(root.range.end, |last| last.range.end);
    let name = match tokens {
        [_, dot, name] if dot.text == "." && name.kind == Kind::Word => name,
        [_] => return Err(without_name(root)),
        _ => {
            let message = "nothing can be computed with a secret";
            return Err(Fault::new(whole, message)
                .label("a secret stands alone")
                .help("write `${{ secrets.name }}`, with texts around it if need be"));
        }
    };
    if !matches!(place, Place::With | Place::Env) {
        return Err(Fault::new(whole, "a secret can't be used here")
            .label("would be seen by everybody")
            .help("secrets can stand in `env`, and in `with` where a component takes one"));
    }
    let known = || names.secrets.iter().map(String::as_str);
    if known().any(|known| known == name.text) {
        return Ok(());
    }
    let fault =
        Fault::new(whole, format!("there is no secret `{}`", name.text)).label("not in `secrets`");
    Err(match nearest(name.text, known()) {
        Some(near) => fault.help(format!("did you mean `secrets.{near}`?")),
        None if names.secrets.is_empty() => fault.help(format!(
            "add it: `secrets: {{ {}: {{ env: {} }} }}`",
            name.text,
            name.text.to_uppercase().replace('-', "_")
        )),
        None => fault.help(format!("the secrets are {}", quoted(known()))),
    })
}

fn unknown(token: &Token<'_>, after: &str, names: &Names<'_>) -> Fault {
    let text = shortened(token.text);
    let fault =
        Fault::new(token.range.clone(), format!("`{text}` is not known here")).label("not known");
    let parameter = names
        .parameters
        .iter()
        .find(|(name, _)| *name == token.text || name.split('-').next() == Some(token.text));
    if let Some((name, _)) = parameter {
        return fault.help(format!("did you mean `parameters.{name}`?"));
    }
    if names.secrets.iter().any(|name| name == token.text) {
        return fault.help(format!("did you mean `secrets.{text}`?"));
    }
    if token.text == "env" && after == "." {
        return fault.help(
            "the environment isn't read; make it a parameter, or a secret: \
             `secrets: { name: { env: NAME } }`",
        );
    }
    match nearest(token.text, ROOTS) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(
            "the names are `parameters.…`, `matrix.…`, `secrets.…`, `name`, `cloud` and `region`; \
             a text stands in quotes",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, place: Place) -> Option<(String, String, Option<String>)> {
        let names = Names {
            parameters: vec![("port", false), ("web-port", false), ("list", true)],
            matrix: Some(vec![("base", false)]),
            secrets: vec!["db-password".into()],
        };
        check(text, &names, place)
            .err()
            .map(|fault| (text[fault.range].to_owned(), fault.message, fault.help))
    }

    #[test]
    fn good_words() {
        for text in [
            "parameters.port",
            "parameters.web-port-1 if false else 1",
            "parameters.web-port - 1",
            "parameters.port-",
            "'x' if cloud == \"local\" else region",
            "parameters.list | join(' ') | upper",
            "parameters.port is not string and not true",
            "parameters.list | default(value='x')",
            "name in ['a', 'b']",
        ] {
            let found = fault(text, Place::With);
            let expected = text.contains("web-port-1");
            assert_eq!(found.is_some(), expected, "{text}: {found:?}");
        }
        assert_eq!(fault(" secrets.db-password ", Place::Env), None);
    }

    #[test]
    fn bad_words_at_their_places() {
        for (text, at) in [
            ("parameters.prot", "parameters.prot"),
            ("1 + parameters.port-1", "parameters.port-1"),
            ("parameters", "parameters"),
            ("parameters['port']", "parameters"),
            ("a if parmeters.port else b", "a"),
            ("parmeters.port", "parmeters"),
            ("parameters.port.x", "x"),
            ("parameters.port.upper()", "upper"),
            ("parameters.port | uper", "uper"),
            ("parameters.port is strin", "strin"),
            ("range(10)", "range"),
            ("secrets.db-password | upper", "secrets.db-password | upper"),
            ("'x' + secrets.db-password", "secrets.db-password"),
            ("secrets.db", "secrets.db"),
            ("name ~ 'x'", "~"),
            ("env.HOME", "env"),
            ("port", "port"),
            ("(name).x", "x"),
            ("secrets.parameters.port", "secrets.parameters.port"),
        ] {
            let found = fault(text, Place::With);
            assert_eq!(found.map(|(at, ..)| at).as_deref(), Some(at), "{text}");
        }
        for place in [Place::Copy, Place::Cloud, Place::Distribute] {
            assert!(fault("secrets.db-password", place).is_some());
        }
        assert!(fault("region", Place::Distribute).is_some());
        assert!(fault("region", Place::Cloud).is_none());
    }

    #[test]
    fn names_with_dashes_are_put_in_brackets() {
        let text = "1 + parameters.web-port + x";
        let expression = read(text).expect("words");
        assert_eq!(expression.source, "1 + parameters['web-port'] + x");
        let at = expression.source.rfind('x').expect("there");
        assert_eq!(&text[expression.place(at..at + 1)], "x");
        let at = expression.source.find("['").expect("there");
        assert!(text[expression.place(at..at + 12)].contains("web-port"));
    }
}
