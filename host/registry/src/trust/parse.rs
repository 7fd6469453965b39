//! From the text of `trust.yaml` to rules, every mistake with its place.
//!
//! A key that can't be read is a mistake of the file that names it, found here and not
//! when the first package needs it.

use std::io::{self, Read};
use std::path::{Component, Path};

use cap_std::fs::Dir;
use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};

use super::mistake::{Mistake, Mistakes};
use super::{Pattern, Require, Rule, TrustedKey, VERSION};
use crate::name::PackageName;
use crate::sign::{KeyError, PublicKey};

/// The longest policy, in bytes: stops a file that was never meant to be one.
const LONGEST: usize = 1024 * 1024;
/// The longest key file, in bytes: a public key has 178, and a device never ends.
const LONGEST_KEY: u64 = 64 * 1024;
/// More mistakes than this are not listed: nobody reads them.
const MOST_MISTAKES: usize = 100;

const TOP: [&str; 2] = ["version", "rules"];
const RULE: [&str; 3] = ["package", "require", "keys"];

const WRITE_RULE: &str = "a rule is `- package: 'acme:*'` with `require: signed` and `keys:`";
const WRITE_PACKAGE: &str = "it can be 'acme:hardening', 'acme:*' or '*', in quotes";
const WRITE_REQUIRE: &str = "it can be `signed`, `warn` or `none`";
const WRITE_KEYS: &str =
    "`keys` is a list of paths beside this file, or of texts `-----BEGIN PUBLIC KEY-----`";

type Node<'t> = MarkedYaml<'t>;

struct Reader<'f> {
    text: &'f str,
    file: &'f str,
    folder: Option<&'f Dir>,
    mistakes: Vec<Mistake>,
}

pub(super) fn parse(text: &str, file: &str, folder: Option<&Dir>) -> Result<Vec<Rule>, Mistakes> {
    let mut reader = Reader {
        text,
        file,
        folder,
        mistakes: Vec::new(),
    };
    let rules = reader.document();
    if reader.mistakes.is_empty() {
        return Ok(rules);
    }
    reader.mistakes.sort_by_key(|mistake| mistake.span.start);
    Err(Mistakes(reader.mistakes))
}

