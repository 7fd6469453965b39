//! `darkroom component build|check|inspect`: components for those who write them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use darkroom_runtime::pack::Check as Comparison;

use crate::component::{self, BuildError, Built, InspectError, Inspection, Output, Request, Tools};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::terminal::{Table, Terminal};

/// Make, check and show components
#[derive(Args, Debug)]
pub(crate) struct Component {
    #[command(subcommand)]
    verb: ComponentVerb,
}

#[derive(Subcommand, Debug)]
enum ComponentVerb {
    Build(Build),
    Check(Check),
    Inspect(Inspect),
}

/// Compile a Rust crate, or a workspace of crates, into components
///
/// The WebAssembly target is added where it is missing. Files in the crate's folder
/// `assets` become part of the component. What has not changed is not made again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component build ./greeting\n  \
    darkroom component build components --out-dir target/components")]
struct Build {
    /// The folder of the crate or workspace
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The file of the component; by default NAME.wasm beside the crate's Cargo.toml
    #[arg(long, short, value_name = "FILE", conflicts_with = "out_dir")]
    out: Option<PathBuf>,
    /// The folder of the components; by default `target/components` of a workspace
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    /// Cargo's folder for what it compiles; by default its own choice
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
}

/// Compare a component's description with what its code answers
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  darkroom component check ./greeting/greeting.wasm")]
struct Check {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Show a component's roles, parameters and assets; its code is not run
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component inspect ./greeting/greeting.wasm\n  \
    darkroom component inspect target/components/packages.wasm --json")]
struct Inspect {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Component {
    /// Runs the verb. It blocks.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ComponentVerb::Build(build) => build.run(terminal),
            ComponentVerb::Check(check) => check.run(terminal),
            ComponentVerb::Inspect(inspect) => inspect.run(terminal),
        }
    }
}

impl Build {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let output = match (self.out, self.out_dir) {
            (Some(file), _) => Output::File(file),
            (None, Some(folder)) => Output::Folder(folder),
            (None, None) => Output::Beside,
        };
        let request = Request {
            folder: self.path,
            output,
            target_dir: self.target_dir,
        };
        // Cargo's last line says nothing that ours don't.
        let progress = |line: &str| {
            if !line.trim_start().starts_with("Finished ") {
                terminal.note(line);
            }
        };
        let built = component::build(&request, &Tools::from_environment(), &progress)
            .map_err(|error| build_failure(error, terminal.is_json()))?;
        for one in &built {
            terminal.json(&as_json(one));
            let state = if one.fresh { "  unchanged" } else { "" };
            let size = size(one.bytes);
            terminal.line(format!(
                "{:<12} {size:>9}  {}{state}",
                one.name,
                one.file.display()
            ));
        }
        Ok(exit::DONE)
    }
}

fn as_json(built: &Built) -> serde_json::Value {
    serde_json::json!({
        "component": built.name,
        "file": built.file,
        "bytes": built.bytes,
        "digest": built.digest,
        "fresh": built.fresh,
    })
}

fn build_failure(error: BuildError, json: bool) -> Failure {
    let hint = error.hint();
    let kind = if error.is_setup() {
        Kind::Config
    } else {
        Kind::Component
    };
    let failure = match error {
        // The compiler's words have gone by already.
        error if error.is_compiler() && !json => Failure::new(kind, "cargo could not compile it"),
        error => Failure::new(kind, error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl Check {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let file = self.file.display();
        match component::check(&self.file).map_err(inspect_failure)? {
            Comparison::Same => {
                terminal.json(&serde_json::json!({ "file": self.file, "same": true }));
                terminal.line(format!("{file}: the description is what its code answers"));
                Ok(exit::DONE)
            }
            Comparison::Differs { section, answer } => Err(Failure::new(
                Kind::Component,
                format!(
                    "{file}: the description is not what its code answers\n  in the file: {section}\n  \
                     its code:    {answer}"
                ),
            )
            .hint("build it again with `darkroom component build`, and don't use it before")),
        }
    }
}

impl Inspect {
    fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let seen = component::inspect(&self.file).map_err(inspect_failure)?;
        if terminal.is_json() {
            terminal.json(&seen);
        } else {
            show(&seen, terminal);
        }
        Ok(exit::DONE)
    }
}

fn inspect_failure(error: InspectError) -> Failure {
    let hint = error.hint();
    let failure = match error {
        InspectError::Read { .. } => Failure::user(error),
        InspectError::Runtime(_) => Failure::config(error),
        InspectError::Load(_) | InspectError::Pack(_) => Failure::new(Kind::Component, error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn show(seen: &Inspection, terminal: &Terminal) {
    let name = match (&seen.package, &seen.version) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        _ => seen.file.display().to_string(),
    };
    let roles: Vec<_> = seen.roles.iter().map(|role| role.name()).collect();
    terminal.line(format!("{name}: {}", seen.summary));
    terminal.line(format!("roles     {}", roles.join(", ")));
    if !seen.families.is_empty() {
        terminal.line(format!("for       {}", seen.families.join(", ")));
    }
    let facts = [
        (
            seen.volatile,
            "volatile: its result depends on more than its arguments",
        ),
        (seen.internet, "internet: the machine must reach it"),
    ];
    for (_, fact) in facts.iter().filter(|(holds, _)| *holds) {
        terminal.line(format!("needs     {fact}"));
    }
    terminal.line(format!(
        "digest    sha256:{}",
        seen.digest.trim_start_matches("sha256:")
    ));
    terminal.line(format!("size      {}", size(seen.bytes)));
    let lines = seen.parameter_lines();
    if !lines.is_empty() {
        let mut table = Table::new(&["PARAMETER", "TYPE", "ABOUT", ""]);
        for line in lines {
            table.row([line.name, line.kind, line.about, line.notes]);
        }
        below(&table, terminal);
    }
    if !seen.assets.is_empty() {
        let mut table = Table::new(&["ASSET", "SIZE"]);
        for asset in &seen.assets {
            table.row([asset.name.clone(), size(asset.bytes)]);
        }
        below(&table, terminal);
    }
}

/// A table after an empty line.
fn below(table: &Table, terminal: &Terminal) {
    terminal.line("");
    for line in table.lines() {
        terminal.line(line);
    }
}

/// `61 B` or `57.3 KB`, exact enough for people.
fn size(bytes: u64) -> String {
    match bytes {
        ..1000 => format!("{bytes} B"),
        _ => format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100),
    }
}
