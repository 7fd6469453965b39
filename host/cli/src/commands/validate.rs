//! `darkroom validate`: every mistake in a template and its components' arguments. No
//! cloud is asked and no component is called; packages that it uses are pulled.

use clap::Args;
use serde_json::json;

use super::build::check;
use crate::allowed;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::Pinned;
use crate::project::Project;
use crate::terminal::Terminal;

/// Check a template and report every mistake at once
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom validate image.yaml -p greeting=hello\n  \
    darkroom validate images/web --json")]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pinned: Pinned,
}

impl Validate {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let project = Project::open(self.template, &self.place).await?;
        let request = project.request(self.pinned);
        let checked = check(&project.engine, &request, terminal).await?;
        checked.pin(&project.lock.lock, self.pinned.pinning())?;
        allowed::show(&checked, terminal);
        let region = &checked.resolved().region;
        let cloud = project.settings.cloud;
        let components = checked.digests();
        let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
        terminal.json(&json!({
            "valid": true,
            "template": checked.name(),
            "cloud": cloud,
            "region": region,
            "components": components,
            "warnings": warnings,
        }));
        terminal.line(format!(
            "{} is valid: {} on {cloud} {region}, {} components",
            project.file.name,
            checked.name(),
            components.len()
        ));
        Ok(exit::DONE)
    }
}
