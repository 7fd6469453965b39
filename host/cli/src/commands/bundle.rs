//! `darkroom bundle`: a template with all that a build of it needs, in one file.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use darkroom_engine::Needed;
use serde_json::json;

use super::build::check_with;
use super::component::size;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Bundle as Contents, Pinned};
use crate::project::Project;
use crate::terminal::Terminal;

/// Put a template and all that its build needs into one file
///
/// It is for places without a network: the template, what it copies, its lock, and the
/// packages with their signatures are in it; the same input gives the same bytes.
/// `darkroom build FILE` builds from it alone, and judges the packages by its own
/// trust.yaml. Secrets are not in it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom bundle image.yaml -o web.tar\n  \
    darkroom build web.tar")]
pub(crate) struct Bundle {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pinned: Pinned,
    /// The file of the bundle
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
}

/// A file that nothing pins stands for a package.
#[derive(Debug, thiserror::Error)]
#[error("a bundle holds packages, and {name} is {path} here")]
struct Unpinned {
    name: String,
    path: String,
}

impl Bundle {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let project = Project::open(self.template, &self.place).await?;
        let request = project.request(self.pinned);
        let resolved = packages::resolve(&request, terminal).await?;
        if let Some((name, path)) = resolved.over.first() {
            let (name, path) = (name.clone(), path.clone());
            let hint = format!("remove `\"{name}\" = \"{path}\"` from [override] in darkroom.toml");
            return Err(Failure::user(Unpinned { name, path }).hint(hint));
        }
        let before = &project.lock;
        let mut lock = before.lock.clone();
        let mut files: Vec<Needed> = Vec::new();
        for request in project.requests(self.pinned) {
            let checked = check_with(&project.engine, &request, &resolved.shelf, terminal)?;
            lock = checked.pin(&lock, self.pinned.pinning())?;
            for needed in checked.needed() {
                if !files.contains(&needed) {
                    files.push(needed);
                }
            }
        }
        before.write(&lock)?;
        let bundle = Contents {
            template: &project.file.text,
            lock: &lock,
            files,
            packages: &resolved.taken,
        };
        let bytes = bundle.write(&self.out)?;
        let count = resolved.taken.len();
        terminal.json(&json!({ "file": self.out, "bytes": bytes, "packages": count }));
        terminal.line(format!(
            "{}  {}, {count} packages",
            self.out.display(),
            size(bytes)
        ));
        Ok(exit::DONE)
    }
}
