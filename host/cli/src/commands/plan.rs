//! `darkroom plan`: what a build would do, without doing it.

use clap::Args;
use darkroom_engine::plan::{self, PlannedPart, PlannedRequest, PlannedStep};

use super::build::check;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::workshop;

/// Show what a build would do; the cloud is only asked what is there
///
/// Each component is called with no answers: the steps up to its first question are
/// known, what follows depends on the machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom plan\n  \
    darkroom plan image.yaml --scripts\n  \
    darkroom plan image.yaml --json")]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    /// Show each script as it would be sent
    #[arg(long)]
    scripts: bool,
}

impl Plan {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let file = TemplateFile::read(&self.template.template)?;
        let settings = Settings::decide(&self.place, &file.folder)?;
        let checked = check(&engine, &file, &self.template, &settings, terminal)?;
        let (client, _) = workshop::cloud(&settings, &roots).await?;
        let planned = plan::plan(engine.runtime(), &client, &checked)
            .await
            .map_err(|trouble| {
                let hint = trouble.hint();
                let failure = Failure::new(workshop::of_trouble(&trouble), trouble);
                hint.into_iter().fold(failure, Failure::hint)
            })?;
        terminal.json(&planned);
        self.show(&planned, terminal);
        let wrong = planned.parts.iter().find(|part| part.error.is_some());
        match wrong {
            None => Ok(exit::DONE),
            Some(part) => {
                let error = part.error.as_deref().unwrap_or_default();
                let text = format!("{}: {error}", part.component);
                Err(Failure::new(Kind::Component, text))
            }
        }
    }

    fn show(&self, plan: &plan::Plan, terminal: &Terminal) {
        let place = format!("{} {}", plan.cloud, plan.region);
        let source = &plan.survey.image;
        terminal.line(format!("{} on {place}", plan.template));
        terminal.line(format!("  source    {} ({})", source.id, source.os_name));
        if let Some(candidate) = plan.survey.candidates.first() {
            terminal.line(format!(
                "  instance  {} in {}",
                candidate.instance_type, candidate.zone
            ));
        }
        terminal.line(format!("  image     {}", plan.image_name));
        terminal.line(format!("  regions   {}", plan.regions.join(", ")));
        if let Some(family) = &plan.family {
            terminal.line(format!("  family    {family}, after the tests"));
        }
        if !plan.accounts.is_empty() {
            terminal.line(format!("  shared    with {}", plan.accounts.join(", ")));
        }
        for part in &plan.parts {
            self.show_part(part, terminal);
        }
    }

    fn show_part(&self, part: &PlannedPart, terminal: &Terminal) {
        let role = part
            .role
            .map(|role| format!(" ({role})"))
            .unwrap_or_default();
        terminal.line("");
        terminal.line(format!("{}  {}{role}", part.path, part.component));
        for step in &part.steps {
            terminal.line(format!("  - {} ({})", step.name, step.what));
            if self.scripts {
                show_requests(step, terminal);
            }
        }
        if let Some(question) = &part.then_asks {
            terminal.line(format!("  then it asks {question} and goes on"));
        }
        if let Some(error) = &part.error {
            terminal.line(format!("  then it ends with an error: {error}"));
        }
    }
}

fn show_requests(step: &PlannedStep, terminal: &Terminal) {
    for request in &step.requests {
        match request {
            PlannedRequest::RunCommand { content, timeout } => {
                terminal.line(format!("    RunCommand, at most {timeout} s:"));
                for line in content.lines() {
                    terminal.line(format!("    | {line}"));
                }
            }
            PlannedRequest::SendFile {
                target_dir,
                name,
                length,
                ..
            } => terminal.line(format!("    SendFile {target_dir}/{name}, {length} bytes")),
            PlannedRequest::SendSecret {
                target_dir,
                secrets,
            } => terminal.line(format!(
                "    SendFile {target_dir}, the secrets {}",
                secrets.join(", ")
            )),
            PlannedRequest::RebootInstance => terminal.line("    RebootInstance"),
        }
    }
}
