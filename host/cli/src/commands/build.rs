//! `darkroom build`: from a template to a tested image, in one go.

use clap::Args;
use darkroom_engine::components::Shelf;
use darkroom_engine::{Begin, CheckWith, Checked, Engine};
use darkroom_template::ResolveWith;

use crate::args::{TemplateArgs, Where};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::places::template_file::TemplateFile;
use crate::secrets;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::workshop;

/// Build an image from a template, test it, and distribute it
///
/// The run is journaled: if this process is killed, `darkroom resume` goes on where it
/// was and leaves nothing behind. Ctrl-C cancels the run and cleans up.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom build examples/01-web-server/image.yaml\n  \
    darkroom build -p greeting='good day'\n  \
    darkroom build image.yaml --on aliyun --region cn-hangzhou")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
}

impl Build {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let file = TemplateFile::read(&self.template.template)?;
        let settings = Settings::decide(&self.place, &file.folder)?;
        let checked = check(&engine, &file, &self.template, &settings, terminal)?;
        remind(&engine, &checked, terminal).await?;
        let cloud = workshop::cloud(&settings, &roots).await?;
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        // A resume asks for the files of secrets from another folder.
        let folder = std::path::absolute(&file.folder).map_err(Failure::internal)?;
        let begin = Begin {
            file: &file.name,
            folder: &folder,
            account: settings.account.as_deref(),
            parameters: &self.template.parameters,
            random: [a, b, c, d],
            refresh: false,
            secrets: secrets::ask(&folder),
        };
        let run = engine.begin(&checked, &begin).await?;
        workshop::drive(&engine, &run, cloud, terminal).await
    }
}

/// Checks a template as `build`, `plan` and `validate` do alike, and shows warnings.
pub(super) fn check(
    engine: &Engine,
    file: &TemplateFile,
    template: &TemplateArgs,
    settings: &Settings,
    terminal: &Terminal,
) -> Result<Checked, Failure> {
    let system = Shipped::Components.find()?;
    let with = CheckWith {
        file_name: &file.name,
        resolve: ResolveWith {
            cloud: settings.cloud,
            parameters: &template.parameters,
            region: settings.region.as_deref(),
        },
        shelf: Shelf::Live {
            system: &system,
            template: &file.folder,
        },
    };
    // New components are compiled here, which takes its time on this thread.
    let checked = tokio::task::block_in_place(|| engine.check(&file.text, &with))?;
    for warning in &checked.warnings {
        terminal.note(format!("warning: {warning}"));
    }
    Ok(checked)
}

/// Says that an earlier run of the same template was interrupted.
async fn remind(engine: &Engine, checked: &Checked, terminal: &Terminal) -> Result<(), Failure> {
    let runs = engine.runs().await?;
    let interrupted = runs.iter().find(|view| {
        view.status.is_none() && view.pid.is_none() && view.header.template == checked.name()
    });
    if let Some(view) = interrupted {
        let run = &view.run;
        terminal.note(format!(
            "Run {run} of this template was interrupted: `darkroom resume {run}` goes on with it, \
             `darkroom runs cancel {run}` cleans it up. This is a new run."
        ));
    }
    Ok(())
}
