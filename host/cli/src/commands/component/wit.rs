//! `darkroom component wit`: the contract of this program, for generators of bindings and
//! for registries.

use std::path::PathBuf;

use clap::Args;
use darkroom_runtime::pack;

use crate::component::{self, FileError};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::terminal::Terminal;

/// The file in the folder.
const FILE: &str = "component.wit";

/// Write the contract that components are built against
///
/// A folder that wit-bindgen, componentize-py, componentize-js and jco take as it is; the
/// contract needs no other package, so that there is no `deps`. For a world of your own that
/// includes one of the contract's, let the folder be `wit/deps/darkroom-component-0.1.0`. With
/// --wasm one file, the same as a package for registries, which `wkg publish` publishes and
/// `wkg get darkroom:component@0.1.0` fetches.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component wit -o wit\n  \
    wit-bindgen c wit --world builder-only\n  \
    componentize-py -d wit -w tester-only componentize app -o app.wasm\n  \
    darkroom component wit --wasm -o darkroom-component.wasm")]
pub(super) struct Wit {
    /// The folder, or with --wasm the file
    #[arg(long, short, value_name = "PATH")]
    out: PathBuf,
    /// Write one file in WebAssembly's binary form
    #[arg(long)]
    wasm: bool,
}

impl Wit {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let (file, bytes) = if self.wasm {
            let bytes = pack::wit_package().map_err(Failure::internal)?;
            (self.out, bytes)
        } else {
            (self.out.join(FILE), pack::WIT.as_bytes().to_vec())
        };
        component::write(&file, &bytes).map_err(unwritten)?;
        terminal.json(&serde_json::json!({
            "package": pack::CONTRACT_PACKAGE,
            "file": file,
            "bytes": bytes.len(),
        }));
        terminal.line(format!("{}  {}", pack::CONTRACT_PACKAGE, file.display()));
        Ok(exit::DONE)
    }
}

fn unwritten(error: FileError) -> Failure {
    Failure::new(Kind::Config, error).hint("name another place with -o")
}
