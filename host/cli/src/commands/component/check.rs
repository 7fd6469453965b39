//! `darkroom component check`: all that is wrong with a component.

use std::path::PathBuf;

use clap::Args;
use darkroom_runtime::examine::Level;

use super::inspect_failure;
use crate::component;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;
use crate::workshop;

/// Tell all that is wrong with a component, at once
///
/// Whether it is a component of the contract: its roles, the types of its functions, what it
/// imports that no host has, its description and schema, its size, what it says of itself, its
/// assets; and where nothing is wrong, whether its code still answers what its description
/// says. Advice, such as a missing licence, is no fault. The exit code is 2 where something is
/// wrong.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component check ./greeting/greeting.wasm\n  \
    darkroom component check web.wasm --json")]
pub(super) struct Check {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Check {
    pub(super) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let file = self.file.display();
        // A machine without folders of its own can check as well, only slower.
        let cache = Roots::of_process()
            .and_then(|roots| workshop::compiled(&roots))
            .ok();
        let examined = component::check(&self.file, cache).map_err(inspect_failure)?;
        terminal.json(&examined);
        for finding in &examined.findings {
            let level = match finding.level {
                Level::Wrong => "wrong",
                Level::Advice => "advice",
            };
            let topic = finding.topic.word();
            terminal.line(format!("{level}: {topic}: {}", finding.message));
            if let Some(hint) = &finding.hint {
                terminal.line(format!("  hint: {hint}"));
            }
        }
        if examined.same {
            terminal.line(format!(
                "{file}: nothing is wrong; the description is what its code answers"
            ));
            return Ok(exit::DONE);
        }
        let wrong = examined
            .findings
            .iter()
            .filter(|finding| finding.level == Level::Wrong);
        let count = wrong.count();
        let things = if count == 1 { "thing is" } else { "things are" };
        terminal.line(format!("{file}: {count} {things} wrong"));
        Ok(exit::USER)
    }
}
