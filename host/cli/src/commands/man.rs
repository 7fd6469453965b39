//! `darkroom man`: manual pages.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Write the manual pages, or print the first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom man | man -l -\n  \
    darkroom man --to /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each verb and topic into this folder
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// The pages can't be written.
#[derive(Debug, thiserror::Error)]
#[error("the manual pages can't be written to {folder}")]
struct ManError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// The command line with its topics (exit codes, settings, shapes of JSON), which are
/// pages of the manual, too.
fn command() -> clap::Command {
    Cli::command().mut_subcommands(|verb| verb.hide(false))
}

impl Man {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result<Exit, Failure> {
        let Some(folder) = &self.to else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command())
                .render(&mut page)
                .map_err(Failure::internal)?;
            Terminal::raw(&page);
            return Ok(exit::DONE);
        };
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command(), folder))
            .map_err(|source| {
                Failure::user(ManError {
                    folder: folder.clone(),
                    source,
                })
            })?;
        terminal.note(format!("wrote the manual pages to {}", folder.display()));
        Ok(exit::DONE)
    }
}
