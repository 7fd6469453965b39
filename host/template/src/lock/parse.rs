//! From the text of a lock to [`Lock`], every mistake with its place.

use std::borrow::Cow;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Lock, LockedComponent, VERSION};
use crate::mistake::{Mistake, Mistakes};
use crate::nearest::nearest;
use crate::read::{quoted, shortened};
use crate::rules;
use crate::span::{SourceFile, Span};

/// The longest lock, in bytes: stops a file that was never meant to be one.
const LONGEST: usize = 1024 * 1024;

const TOP: [&str; 2] = ["version", "component"];
const COMPONENT: [&str; 5] = ["name", "version", "digest", "registry", "signer"];

/// What people are told who have edited a lock.
const MADE: &str = "the file is made by `darkroom build`; remove it to have it made anew";

type Value<'t> = Spanned<DeValue<'t>>;
type Key<'t> = Spanned<Cow<'t, str>>;

struct Reader {
    source: Arc<SourceFile>,
    mistakes: Vec<Mistake>,
}

pub(super) fn parse(text: &str, file_name: &str) -> Result<Lock, Mistakes> {
    let mut reader = Reader {
        source: Arc::new(SourceFile::new(file_name, text)),
        mistakes: Vec::new(),
    };
    if text.len() > LONGEST {
        reader.note(0..0, "the lock is larger than 1 MiB", MADE);
        return Mistakes::none_or(reader.mistakes, Lock::default());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        reader.note(at, format!("this is not TOML: {}", error.message()), MADE);
    }
    if !reader.mistakes.is_empty() {
        return Mistakes::none_or(reader.mistakes, Lock::default());
    }
    let components = reader.top(table.get_ref());
    Mistakes::none_or(reader.mistakes, Lock::new(components))
}

impl Reader {
    fn note(&mut self, at: std::ops::Range<usize>, message: impl Into<String>, help: &str) {
        let text = self.source.text();
        let boundary =
            |byte: usize| (0..=byte.min(text.len())).rfind(|at| text.is_char_boundary(*at));
        let start = boundary(at.start).unwrap_or(0);
        let line = text[start..].lines().next().unwrap_or("").len();
        let end = boundary(at.end.min(start + line)).unwrap_or(start);
        let mistake = Mistake::new(&self.source, Span::new(start, end), message);
        self.mistakes.push(mistake.help(help));
    }

    fn keys(&mut self, table: &DeTable<'_>, known: &[&'static str], place: &str) {
        for (key, _) in table {
            let text: &str = key.get_ref();
            if known.contains(&text) {
                continue;
            }
            let help = match nearest(text, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", quoted(known.iter().copied())),
            };
            let message = format!("unknown key `{}` in {place}", shortened(text));
            self.note(key.span(), message, &help);
        }
    }

    fn top(&mut self, table: &DeTable<'_>) -> Vec<LockedComponent> {
        self.keys(table, &TOP, "a lock");
        match entry(table, "version") {
            None => self.note(
                0..0,
                "the lock has no `version`",
                "write `version = 1` at the top",
            ),
            Some((_, value)) => self.version(value),
        }
        let Some((_, list)) = entry(table, "component") else {
            return Vec::new();
        };
        let DeValue::Array(items) = list.get_ref() else {
            let help = "each component begins with a line `[[component]]`";
            self.note(list.span(), "`component` must be a list of tables", help);
            return Vec::new();
        };
        let mut components: Vec<LockedComponent> = Vec::new();
        for item in items {
            let Some(one) = self.component(item) else {
                continue;
            };
            if components.iter().any(|earlier| earlier.key() == one.key()) {
                let message = format!("{} is in the lock twice", one.reference());
                self.note(item.span(), message, "keep one of them");
            }
            components.push(one);
        }
        components
    }

    fn version(&mut self, value: &Value<'_>) {
        let version = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match version {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                let message =
                    format!("the lock has version {newer}; version {VERSION} is understood");
                let help = "use the Darkroom that made it, or a newer one";
                self.note(value.span(), message, help);
            }
            _ => self.note(value.span(), "`version` must be 1", MADE),
        }
    }

    fn component(&mut self, item: &Value<'_>) -> Option<LockedComponent> {
        let DeValue::Table(table) = item.get_ref() else {
            let help = "each component begins with a line `[[component]]`";
            self.note(item.span(), "a component must be a table", help);
            return None;
        };
        self.keys(table, &COMPONENT, "a component");
        let mut text = |key: &str, rule: fn(&str) -> bool, help: &str| {
            let (_, value) = entry(table, key)?;
            let DeValue::String(text) = value.get_ref() else {
                let help = "put quotes around it";
                self.note(value.span(), format!("`{key}` must be a text"), help);
                return None;
            };
            if !rule(text) {
                let message = format!("`{}` can't be `{key}`", shortened(text));
                self.note(value.span(), message, help);
                return None;
            }
            Some(text.to_string())
        };
        let plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let name = text("name", is_name, "a name is like \"darkroom:packages\"");
        let version = text("version", is_version, "a version is like \"0.1.0\"");
        let digest = text(
            "digest",
            is_digest,
            "a digest is \"sha256:\" and 64 digits of 0-9 and a-f",
        );
        let registry = text("registry", plain, "a registry is like \"ghcr.io/acme\"");
        let signer = text("signer", plain, MADE);
        for key in ["name", "version", "digest"] {
            if entry(table, key).is_none() {
                self.note(item.span(), format!("a component has no `{key}`"), MADE);
            }
        }
        Some(LockedComponent {
            name: name?,
            version: version?,
            digest: digest?,
            registry,
            signer,
        })
    }
}

fn entry<'e, 't>(table: &'e DeTable<'t>, key: &str) -> Option<(&'e Key<'t>, &'e Value<'t>)> {
    table.iter().find(|(found, _)| found.get_ref() == key)
}

fn is_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(namespace, name)| {
        rules::package_label(namespace).is_ok() && rules::package_label(name).is_ok()
    })
}

fn is_version(text: &str) -> bool {
    text.len() <= 64 && semver::Version::parse(text).is_ok()
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}
