//! `darkroom local supervise`: one instance's supervisor, started by the server. Hidden:
//! nobody types it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::exit::{self, Exit};

/// Supervise one instance of the local cloud
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Supervise {
    /// The instance's folder
    folder: PathBuf,
}

impl Supervise {
    /// Standard output is the handshake with the server: nothing may be printed.
    pub(crate) fn run(&self) -> Exit {
        if darkroom_local::sandbox::supervise(&self.folder) == ExitCode::SUCCESS {
            exit::DONE
        } else {
            exit::INTERNAL
        }
    }
}