impl Reader<'_> {
    fn document(&mut self) -> Vec<Rule> {
        if self.text.len() > LONGEST {
            let message = "the policy is larger than 1 MiB";
            self.note_at(Marker::new(0, 1, 0), 0, message, "is this another file?");
            return Vec::new();
        }
        let text = self.text;
        let documents = match MarkedYaml::load_from_str(text) {
            Ok(documents) => documents,
            Err(error) => {
                let message = format!("this is not YAML: {}", error.info());
                self.note_at(
                    *error.marker(),
                    0,
                    message,
                    "mend the line, or the one before it",
                );
                return Vec::new();
            }
        };
        match documents.as_slice() {
            [one] => self.top(one),
            [] => {
                let help = "write `version: 1` and `rules:`; without a file nothing is checked";
                self.note_at(Marker::new(0, 1, 0), 0, "the policy is empty", help);
                Vec::new()
            }
            [_, second, ..] => {
                let help = "keep one document, without lines `---`";
                self.note(second, "a policy is one document", help);
                Vec::new()
            }
        }
    }

    fn top(&mut self, node: &Node<'_>) -> Vec<Rule> {
        let Some(entries) = self.entries(node, "a policy", &TOP) else {
            return Vec::new();
        };
        match entry(&entries, "version") {
            None => self.note(
                node,
                "the policy has no `version`",
                "write `version: 1` at the top",
            ),
            Some(version) => self.version(version),
        }
        let Some(rules) = entry(&entries, "rules") else {
            self.note(node, "the policy has no `rules`", WRITE_RULE);
            return Vec::new();
        };
        let YamlData::Sequence(items) = &rules.data else {
            self.note(rules, "`rules` must be a list", WRITE_RULE);
            return Vec::new();
        };
        let mut found: Vec<Rule> = Vec::new();
        for item in items {
            let Some((rule, package)) = self.rule(item) else {
                continue;
            };
            let earlier = found
                .iter()
                .find(|earlier| earlier.pattern.covers(&rule.pattern));
            if let Some(earlier) = earlier {
                let message = format!(
                    "this rule is never reached: '{}' on line {} fits first",
                    earlier.pattern, earlier.line
                );
                let help = "the first rule that fits decides; put the narrower one first";
                self.note(package, message, help);
            }
            found.push(rule);
        }
        found
    }

    fn version(&mut self, node: &Node<'_>) {
        match node.data {
            YamlData::Value(Scalar::Integer(VERSION)) => {}
            YamlData::Value(Scalar::Integer(newer)) if newer > VERSION => {
                let message =
                    format!("the policy has version {newer}; version {VERSION} is understood");
                self.note(node, message, "use a newer Darkroom");
            }
            _ => self.note(node, "`version` must be 1", "write `version: 1`"),
        }
    }

    /// A rule, and the node of its pattern.
    fn rule<'n, 't>(&mut self, item: &'n Node<'t>) -> Option<(Rule, &'n Node<'t>)> {
        let entries = self.entries(item, "a rule", &RULE)?;
        let before = self.mistakes.len();
        let package = entry(&entries, "package");
        if package.is_none() {
            self.note(item, "the rule has no `package`", WRITE_PACKAGE);
        }
        let pattern = package.and_then(|node| self.pattern(node));
        let require = entry(&entries, "require");
        if require.is_none() {
            self.note(item, "the rule has no `require`", WRITE_REQUIRE);
        }
        let require = require.and_then(|node| self.require(node));
        let keys = entry(&entries, "keys");
        match (require, keys) {
            (Some(Require::None), Some(keys)) => {
                let help = "remove `keys`, or write `require: signed`";
                self.note(keys, "`keys` has no effect with `require: none`", help);
            }
            (Some(require @ (Require::Signed | Require::Warn)), None) => {
                let message = format!("the rule has no `keys`, which `require: {require}` needs");
                self.note(item, message, WRITE_KEYS);
            }
            _ => {}
        }
        let keys = keys.map(|node| self.keys(node)).unwrap_or_default();
        if self.mistakes.len() > before {
            return None;
        }
        let rule = Rule {
            pattern: pattern?,
            require: require?,
            keys,
            line: item.span.start.line(),
        };
        Some((rule, package?))
    }

    fn pattern(&mut self, node: &Node<'_>) -> Option<Pattern> {
        let pattern = text(node).and_then(|text| match text.strip_suffix('*') {
            Some("") => Some(Pattern::All),
            // With a name in its place it must be that of a package.
            Some(namespace) => format!("{namespace}x")
                .parse()
                .ok()
                .filter(|_| namespace.ends_with(':'))
                .map(|package: PackageName| Pattern::Namespace(package.namespace().into())),
            None => text.parse().ok().map(Pattern::Package),
        });
        if pattern.is_none() {
            let message = format!("{} can't be `package`", written(node));
            self.note(node, message, WRITE_PACKAGE);
        }
        pattern
    }

    fn require(&mut self, node: &Node<'_>) -> Option<Require> {
        let require = match &node.data {
            YamlData::Value(Scalar::String(word)) => match word.as_ref() {
                "signed" => Some(Require::Signed),
                "warn" => Some(Require::Warn),
                "none" => Some(Require::None),
                _ => None,
            },
            _ => None,
        };
        if require.is_none() {
            let message = format!("{} can't be `require`", written(node));
            self.note(node, message, WRITE_REQUIRE);
        }
        require
    }

    fn keys(&mut self, node: &Node<'_>) -> Vec<TrustedKey> {
        let YamlData::Sequence(items) = &node.data else {
            self.note(node, "`keys` must be a list", WRITE_KEYS);
            return Vec::new();
        };
        if items.is_empty() {
            self.note(node, "`keys` is empty", WRITE_KEYS);
        }
        let mut keys: Vec<TrustedKey> = Vec::new();
        for item in items {
            let Some(key) = self.key(item) else { continue };
            if let Some(earlier) = keys.iter().find(|earlier| earlier.key == key.key) {
                let message = format!("this is the same key as {}", earlier.name);
                self.note(item, message, "keep one of them");
            }
            keys.push(key);
        }
        keys
    }

    fn key(&mut self, item: &Node<'_>) -> Option<TrustedKey> {
        let Some(written_key) = text(item).filter(|text| !text.is_empty()) else {
            self.note(
                item,
                format!("{} can't be a key", written(item)),
                WRITE_KEYS,
            );
            return None;
        };
        let (name, pem) = if written_key.contains("-----BEGIN") {
            let name = format!("the key on line {}", item.span.start.line());
            (name, written_key.to_owned())
        } else {
            let pem = match self.read(written_key) {
                Ok(pem) => pem,
                Err((why, help)) => {
                    self.note(
                        item,
                        format!("the key {}: {why}", quoted(written_key)),
                        &help,
                    );
                    return None;
                }
            };
            (written_key.to_owned(), pem)
        };
        match PublicKey::from_pem(&pem) {
            Ok(key) => Some(TrustedKey { name, key }),
            Err(error) => {
                let what = if name == written_key {
                    quoted(written_key)
                } else {
                    "that stands here".into()
                };
                self.note(item, format!("the key {what}: {error}"), key_help(&error));
                None
            }
        }
    }

    /// The text of a key file, or what is wrong and what to do.
    fn read(&self, path: &str) -> Result<String, (String, String)> {
        let inside = |path: &Path| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        let beside = || {
            let help = format!("put the key into the folder of {}", self.file);
            (format!("it must lie in the folder of {}", self.file), help)
        };
        if !inside(Path::new(path)) {
            return Err(beside());
        }
        let Some(folder) = self.folder else {
            let help = "write the key itself, `-----BEGIN PUBLIC KEY-----` and so on";
            return Err(("this policy can't name files".into(), help.into()));
        };
        let mut text = String::new();
        let read = folder
            .open(path)
            .and_then(|file| file.take(LONGEST_KEY + 1).read_to_string(&mut text));
        match read {
            Ok(length) if length as u64 > LONGEST_KEY => Err((
                "it is larger than 64 KiB".into(),
                "a public key has a few lines; is this another file?".into(),
            )),
            Ok(_) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err((
                "there is no such file".into(),
                format!("paths begin at the folder of {}", self.file),
            )),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err((KeyError::NotPem.to_string(), KeyError::NotPem.hint().into()))
            }
            // What cap-std says of a link that leads out has no error code.
            Err(error) if error.raw_os_error().is_none() => Err(beside()),
            Err(error) => Err((
                format!("it can't be read: {error}"),
                "see who may read the file".into(),
            )),
        }
    }

    /// The entries of a mapping, its keys checked.
    fn entries<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: &str,
        known: &[&str],
    ) -> Option<Vec<(&'n str, &'n Node<'t>)>> {
        let list = known
            .iter()
            .map(|key| format!("`{key}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let YamlData::Mapping(mapping) = &node.data else {
            let help = format!("write `key: value` pairs; the keys are {list}");
            self.note(node, format!("{what} must be a mapping"), &help);
            return None;
        };
        let mut entries = Vec::new();
        for (key, value) in mapping {
            if let Some(text) = text(key).filter(|text| known.contains(text)) {
                entries.push((text, value));
            } else {
                let message = format!("unknown key {} in {what}", written(key));
                self.note(key, message, &format!("the keys here are {list}"));
            }
        }
        Some(entries)
    }

    fn note(&mut self, node: &Node<'_>, message: impl Into<String>, help: &str) {
        let length = node
            .span
            .end
            .index()
            .saturating_sub(node.span.start.index());
        self.note_at(node.span.start, length, message, help);
    }

    /// `length` in characters; only the first line of it is marked.
    fn note_at(&mut self, at: Marker, length: usize, message: impl Into<String>, help: &str) {
        if self.mistakes.len() >= MOST_MISTAKES {
            return;
        }
        let text = self.text;
        let start = text
            .char_indices()
            .nth(at.index())
            .map_or(text.len(), |(byte, _)| byte);
        let rest = text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let marked: usize = line.chars().take(length).map(char::len_utf8).sum();
        self.mistakes.push(Mistake {
            message: message.into(),
            help: help.into(),
            file: self.file.into(),
            line: at.line().max(1),
            column: at.col() + 1,
            span: start..start + marked,
        });
    }
}

