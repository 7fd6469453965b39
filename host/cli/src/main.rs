//! `darkroom`: the command line. It parses, runs one verb, renders what went wrong
//! and exits; everything else is in the modules. Only `terminal` prints.

mod allowed;
mod args;
mod cells;
mod cloud;
mod commands;
mod completion;
mod component;
mod doctor;
mod driving;
mod exit;
mod failure;
mod packages;
mod places;
mod planned;
mod project;
mod scaffold;
mod secrets;
mod settings;
mod shell;
mod terminal;
mod workshop;

use std::process::ExitCode;

use clap::Parser;
use terminal::Terminal;

fn main() -> ExitCode {
    if completion::answered() {
        return exit::DONE.into();
    }
    let cli = args::Cli::parse();
    let mut terminal = Terminal::of(&cli.global);
    match commands::start(cli, &mut terminal) {
        Ok(code) => code.into(),
        Err(failure) => {
            terminal.failure(&failure);
            failure.kind.exit().into()
        }
    }
}
