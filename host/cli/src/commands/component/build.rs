//! `darkroom component build`: packages out of crates, modules and components.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use darkroom_runtime::pack::{Metadata, Strip};

use super::size;
use crate::component::{self, BuildError, Built, Output, Request, Tools};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::terminal::Terminal;

/// Make a package of a Rust crate, a workspace, or what another toolchain compiled
///
/// A crate is compiled for size (opt-level s, whole-program, aborting panics); the WebAssembly
/// target is added where it is missing. What is compiled is only stripped: optimize a file of
/// another toolchain's with its own flags before. A file, a core
/// module or a component as .wasm or .wat, is taken as it is: what has no type gets that of
/// --world, and what asks for WASI preview 1 gets an adapter in which there is nothing.
///
/// Files in the folder `assets` beside become part of it, and so does what it says of itself:
/// a crate's in its Cargo.toml (`[package.metadata.darkroom] name = "acme:web"`), another's in
/// a `component.toml` beside the file (name, version, licence, authors, description, source,
/// homepage, world). Beside the package, FILE.sbom.json lists what is in it and
/// FILE.provenance.json says how it was built. The same input gives the same bytes; a crate
/// that has not changed is not made again.
#[derive(Args, Debug)]
#[command(
    disable_version_flag = true,
    after_help = "Examples:\n  \
    darkroom component build ./greeting --namespace acme\n  \
    darkroom component build components --out-dir target/components\n  \
    darkroom component build web.wasm --world builder-only --name acme:web --version 1.0.0\n  \
    darkroom component build dist/web.component.wasm -o acme-web.wasm"
)]
pub(super) struct Build {
    /// The folder of a crate or workspace, or a .wasm or .wat file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// The file of the component; by default NAME.wasm beside the crate's Cargo.toml,
    /// NAME.component.wasm beside NAME.wasm, NAME.wasm beside NAME.wat
    #[arg(long, short, value_name = "FILE", conflicts_with = "out_dir")]
    out: Option<PathBuf>,
    /// The folder of the components; by default `target/components` of a workspace
    #[arg(long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,
    /// Cargo's folder for what it compiles; by default its own choice
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
    /// The world of a module without a type: builder-only, tester-only, repairer-only,
    /// builder-with-tester or all-roles
    #[arg(long, value_name = "WORLD")]
    world: Option<String>,
    /// What translates WASI preview 1, in place of the adapter in which there is nothing
    #[arg(long, value_name = "FILE")]
    adapt: Option<PathBuf>,
    /// The folder of the files that ship with it; by default `assets` beside
    #[arg(long, value_name = "FOLDER")]
    assets: Option<PathBuf>,
    /// The namespace of crates that don't name their own
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The package's name, NAMESPACE:NAME
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The package's semantic version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Its licence, an SPDX expression
    #[arg(long, visible_alias = "license", value_name = "SPDX")]
    licence: Option<String>,
    /// Who made it
    #[arg(long, value_name = "TEXT")]
    authors: Option<String>,
    /// What it is; by default what it says itself
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The address of its source code
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// The address of more about it
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// What is left out
    #[arg(long, value_name = "WHAT", value_enum, default_value = "debug")]
    strip: What,
    /// Write neither SBOM nor build statement
    #[arg(long)]
    no_attest: bool,
    /// The one time that SBOM and statement may hold, in seconds since 1970
    #[arg(long, env = "SOURCE_DATE_EPOCH", hide = true)]
    epoch: Option<i64>,
}

/// What is left out of a package.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Nothing
    Nothing,
    /// Debug information
    Debug,
    /// The names of functions too, so that an error names places by number
    Names,
}

impl Build {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let request = self.request();
        // Cargo's last line says nothing that ours don't.
        let progress = |line: &str| {
            if !line.trim_start().starts_with("Finished ") {
                terminal.note(line);
            }
        };
        let built = component::build(&request, &Tools::from_environment(), &progress)
            .map_err(|error| failure(error, terminal.is_json()))?;
        for one in &built {
            terminal.json(&as_json(one));
            show(one, terminal);
        }
        Ok(exit::DONE)
    }

    fn request(self) -> Request {
        Request {
            path: self.path,
            output: match (self.out, self.out_dir) {
                (Some(file), _) => Output::File(file),
                (None, Some(folder)) => Output::Folder(folder),
                (None, None) => Output::Beside,
            },
            target_dir: self.target_dir,
            says: Metadata {
                name: self.name,
                version: self.version,
                licence: self.licence,
                authors: self.authors,
                description: self.description,
                source: self.source,
                homepage: self.homepage,
                ..Metadata::default()
            },
            namespace: self.namespace,
            world: self.world,
            adapter: self.adapt,
            assets: self.assets,
            strip: match self.strip {
                What::Nothing => Strip::Nothing,
                What::Debug => Strip::Debug,
                What::Names => Strip::Names,
            },
            attest: !self.no_attest,
            epoch: self.epoch,
        }
    }
}

/// Two lines: what came of it, and of how much.
fn show(built: &Built, terminal: &Terminal) {
    let says = &built.says;
    let name = says.name.as_deref().unwrap_or(&built.name);
    let version = says.version.as_ref();
    let version = version.map_or(String::new(), |version| format!("@{version}"));
    let state = if built.fresh { "  unchanged" } else { "" };
    terminal.line(format!("{name}{version}  {}{state}", built.file.display()));
    terminal.line(format!(
        "  {} packed of {}  sha256:{}",
        size(built.bytes),
        size(built.before),
        built.digest
    ));
}

fn as_json(built: &Built) -> serde_json::Value {
    serde_json::json!({
        "component": built.name,
        "file": built.file,
        "bytes": built.bytes,
        "digest": built.digest,
        "fresh": built.fresh,
        "before": built.before,
        "metadata": built.says,
    })
}

fn failure(error: BuildError, json: bool) -> Failure {
    let hint = error.hint();
    let kind = if error.is_setup() {
        Kind::Config
    } else if error.is_usage() {
        Kind::User
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