fn entry<'n, 't>(entries: &[(&str, &'n Node<'t>)], key: &str) -> Option<&'n Node<'t>> {
    let (_, node) = entries.iter().find(|(found, _)| *found == key)?;
    Some(node)
}

fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text.as_ref()),
        _ => None,
    }
}

/// A node as messages call it.
fn written(node: &Node<'_>) -> String {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => quoted(text),
        YamlData::Value(Scalar::Null) => "nothing".into(),
        YamlData::Value(Scalar::Boolean(value)) => format!("`{value}`"),
        YamlData::Value(Scalar::Integer(value)) => format!("`{value}`"),
        YamlData::Value(Scalar::FloatingPoint(value)) => format!("`{value}`"),
        YamlData::Sequence(_) => "a list".into(),
        YamlData::Mapping(_) => "a mapping".into(),
        _ => "this".into(),
    }
}

/// The start of a text, in backquotes: files may hold anything.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let seen: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect();
    let more = if text.chars().count() > LONGEST {
        "…"
    } else {
        ""
    };
    format!("`{seen}{more}`")
}

fn key_help(error: &KeyError) -> &'static str {
    match error {
        KeyError::Private => "name the public half; `openssl pkey -in KEY -pubout` prints it",
        other => other.hint(),
    }
}
