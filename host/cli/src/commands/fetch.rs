//! `darkroom fetch`: the packages of a template into the cache, before a build without a
//! network.

use clap::Args;
use serde_json::json;

use super::build::check_with;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Pinned};
use crate::project::Project;
use crate::terminal::Terminal;

/// Pull the packages that a template uses into the cache, and pin them in darkroom.lock
///
/// Afterwards `darkroom build --offline` needs no registry. Nothing is pinned anew that the
/// lock pins already.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom fetch\n  \
    darkroom fetch images/web --locked")]
pub(crate) struct Fetch {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pinned: Pinned,
}

impl Fetch {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let project = Project::open(self.template, &self.place).await?;
        let request = project.request(self.pinned);
        let resolved = packages::resolve(&request, terminal).await?;
        let checked = check_with(&project.engine, &request, &resolved.shelf, terminal)?;
        let before = &project.lock;
        before.write(&checked.pin(&before.lock, self.pinned.pinning())?)?;
        for package in &resolved.taken {
            let signer = package.signer.as_ref();
            terminal.json(&json!({
                "package": package.name,
                "version": package.version.to_string(),
                "registry": package.located.to_string(),
                "digest": package.digest,
                "signer": signer.map(|signer| signer.id.to_string()),
                "pulled": package.pulled,
            }));
            let state = if package.pulled {
                "pulled"
            } else {
                "in the cache"
            };
            terminal.line(format!("{}@{}  {state}", package.name, package.version));
        }
        if resolved.taken.is_empty() {
            terminal.note("the template uses no packages of registries");
        }
        Ok(exit::DONE)
    }
}
