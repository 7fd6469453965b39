//! `darkroom validate`: every mistake in a template and its components' arguments. No
//! cloud is asked and no component is called; packages that it uses are pulled.

use clap::Args;
use serde_json::json;

use super::build::check;
use crate::allowed;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{Pinned, Request};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;
use crate::workshop;

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
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let file = TemplateFile::read(&self.template.template)?;
        let config = Config::load(&file.folder)?;
        let settings = Settings::of(&self.place, &config)?;
        let lock = LockFile::read(&file.folder)?.lock;
        let request = Request {
            file: &file,
            template: &self.template,
            settings: &settings,
            config: &config,
            roots: &roots,
            lock: &lock,
            mode: self.pinned.mode(),
            locked: self.pinned.is_locked(),
            moves: None,
            cache: None,
        };
        let checked = check(&engine, &request, terminal).await?;
        checked.pin(&lock, self.pinned.pinning())?;
        allowed::show(&checked, terminal);
        let region = &checked.resolved().region;
        let cloud = settings.cloud;
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
            file.name,
            checked.name(),
            components.len()
        ));
        Ok(exit::DONE)
    }
}
