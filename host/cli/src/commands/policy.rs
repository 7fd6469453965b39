//! `darkroom policy`: the RAM policy that a template needs, and no more.

use clap::Args;
use darkroom_engine::rights;
use darkroom_template::{ResolveWith, Resolved, parse};
use serde_json::json;

use crate::args::{TemplateArgs, Where};
use crate::cells;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;

/// Print the least RAM policy with which a template can be built and cleaned up
///
/// The policy is JSON as RAM takes it, for a user or role of Alibaba Cloud. Reading is
/// allowed everywhere, making in the template's regions, and stopping and deleting for what
/// carries the tag of a run. Nothing is asked of any cloud. What each action is for is shown
/// beside it, on standard error, or with --json.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom policy\n  \
    darkroom policy image.yaml --on aliyun > policy.json\n  \
    darkroom policy image.yaml --on aliyun --json")]
pub(crate) struct Policy {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
}

impl Policy {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let file = TemplateFile::read(&self.template.template)?;
        let settings = Settings::of(&self.place, &Config::load(&file.folder)?)?;
        let cells = cells::of(&file, &self.template, &settings)?;
        let resolved = cells.iter().map(|cell| resolved(&file, cell, &settings));
        let resolved: Vec<_> = resolved.collect::<Result<_, _>>()?;
        let policy = rights::policy(&resolved);
        let needed = rights::needed_by(&resolved);
        terminal.json(&json!({ "policy": policy, "actions": needed }));
        let text = serde_json::to_string_pretty(&policy).map_err(Failure::internal)?;
        terminal.line(text);
        for one in needed {
            let mark = if one.cleanup { " (cleanup)" } else { "" };
            terminal.note(format!("{}: {}{mark}", one.action, one.why));
        }
        Ok(exit::DONE)
    }
}

/// A template for the cloud that was decided on. Its components are not looked at.
pub(super) fn resolved(
    file: &TemplateFile,
    template: &TemplateArgs,
    settings: &Settings,
) -> Result<Resolved, Failure> {
    let with = ResolveWith {
        cloud: settings.cloud,
        parameters: &template.parameters,
        region: settings.region.as_deref(),
    };
    Ok(parse(&file.text, &file.name).and_then(|parsed| parsed.resolve(with))?)
}
