//! `darkroom schema`: the JSON Schema of templates, for editors.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use darkroom_contract::Description;
use darkroom_registry::resolve::Mode;
use darkroom_runtime::pack::read_sections;
use darkroom_template::{UsesRef, draft, schema_with};
use serde_json::Value;

use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Request};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;

/// Print the JSON Schema of templates, with the arguments of components
///
/// The arguments of the system components have their types. Those of components by path, and
/// of packages that darkroom.lock pins and the cache holds, have them if the template that
/// uses them is named. No component's code is run, and no registry is asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom schema > image.schema.json\n  \
    darkroom schema image.yaml > image.schema.json\n\n\
    An editor with the YAML language server follows this first line of a template:\n  \
    # yaml-language-server: $schema=./image.schema.json")]
pub(crate) struct Schema {
    /// A template that uses components by path, or packages
    #[arg(value_name = "TEMPLATE", value_hint = ValueHint::FilePath)]
    template: Option<PathBuf>,
}

/// A component with what it says of itself.
struct Described {
    /// As `uses` names it.
    name: String,
    version: Option<String>,
    description: Description,
}

impl Schema {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let mut all = shipped(&Shipped::Components.find()?);
        if let Some(template) = self.template {
            let file = TemplateFile::read(&template)?;
            all.extend(by_path(&file));
            all.extend(super::runtime()?.block_on(packaged(&file, template, terminal))?);
        }
        let components: Vec<_> = all
            .iter()
            .map(|one| (one.name.as_str(), one.version.as_deref(), &one.description))
            .collect();
        let mut text =
            serde_json::to_vec_pretty(&schema_with(&components)).map_err(Failure::internal)?;
        text.push(b'\n');
        Terminal::raw(&text);
        Ok(exit::DONE)
    }
}

/// The system components, by name.
fn shipped(folder: &Path) -> Vec<Described> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "wasm"))
        .filter_map(|file| {
            let name = format!("darkroom:{}", file.file_stem()?.to_str()?);
            described(name, file)
        })
        .collect()
}

/// The components that a template uses by path. A template that can't be read has none
/// here; `validate` says what is wrong with it.
fn by_path(file: &TemplateFile) -> Vec<Described> {
    let Some(draft) = draft(&file.text, &file.name) else {
        return Vec::new();
    };
    let uses = draft.build.iter().chain(&draft.test);
    uses.filter_map(|uses| match &uses.reference {
        UsesRef::Path(path) => described(path.to_str()?.to_owned(), &file.folder.join(path)),
        UsesRef::System { .. } | UsesRef::Package { .. } => None,
    })
    .collect()
}

/// The packages that a template uses, as its lock pins them, out of the cache; those that
/// can't be had are told.
async fn packaged(
    file: &TemplateFile,
    template: PathBuf,
    terminal: &Terminal,
) -> Result<Vec<Described>, Failure> {
    let config = Config::load(&file.folder)?;
    let request = Request {
        file,
        template: &TemplateArgs {
            template,
            parameters: Vec::new(),
        },
        settings: &Settings::of(&Where::default(), &config)?,
        config: &config,
        roots: &Roots::of_process()?,
        lock: &LockFile::read(&file.folder)?.lock,
        mode: Mode::Offline,
        locked: false,
        moves: None,
        cache: None,
    };
    let resolved = packages::resolve(&request, terminal).await?;
    let mut all = Vec::new();
    for (written, package) in resolved.shelf {
        match package {
            Ok(package) => all.extend(of_bytes(written, &package.bytes).map(|one| Described {
                // The name says already which versions are meant.
                version: None,
                ..one
            })),
            Err(error) => {
                terminal.note(format!("{written} has no types: {}", error.message));
                if let Some(hint) = error.hint {
                    terminal.note(format!("  hint: {hint}"));
                }
            }
        }
    }
    Ok(all)
}

fn described(name: String, file: &Path) -> Option<Described> {
    of_bytes(name, &std::fs::read(file).ok()?)
}

fn of_bytes(name: String, component: &[u8]) -> Option<Described> {
    let sections = read_sections(component).ok()?;
    let said = sections.description?;
    let version = serde_json::from_str::<Value>(&said).ok()?;
    Some(Described {
        name,
        version: version["version"].as_str().map(str::to_owned),
        description: Description::parse(&said).ok()?,
    })
}
