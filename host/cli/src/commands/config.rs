//! `darkroom config show`: what each setting is, and who says so.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::Where;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::places::template_file::folder_of;
use crate::settings::{Config as Layers, KEYS, Key, Known, Origin, Value};
use crate::terminal::{Table, Terminal};

/// Show settings and where they come from
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  darkroom config show")]
pub(crate) struct Config {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Subcommand, Debug)]
enum ConfigVerb {
    Show(Show),
}

/// Show what each setting is, and whether a flag, the environment or a file says so
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom config show\n  \
    darkroom config show --for images/web/image.yaml\n  \
    DARKROOM_ON=aliyun darkroom config show --json\n\n\
    `darkroom help configuration` says what each is for.")]
struct Show {
    #[command(flatten)]
    place: Where,
    /// The template whose project's file counts; else that of the current folder
    #[arg(long = "for", value_name = "TEMPLATE", default_value = ".")]
    template: PathBuf,
}

impl Config {
    pub(crate) fn run(
        &self,
        terminal: &Terminal,
        global: &[(Key, Option<String>)],
    ) -> Result<Exit, Failure> {
        let ConfigVerb::Show(show) = &self.verb;
        show.run(terminal, global)
    }
}

impl Show {
    fn run(&self, terminal: &Terminal, global: &[(Key, Option<String>)]) -> Result<Exit, Failure> {
        let layers = Layers::load(&folder_of(&self.template))?;
        let mut table = Table::new(&["SETTING", "VALUE", "SAID BY"]);
        for known in KEYS {
            let flag = match known.key {
                Key::On => self.place.on.as_deref(),
                Key::Region => self.place.region.as_deref(),
                Key::Account => self.place.account.as_deref(),
                key => global
                    .iter()
                    .find(|(said, _)| *said == key)
                    .and_then(|(_, word)| word.as_deref()),
            };
            let value = layers.find(known.key, flag)?;
            let value = value.unwrap_or_else(|| Value {
                text: default(known),
                origin: Origin::Default,
            });
            let (file, line) = match &value.origin {
                Origin::Project { file, line } | Origin::User { file, line } => {
                    (Some(file), Some(line))
                }
                _ => (None, None),
            };
            terminal.json(&json!({
                "setting": known.name,
                "value": value.text,
                "origin": value.origin.word(),
                "file": file,
                "line": line,
            }));
            table.row([known.name, &value.text, &value.origin.to_string()]);
        }
        for line in table.lines() {
            terminal.line(line);
        }
        Ok(exit::DONE)
    }
}

/// What is so when nobody says anything: the folder, where it can be found.
fn default(known: &Known) -> String {
    let shown = |path: &Path| path.display().to_string();
    let roots = Roots::of_process().ok();
    let found = match known.key {
        Key::State => roots.map(|roots| shown(&roots.state)),
        Key::Local => roots.map(|roots| shown(&roots.local)),
        Key::Cache => roots.map(|roots| shown(&roots.cache)),
        Key::Components => Shipped::Components.find().ok().map(|path| shown(&path)),
        Key::Examples => Shipped::Examples.find().ok().map(|path| shown(&path)),
        _ => None,
    };
    found.unwrap_or_else(|| known.default.to_owned())
}
