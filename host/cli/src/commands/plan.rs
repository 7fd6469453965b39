//! `darkroom plan`: what a build would do, without doing it.

use clap::{Args, ValueEnum};
use darkroom_engine::plan::Plan as EnginePlan;
use darkroom_engine::{Checked, Engine};
use serde_json::{Value, json};

use super::build::check_with;
use crate::allowed;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::packages::{self, Pinned};
use crate::places::roots::Roots;
use crate::planned::{self, Detail, Picture, mermaid, svg};
use crate::project::Project;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::workshop;

/// Show what a build would do; the cloud is only asked what is there
///
/// Each component is called with no answers: the steps up to its first question are
/// known, what follows depends on the machine. Of a template with a `matrix` each cell is
/// planned, or those that `-p matrix.NAME=VALUE` chooses.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom plan\n  \
    darkroom plan image.yaml --scripts\n  \
    darkroom plan image.yaml --graph svg > plan.svg\n  \
    darkroom plan image.yaml --json")]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pinned: Pinned,
    /// Show each script as it would be sent
    #[arg(long)]
    scripts: bool,
    /// Draw the plan instead: a Mermaid flowchart, or an SVG that stands alone
    #[arg(long, value_name = "FORM", conflicts_with = "scripts")]
    graph: Option<Form>,
}

/// How a plan is drawn.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Form {
    Mermaid,
    Svg,
}

impl Plan {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let project = Project::open(self.template.clone(), &self.place).await?;
        let builds = project.requests(self.pinned);
        if self.graph.is_some() && builds.len() > 1 {
            let count = builds.len();
            let text = format!("the template is {count} builds, and one can be drawn");
            return Err(Failure::user(text).hint("choose one with `-p matrix.NAME=VALUE`"));
        }
        let resolved = packages::resolve(&project.request(self.pinned), terminal).await?;
        let mut wrong = None;
        for (index, request) in builds.iter().enumerate() {
            let checked = check_with(&project.engine, request, &resolved.shelf, terminal)?;
            checked.pin(&project.lock.lock, self.pinned.pinning())?;
            allowed::show(&checked, terminal);
            let (settings, roots) = (&project.settings, &project.roots);
            let planned = of(&project.engine, &checked, settings, roots).await?;
            if index > 0 {
                terminal.line("");
            }
            self.show(&planned, &checked, terminal)?;
            wrong = wrong.or_else(|| failure(&planned));
        }
        wrong.map_or(Ok(exit::DONE), Err)
    }

    fn show(
        &self,
        planned: &EnginePlan,
        checked: &Checked,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        if let Some(form) = self.graph {
            draw(planned, form, terminal);
            return Ok(());
        }
        terminal.json(&as_json(planned, checked)?);
        let detail = if self.scripts {
            Detail::Scripts
        } else {
            Detail::Steps
        };
        for line in planned::lines(planned, detail) {
            terminal.line(line);
        }
        Ok(())
    }
}

/// What a component says against its arguments.
fn failure(planned: &EnginePlan) -> Option<Failure> {
    let part = planned.parts.iter().find(|part| part.error.is_some())?;
    let error = part.error.as_deref().unwrap_or_default();
    let text = format!("{}: {error}", part.component);
    Some(Failure::new(Kind::Component, text))
}

/// Plans a checked template on the cloud that was decided on.
pub(super) async fn of(
    engine: &Engine,
    checked: &Checked,
    settings: &Settings,
    roots: &Roots,
) -> Result<EnginePlan, Failure> {
    let (client, _) = workshop::cloud(settings, roots).await?;
    let layers = workshop::keeps_layers(settings, roots).await;
    engine
        .plan(&client, checked, layers)
        .await
        .map_err(|trouble| {
            let hint = trouble.hint();
            let failure = Failure::new(workshop::of_trouble(&trouble), trouble);
            hint.into_iter().fold(failure, Failure::hint)
        })
}

fn as_json(planned: &EnginePlan, checked: &Checked) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(planned).map_err(Failure::internal)?;
    let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("warnings".into(), json!(warnings));
    }
    Ok(value)
}

fn draw(planned: &EnginePlan, form: Form, terminal: &Terminal) {
    let picture = Picture::of(planned);
    let (word, text) = match form {
        Form::Mermaid => ("mermaid", mermaid(&picture)),
        Form::Svg => ("svg", svg(&picture)),
    };
    if terminal.is_json() {
        terminal.json(&json!({ "graph": word, "text": text }));
    } else {
        Terminal::raw(text.as_bytes());
    }
}
