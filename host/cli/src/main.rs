//! `darkroom`: the command line. It parses, runs one verb, renders what went wrong
//! and exits; everything else is in the modules. Only `terminal` prints.

mod access;
mod args;
mod commands;
mod component;
mod component_folder;
mod exit;
mod failure;
mod interrupts;
mod local_admin;
mod local_cloud;
mod roots;
mod settings;
mod template_file;
mod terminal;
mod workshop;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let terminal = terminal::Terminal::new(&cli.global);
    match commands::run(cli, &terminal) {
        Ok(code) => code.into(),
        Err(failure) => {
            terminal.failure(&failure);
            failure.kind.exit().into()
        }
    }
}
