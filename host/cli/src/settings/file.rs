//! Reads one file of settings and reports everything that is wrong in it, with line and
//! nearest name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use darkroom_template::{Mistake, Mistakes, SourceFile, Span, nearest};
use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, Known, Scope};
use crate::failure::Failure;

/// A file that can't be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be read")]
struct Unreadable {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// The file, as people call it.
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
    /// Namespaces or packages, and where they are.
    pub(super) registries: Vec<(String, String)>,
    /// Packages, and the files that stand for them.
    pub(super) overrides: Vec<(String, String)>,
}

/// One line of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) text: String,
    pub(super) line: usize,
}

/// The user's file; none without a home folder.
pub(crate) fn user_file(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let config = variable("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(config.join("darkroom/config.toml"))
}

/// Reads a file; none if it isn't there.
pub(super) fn read(path: &Path, scope: Scope) -> Result<Option<File>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(source) => {
            let path = path.to_owned();
            return Err(
                Failure::config(Unreadable { path, source }).hint("make it readable, or remove it")
            );
        }
    };
    let name = path.display().to_string();
    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
    match understand(&text, &name, scope) {
        Ok(file) => Ok(Some(file)),
        Err(mistakes) => Err(Failure::config(mistakes)),
    }
}

/// The table of where packages are.
const REGISTRIES: &str = "registries";
/// The table of files that stand for packages.
const OVERRIDE: &str = "override";

fn understand(text: &str, name: &str, scope: Scope) -> Result<File, Mistakes> {
    let source = Arc::new(SourceFile::new(name, text));
    let mut mistakes = Vec::new();
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let span = Span::new(span.start, span.end);
        mistakes.push(Mistake::new(&source, span, error.message().to_owned()));
    }
    let mut file = File {
        name: name.to_owned(),
        ..File::default()
    };
    for (key, value) in table.get_ref() {
        let span = key.span();
        let span = Span::new(span.start, span.end);
        let at = |message: String| Mistake::new(&source, span, message);
        let table = match (key.get_ref().as_ref(), scope) {
            (REGISTRIES, _) => Some(&mut file.registries),
            (OVERRIDE, Scope::Project) => Some(&mut file.overrides),
            (OVERRIDE, Scope::User) => {
                mistakes.push(
                    at(format!("`{OVERRIDE}` is for one project"))
                        .help("put it into the darkroom.toml beside the template"),
                );
                continue;
            }
            _ => None,
        };
        if let Some(table) = table {
            match texts(value.get_ref()) {
                Some(texts) => *table = texts,
                None => mistakes.push(
                    at(format!("`{key}` is a table of texts", key = key.get_ref())).help(format!(
                        "write [{}] and below it lines such as \"acme\" = \"…\"",
                        key.get_ref()
                    )),
                ),
            }
            continue;
        }
        let Some(known) = KEYS.iter().find(|known| known.name == key.get_ref()) else {
            mistakes.push(unknown(key.get_ref(), scope, &at));
            continue;
        };
        if scope == Scope::Project && known.scope == Scope::User {
            mistakes.push(
                at(format!("`{}` can't be set for one project", known.name))
                    .help("it is about this machine: put it into ~/.config/darkroom/config.toml"),
            );
            continue;
        }
        let span = value.span();
        let span = Span::new(span.start, span.end);
        match checked(known, value.get_ref().as_str()) {
            Ok(text) => file.entries.push(Entry {
                key: known.key,
                text,
                line: source.line_column(span.start).0,
            }),
            Err((message, help)) => {
                mistakes.push(Mistake::new(&source, span, message).help(help));
            }
        }
    }
    mistakes.sort_by_key(|mistake| mistake.span.start);
    Mistakes::none_or(mistakes, file)
}

/// A table whose values are all texts.
fn texts(value: &DeValue<'_>) -> Option<Vec<(String, String)>> {
    let DeValue::Table(table) = value else {
        return None;
    };
    let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    table
        .iter()
        .map(|(key, value)| Some((key.get_ref().to_string(), text(value.get_ref())?)))
        .collect()
}

fn unknown(key: &str, scope: Scope, at: &dyn Fn(String) -> Mistake) -> Mistake {
    let names = KEYS
        .iter()
        .filter(|known| scope == Scope::User || known.scope == Scope::Project)
        .map(|known| known.name);
    let help = match nearest(key, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", names.collect::<Vec<_>>().join(", ")),
    };
    at(format!("`{key}` is no setting")).help(help)
}

fn checked(known: &Known, text: Option<&str>) -> Result<String, (String, String)> {
    let Some(text) = text else {
        let message = format!("`{}` is a text", known.name);
        return Err((message, format!("write it in quotes: {} = '…'", known.name)));
    };
    wrong_word(known, text).map_or_else(
        || Ok(text.to_owned()),
        |help| Err((format!("`{text}` is not {}", known.noun), help)),
    )
}

/// What to say instead of `word`, if the setting can't be that.
pub(super) fn wrong_word(known: &Known, word: &str) -> Option<String> {
    if known.values.is_empty() || known.values.contains(&word) {
        return None;
    }
    Some(match nearest(word, known.values.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}", known.values.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str, scope: Scope) -> String {
        let mistakes = understand(text, "darkroom.toml", scope).unwrap_err();
        let lines = mistakes.0.iter().map(|mistake| {
            let help = mistake.help.as_deref().unwrap_or("");
            format!("{mistake} [{help}]\n")
        });
        lines.collect()
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_line() {
        let text = "# ours\non = 'aliyum'\nregoin = 'cn-beijing'\naccount = 7\ndriver = 'sim'\n\
                    [table]\nx = 1\n";
        insta::assert_snapshot!(wrong(text, Scope::Project));
        insta::assert_snapshot!(wrong("driver = 'smi'\n", Scope::User));
        insta::assert_snapshot!(wrong("on = \nregion = 'a'\n", Scope::User));
    }

    #[test]
    fn registries_are_for_both_files_and_overrides_for_the_project() {
        let text = "[registries]\nacme = 'ghcr.io/acme'\n[override]\n'acme:web' = './web.wasm'\n";
        let file = understand(text, "darkroom.toml", Scope::Project).unwrap();
        assert_eq!(file.registries, [("acme".into(), "ghcr.io/acme".into())]);
        assert_eq!(file.overrides, [("acme:web".into(), "./web.wasm".into())]);
        assert!(wrong(text, Scope::User).contains("`override` is for one project"));
        let other = "registries = 'ghcr.io'\n[override]\nx = 1\n";
        assert_eq!(wrong(other, Scope::Project).lines().count(), 2);
    }

    #[test]
    fn lines_are_remembered() {
        let text = "\non = 'aliyun'\nregion = 'cn-beijing'\n";
        let file = understand(text, "darkroom.toml", Scope::Project).unwrap();
        let lines: Vec<_> = file
            .entries
            .iter()
            .map(|entry| (entry.key, entry.text.as_str(), entry.line))
            .collect();
        assert_eq!(
            lines,
            [(Key::On, "aliyun", 2), (Key::Region, "cn-beijing", 3)]
        );
    }
}
