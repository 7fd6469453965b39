//! `darkroom update`: moves what `darkroom.lock` pins to what is there now.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde_json::json;

use super::build::check;
use crate::args::{TemplateArgs, Where, parameter};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::project::Project;
use crate::terminal::Terminal;

/// Pin the components that a template uses as they are now, in darkroom.lock
///
/// A build adds components that the lock doesn't have, and refuses one that is not what
/// the lock pins; only this moves it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom update\n  \
    darkroom update packages\n  \
    darkroom update acme:hardening\n  \
    darkroom update --template images/web --dry-run")]
pub(crate) struct Update {
    /// Move only these components, such as `packages` or `acme:hardening`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The template, or the folder of an `image.yaml`
    #[arg(long, value_name = "TEMPLATE", default_value = "image.yaml", value_hint = ValueHint::FilePath)]
    pub(crate) template: PathBuf,
    /// The value of a parameter; can be given for each
    #[arg(short = 'p', long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    place: Where,
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
}

impl Update {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let template = TemplateArgs {
            template: self.template,
            parameters: self.parameters,
        };
        let project = Project::open(template, &self.place).await?;
        let names: Vec<_> = self.names.iter().map(|name| full(name)).collect();
        let request = project.moving(&names);
        let checked = check(&project.engine, &request, terminal).await?;
        let before = &project.lock;
        let update = before
            .lock
            .update(&checked.used(), &names)
            .map_err(|error| {
                let near = error.nearest.clone();
                let failure = Failure::user(error);
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                hint.into_iter().fold(failure, Failure::hint)
            })?;
        if !self.dry_run {
            before.write(&update.lock)?;
        }
        let changes: Vec<_> = update.changes.iter().map(ToString::to_string).collect();
        terminal.json(&json!({ "changes": changes, "written": !self.dry_run }));
        for change in &changes {
            terminal.line(change);
        }
        if changes.is_empty() {
            terminal.note("everything is as the lock says");
        }
        Ok(exit::DONE)
    }
}

/// `packages` is short for `darkroom:packages`.
fn full(name: &str) -> String {
    if name.contains(':') {
        name.to_owned()
    } else {
        format!("darkroom:{name}")
    }
}
