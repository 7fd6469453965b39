//! `darkroom build`: from templates to tested images, in one go.

mod job;
mod several;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueHint};
use darkroom_ecs::client::Client;
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::{Begin, CheckWith, Checked, Engine, Pace};
use darkroom_template::{Cloud, ResolveWith};

use super::plan;
use crate::allowed::allowed;
use crate::args::{TemplateArgs, Where, parameter};
use crate::driving::{AfterFailure, Driving, FailureArgs};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Pinned, Request};
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::planned::{self, Detail};
use crate::scaffold::OneLineArgs;
use crate::secrets;
use crate::settings::Settings;
use crate::terminal::{Consent, Terminal};
use crate::workshop;

use job::{Job, Source, distinct};
use several::{How, Ready};

/// How many builds are done at once where nobody says it.
const PARALLEL: &str = "4";

/// Build images from templates or bundles, test them, and distribute them
///
/// The run is journaled: if this process is killed, `darkroom resume` goes on where it
/// was and leaves nothing behind. Ctrl-C cancels the run and cleans up.
///
/// Several templates are built at once, and so are the cells of a template's `matrix`, of
/// which `-p matrix.NAME=VALUE` chooses some. Each is a run of its own; one that fails
/// doesn't stop the others. The exit code is that of the first that failed.
///
/// What is billed is asked before: with `--on aliyun` the plan is shown first. Without a
/// terminal nothing is built there unless --yes says so. A secret's command runs on this
/// machine: it is shown and asked for once a folder.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom build examples/01-web-server/image.yaml\n  \
    darkroom build -p greeting='good day'\n  \
    darkroom build web.yaml db.yaml --parallel 2\n  \
    darkroom build examples/06-matrix/image.yaml -p matrix.base=debian-12\n  \
    darkroom build image.yaml --on aliyun --region cn-hangzhou --yes\n  \
    darkroom build image.yaml --on-failure ask\n  \
    darkroom build image.yaml --locked --offline\n  \
    darkroom build --from debian-12 --run 'apt-get -y upgrade' --name web-2\n  \
    darkroom build --from m-bp1abc --run ./setup --name web-2 --print > image.yaml")]
pub(crate) struct Build {
    /// The templates, or the folders of an `image.yaml` each
    #[arg(value_name = "TEMPLATE", default_value = "image.yaml", value_hint = ValueHint::FilePath)]
    pub(crate) template: Vec<PathBuf>,
    /// The value of a parameter; can be given for each. Of several templates each has it
    #[arg(short = 'p', long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// How many builds are done at once
    #[arg(long, value_name = "N", default_value = PARALLEL)]
    parallel: NonZeroUsize,
    /// Cancel the other builds when one has failed
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    after: FailureArgs,
    /// Build even if an unchanged image is there that would be taken
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    pinned: Pinned,
    /// Don't ask, also where it is billed or a secret's command runs on this machine
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    one_line: OneLineArgs,
}

