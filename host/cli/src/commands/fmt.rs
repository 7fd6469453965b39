//! `darkroom fmt`: templates in the one layout.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use darkroom_template::format;
use serde_json::json;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::replace::replace;
use crate::places::template_file::file_of;
use crate::terminal::Terminal;

/// Write templates in the one layout; comments and the order of keys stay
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom fmt\n  \
    darkroom fmt --check images/*/image.yaml\n  \
    darkroom fmt - < image.yaml\n\n\
    With --check nothing is written, and the exit code is 2 when a file would change.")]
pub(crate) struct Fmt {
    /// The templates, or folders of an `image.yaml`; `-` for standard input
    #[arg(value_name = "FILE", default_value = "image.yaml", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// Write nothing; say what would change
    #[arg(long)]
    check: bool,
}

/// Why a template wasn't formatted.
#[derive(Debug, thiserror::Error)]
enum FmtError {
    #[error("can't {act} {}", file.display())]
    Io {
        act: &'static str,
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} not in the one layout: {}", if files.len() == 1 { "a template is" } else { "templates are" }, files.join(", "))]
    WouldChange { files: Vec<String> },
}

impl Fmt {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<Exit, Failure> {
        let mut would_change = Vec::new();
        for given in &self.files {
            let (name, changed) = if given.as_os_str() == "-" {
                ("(standard input)".to_owned(), self.stream(terminal)?)
            } else {
                let file = file_of(given);
                (file.display().to_string(), self.file(&file)?)
            };
            terminal.json(&json!({ "file": name, "changed": changed }));
            if changed && self.check {
                would_change.push(name);
            } else if changed && given.as_os_str() != "-" {
                terminal.note(format!("formatted {name}"));
            }
        }
        if would_change.is_empty() {
            return Ok(exit::DONE);
        }
        let files = would_change.join(" ");
        Err(Failure::user(FmtError::WouldChange {
            files: would_change,
        })
        .hint(format!("`darkroom fmt {files}` writes it so")))
    }

    fn stream(&self, terminal: &Terminal) -> Result<bool, Failure> {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(Failure::user)?;
        let formatted = format(&text, "(standard input)")?;
        if !self.check && !terminal.is_json() {
            Terminal::raw(formatted.as_bytes());
        }
        Ok(formatted != text)
    }

    fn file(&self, file: &Path) -> Result<bool, Failure> {
        let failed = |act| {
            let file = file.to_owned();
            move |source| Failure::user(FmtError::Io { act, file, source })
        };
        let text = fs::read_to_string(file).map_err(failed("read"))?;
        let formatted = format(&text, &file.display().to_string())?;
        let changed = formatted != text;
        if changed && !self.check {
            replace(file, formatted.as_bytes()).map_err(failed("write"))?;
        }
        Ok(changed)
    }
}
