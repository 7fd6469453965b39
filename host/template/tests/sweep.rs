//! Every template of `tests/faulty` with what people read about it, every one of
//! `tests/good` without a mistake.
//!
//! A faulty template `NN-name.yaml` stands beside `NN-name.txt`, its mistakes as the
//! command line draws them. `DARKROOM_BLESS=1 cargo test -p darkroom-template --test
//! sweep` writes them anew; read the difference before you commit it. Lines `# given:
//! name=value` at its top are parameters as given with `-p`, `# on: aliyun` is the cloud.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use darkroom_template::{Cloud, Mistake, Mistakes, ResolveWith, Severity, parse};

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The value of each line `# key: value` at the top of a file.
fn said<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines()
        .map_while(|line| line.strip_prefix("# "))
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        .collect()
}

fn mistakes(text: &str, file: &str) -> Option<Mistakes> {
    let given: Vec<_> = said(text, "given")
        .iter()
        .map(|given| given.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let cloud = said(text, "on")
        .first()
        .map_or(Cloud::Local, |cloud| cloud.parse().unwrap());
    let with = ResolveWith {
        cloud,
        parameters: &given,
        region: None,
    };
    parse(text, file)
        .and_then(|template| template.cells(with).map(drop))
        .err()
}

fn drawn(mistakes: &Mistakes) -> String {
    let theme = miette::GraphicalTheme::unicode_nocolor();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut text = String::new();
    for mistake in &mistakes.0 {
        handler.render_report(&mut text, mistake).unwrap();
    }
    text
}

/// A message without what it quotes: two templates of one kind of mistake have the same.
fn kind(mistake: &Mistake) -> String {
    mistake
        .message
        .split('`')
        .step_by(2)
        .collect::<Vec<_>>()
        .join("…")
}

#[test]
fn faulty_templates() {
    let bless = std::env::var_os("DARKROOM_BLESS").is_some();
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let templates = files("faulty", "yaml");
    for path in &templates {
        let (file, text) = (name(path), std::fs::read_to_string(path).unwrap());
        let mistakes = mistakes(&text, &file).unwrap_or_else(|| panic!("{file} has no mistake"));
        for mistake in &mistakes.0 {
            assert_eq!(mistake.severity, Severity::Error);
            if mistake.help.as_ref().is_none_or(String::is_empty) {
                wrong.push(format!("{mistake}: it doesn't say what to write instead"));
            }
            let lines = text.lines().count().max(1);
            assert!(
                (1..=lines + 1).contains(&mistake.line) && mistake.column > 0,
                "{mistake}"
            );
            kinds.entry(kind(mistake)).or_default().push(file.clone());
        }
        let golden = path.with_extension("txt");
        let drawn = drawn(&mistakes);
        if bless {
            std::fs::write(&golden, &drawn).unwrap();
        } else if std::fs::read_to_string(&golden).ok().as_deref() != Some(&drawn) {
            wrong.push(format!("{file} now gives:\n{drawn}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stems = |files: &[PathBuf]| -> Vec<_> {
        files.iter().map(|path| path.with_extension("")).collect()
    };
    assert_eq!(stems(&files("faulty", "txt")), stems(&templates));
    assert!(kinds.len() >= 40, "{} kinds: {kinds:#?}", kinds.len());
}

#[test]
fn good_templates() {
    for path in files("good", "yaml") {
        let (file, text) = (name(&path), std::fs::read_to_string(&path).unwrap());
        let template = parse(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        let mut resolved = 0;
        for cloud in [Cloud::Local, Cloud::Aliyun] {
            let with = ResolveWith {
                cloud,
                parameters: &[],
                region: None,
            };
            match template.cells(with) {
                Ok(_) => resolved += 1,
                Err(error) => assert!(error.to_string().contains("names no source"), "{error}"),
            }
        }
        assert!(resolved > 0, "{file}");
    }
}