impl Build {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let mut sources = match self.one_line.template() {
            Some(text) if self.one_line.print => {
                Terminal::raw(text.as_bytes());
                return Ok(exit::DONE);
            }
            Some(text) => {
                terminal.note(&text);
                vec![Source::of_command_line(text, &self)?]
            }
            None => {
                let read = self.template.iter().map(|path| Source::read(path, &self));
                read.collect::<Result<_, _>>()?
            }
        };
        let after_failure = match sources.first() {
            Some(first) => self.after.decide(&first.config, terminal)?,
            None => AfterFailure::default(),
        };
        let billed = sources.iter().any(|one| one.settings.cloud != Cloud::Local);
        let consent = Consent::from(self.yes || !billed);
        if consent == Consent::Ask {
            // Before anything else is done that would be for nothing.
            terminal.can_ask(QUESTION)?;
        }
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let mut jobs = Vec::new();
        for source in &mut sources {
            jobs.extend(source.jobs(&self, &engine, &roots, terminal).await?);
        }
        distinct(&jobs)?;
        if !self
            .wanted(&engine, &jobs, consent, &roots, terminal)
            .await?
        {
            terminal.note("nothing was started");
            return Ok(exit::CANCELLED);
        }
        for source in &sources {
            source.lock()?;
        }
        if let [job] = jobs.as_slice() {
            return self
                .one(&engine, job, after_failure, &roots, terminal)
                .await;
        }
        let how = How {
            parallel: self.parallel,
            fail_fast: self.fail_fast,
            refresh: self.refresh,
            after_failure,
        };
        let builds = ready(jobs, &roots).await?;
        several::drive(&engine, &builds, &how, terminal).await
    }

    /// Asks whatever there is to be asked before something is begun.
    async fn wanted(
        &self,
        engine: &Engine,
        jobs: &[Job],
        consent: Consent,
        roots: &Roots,
        terminal: &Terminal,
    ) -> Result<bool, Failure> {
        for job in jobs {
            remind(engine, &job.checked, terminal).await?;
            if !allowed(&job.checked, &job.folder, roots, self.yes, terminal).await? {
                return Ok(false);
            }
        }
        let billed = jobs.iter().filter(|job| job.settings.cloud != Cloud::Local);
        for job in billed.filter(|_| consent == Consent::Ask) {
            let planned = plan::of(engine, &job.checked, &job.settings, roots).await?;
            for line in planned::lines(&planned, Detail::Steps) {
                terminal.note(line);
            }
            terminal.note("");
        }
        terminal.consent(consent, QUESTION).await
    }

    /// Builds the only one.
    async fn one(
        &self,
        engine: &Engine,
        job: &Job,
        after_failure: AfterFailure,
        roots: &Roots,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let cloud = workshop::cloud(&job.settings, roots).await?;
        let begin = Begin {
            file: &job.file,
            folder: &job.folder,
            account: job.settings.account.as_deref(),
            parameters: &job.parameters,
            random: workshop::random(),
            refresh: self.refresh,
            layers: workshop::keeps_layers(&job.settings, roots).await,
            secrets: secrets::ask(&job.folder),
        };
        let run = engine.begin(&job.checked, &begin).await?;
        let driving = Driving {
            after_failure,
            ..Driving::default()
        };
        workshop::drive(engine, &run, cloud, driving, terminal).await
    }

    /// What says which builds of a template are meant.
    fn arguments(&self, template: &std::path::Path) -> TemplateArgs {
        TemplateArgs {
            template: template.to_owned(),
            parameters: self.parameters.clone(),
        }
    }
}

/// Opens the clouds of the builds. Builds in one cloud share its client, so that they share
/// what it lets an account ask.
async fn ready(jobs: Vec<Job>, roots: &Roots) -> Result<Vec<Ready>, Failure> {
    let mut opened: Vec<(_, Arc<Client>, Pace, bool)> = Vec::new();
    let mut builds = Vec::new();
    for job in jobs {
        let Settings { cloud, account, .. } = &job.settings;
        let place = (*cloud, account.clone());
        let known = opened.iter().find(|(one, ..)| *one == place);
        let (client, pace, layers) = if let Some((_, client, pace, layers)) = known {
            (Arc::clone(client), *pace, *layers)
        } else {
            let (client, pace) = workshop::cloud(&job.settings, roots).await?;
            let layers = workshop::keeps_layers(&job.settings, roots).await;
            let client = Arc::new(client);
            opened.push((place, Arc::clone(&client), pace, layers));
            (client, pace, layers)
        };
        builds.push(Ready {
            job,
            client,
            pace,
            layers,
        });
    }
    Ok(builds)
}

const QUESTION: &str = "Build this on Alibaba Cloud, where instances, disks and images are billed?";

/// Checks a template as `build`, `plan` and `validate` do alike, and shows warnings.
pub(super) async fn check(
    engine: &Engine,
    request: &Request<'_>,
    terminal: &Terminal,
) -> Result<Checked, Failure> {
    let resolved = packages::resolve(request, terminal).await?;
    check_with(engine, request, &resolved.shelf, terminal)
}

/// The same with packages that are resolved.
pub(super) fn check_with(
    engine: &Engine,
    request: &Request<'_>,
    packages: &Packages,
    terminal: &Terminal,
) -> Result<Checked, Failure> {
    let Request {
        file,
        template,
        settings,
        ..
    } = request;
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
            packages,
        },
    };
    // New components are compiled here, which takes its time on this thread.
    let checked = tokio::task::block_in_place(|| engine.check(&file.text, &with))?;
    for warning in &checked.warnings {
        terminal.note(format!("warning: {warning}"));
        if let Some(help) = &warning.help {
            terminal.note(format!("  help: {help}"));
        }
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
