//! `darkroom validate`: every mistake in a template and its components' arguments. No
//! cloud is asked and no component is called; packages that it uses are pulled.

use clap::Args;
use darkroom_engine::Checked;
use serde_json::json;

use super::build::check_with;
use crate::allowed;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Pinned};
use crate::project::Project;
use crate::terminal::Terminal;

/// Check a template and report every mistake at once
///
/// Of a template with a `matrix` each cell is checked, or those that `-p matrix.NAME=VALUE`
/// chooses.
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
        let resolved = packages::resolve(&project.request(self.pinned), terminal).await?;
        for request in project.requests(self.pinned) {
            let checked = check_with(&project.engine, &request, &resolved.shelf, terminal)?;
            checked.pin(&project.lock.lock, self.pinned.pinning())?;
            allowed::show(&checked, terminal);
            tell(&checked, &project.file.name, terminal);
        }
        Ok(exit::DONE)
    }
}

/// One build that is valid.
fn tell(checked: &Checked, file: &str, terminal: &Terminal) {
    let (cloud, region) = (checked.resolved().cloud, &checked.resolved().region);
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
        "{file} is valid: {} on {cloud} {region}, {} components",
        checked.name(),
        components.len()
    ));
}
