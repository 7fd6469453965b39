//! `darkroom init`: a first template, from a few answers or from an example.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::ArgValueCandidates;
use serde_json::json;

use crate::completion;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::shipped::Shipped;
use crate::scaffold::{Answers, Example, Given, examples};
use crate::terminal::{Table, Terminal};

/// The file that is made.
const FILE: &str = "image.yaml";

/// Begin a template: answer a few questions, or copy an example
///
/// What a flag says isn't asked. Without a terminal, or with --yes, nothing is asked and
/// the rest takes its default. Nothing that is there is overwritten.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom init\n  \
    darkroom init web --source debian-12 --install nginx --yes\n  \
    darkroom init --list\n  \
    darkroom init --example web-server my-web")]
pub(crate) struct Init {
    /// The folder; by default the current one, or for an example one of its name
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Copy this example instead
    #[arg(
        long,
        value_name = "NAME",
        add = ArgValueCandidates::new(completion::examples),
        conflicts_with_all = ["name", "source", "install", "run", "internet", "family"]
    )]
    example: Option<String>,
    /// List the examples
    #[arg(long, conflicts_with_all = ["example", "folder"])]
    list: bool,
    /// The template's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A family such as `debian-12`, or an image, an instance or a snapshot by its id
    #[arg(long, value_name = "SOURCE", add = ArgValueCandidates::new(completion::families))]
    source: Option<String>,
    /// A package to install; can be given for each
    #[arg(long, value_name = "PACKAGE")]
    install: Option<Vec<String>>,
    /// A command to run; can be given for each
    #[arg(long, value_name = "COMMAND")]
    run: Vec<String>,
    /// The instance's way to the internet in Mbit/s; 0 for none
    #[arg(long, value_name = "MBIT")]
    internet: Option<u32>,
    /// The family that the tested image shall be the newest of
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Don't ask: take defaults for what isn't said
    #[arg(long, short)]
    yes: bool,
}

/// Why there is no new template.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} is there already", file.display())]
    There { file: PathBuf },
    #[error("{} can't be written", file.display())]
    Write {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Init {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        if self.list {
            return list(terminal);
        }
        if let Some(name) = &self.example {
            let example = Example::named(name, &examples(&Shipped::Examples.find()?))?;
            let folder = self.folder.unwrap_or_else(|| example.short().into());
            example.copy(&folder)?;
            return Ok(made(&folder.join(FILE), terminal));
        }
        let folder = self.folder.clone().unwrap_or_else(|| PathBuf::from("."));
        let file = folder.join(FILE);
        // Before the questions: nobody likes to answer them for nothing.
        if file.exists() {
            return Err(there(file));
        }
        let text = self.answers(&folder, terminal).await?.template(FILE)?;
        write(&file, &text)?;
        Ok(made(&file, terminal))
    }

    async fn answers(self, folder: &Path, terminal: &Terminal) -> Result<Answers, Failure> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let given = Given {
            name: self.name,
            source: self.source,
            install: self.install,
            run: self.run,
            internet: self.internet,
            family: self.family,
        };
        if self.yes || !terminal.is_interactive() {
            return Ok(Answers::without_questions(given, &name));
        }
        terminal
            .ask(move |theme| Answers::by_questions(given, &name, theme))
            .await
    }
}

fn there(file: PathBuf) -> Failure {
    Failure::user(InitError::There { file }).hint("nothing is overwritten: name another folder")
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |source: io::Error| {
        let file = file.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            return there(file);
        }
        Failure::user(InitError::Write { file, source })
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(failed)?;
    opened.write_all(text.as_bytes()).map_err(failed)
}

fn made(file: &Path, terminal: &Terminal) -> Exit {
    terminal.json(&json!({ "template": file }));
    let file = file.strip_prefix(".").unwrap_or(file).display();
    terminal.line(format!("made {file}"));
    terminal.note(format!(
        "`darkroom plan {file}` shows what it does, `darkroom build {file}` does it"
    ));
    exit::DONE
}

fn list(terminal: &Terminal) -> Result<Exit, Failure> {
    let mut table = Table::new(&["EXAMPLE", "ABOUT"]);
    for example in examples(&Shipped::Examples.find()?) {
        terminal.json(&json!({ "example": example.short(), "about": example.about }));
        table.row([example.short(), &example.about]);
    }
    for line in table.lines() {
        terminal.line(line);
    }
    Ok(exit::DONE)
}
