//! `darkroom completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{self, Exit};
use crate::terminal::Terminal;

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    darkroom completions bash > /etc/bash_completion.d/darkroom")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Exit {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "darkroom", &mut script);
        Terminal::raw(&script);
        exit::DONE
    }
}
