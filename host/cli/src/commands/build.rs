//! `darkroom build`: from a template to a tested image, in one go.

use std::sync::Arc;

use clap::Args;
use darkroom_engine::components::{Packages, Shelf};
use darkroom_engine::{Begin, CheckWith, Checked, Engine};
use darkroom_registry::resolve::Mode;
use darkroom_template::lock::{Lock, Pinning};
use darkroom_template::{Cloud, ResolveWith};

use super::plan;
use crate::allowed::allowed;
use crate::args::{TemplateArgs, Where};
use crate::driving::{Driving, FailureArgs};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{self, Pinned, Request, Unpacked, is_bundle};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::places::template_file::{TemplateFile, folder_of};
use crate::planned::{self, Detail};
use crate::scaffold::OneLineArgs;
use crate::secrets;
use crate::settings::{Config, Settings};
use crate::terminal::{Consent, Terminal};
use crate::workshop;

/// Build an image from a template or a bundle, test it, and distribute it
///
/// The run is journaled: if this process is killed, `darkroom resume` goes on where it
/// was and leaves nothing behind. Ctrl-C cancels the run and cleans up.
///
/// What is billed is asked before: with `--on aliyun` the plan is shown first. Without a
/// terminal nothing is built there unless --yes says so. A secret's command runs on this
/// machine: it is shown and asked for once a folder.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom build examples/01-web-server/image.yaml\n  \
    darkroom build -p greeting='good day'\n  \
    darkroom build image.yaml --on aliyun --region cn-hangzhou --yes\n  \
    darkroom build image.yaml --on-failure ask\n  \
    darkroom build image.yaml --locked --offline\n  \
    darkroom build --from debian-12 --run 'apt-get -y upgrade' --name web-2\n  \
    darkroom build --from m-bp1abc --run ./setup --name web-2 --print > image.yaml")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
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
        let given = &self.template.template;
        let bundle = is_bundle(given)
            .then(|| Unpacked::open(given))
            .transpose()?;
        let file = match self.one_line.template() {
            Some(text) if self.one_line.print => {
                Terminal::raw(text.as_bytes());
                return Ok(exit::DONE);
            }
            Some(text) => {
                terminal.note(&text);
                TemplateFile::of_command_line(text)
            }
            None => match &bundle {
                Some(bundle) => TemplateFile::read(&bundle.template())?,
                None => TemplateFile::read(&self.template.template)?,
            },
        };
        // Secrets' files lie beside a bundle, which holds none, and settings are the user's.
        let folder = match &bundle {
            Some(_) => folder_of(&self.template.template),
            None => file.folder.clone(),
        };
        let config = match &bundle {
            Some(_) => Config::of_user()?,
            None => Config::load(&folder)?,
        };
        let settings = Settings::of(&self.place, &config)?;
        let after_failure = self.after.decide(&config, terminal)?;
        let consent = Consent::from(self.yes || settings.cloud == Cloud::Local);
        if consent == Consent::Ask {
            // Before anything else is done that would be for nothing.
            terminal.can_ask(QUESTION)?;
        }
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        // Flags instead of a template have no lock beside them.
        let before = file.is_file.then(|| LockFile::read(&file.folder));
        let before = before.transpose()?;
        let request = Request {
            file: &file,
            template: &self.template,
            settings: &settings,
            config: &config,
            roots: &roots,
            lock: &before
                .as_ref()
                .map_or_else(Lock::default, |file| file.lock.clone()),
            mode: match &bundle {
                Some(_) => Mode::Offline,
                None => self.pinned.mode(),
            },
            locked: self.pinned.is_locked(),
            moves: None,
            cache: bundle.as_ref().map(|bundle| Arc::clone(&bundle.cache)),
        };
        let checked = check(&engine, &request, terminal).await?;
        let lock = match before {
            Some(before) => {
                let pinning = match &bundle {
                    Some(_) => Pinning::Locked,
                    None => self.pinned.pinning(),
                };
                let pinned = checked.pin(&before.lock, pinning)?;
                Some((pinned, before))
            }
            None => None,
        };
        remind(&engine, &checked, terminal).await?;
        if !allowed(&checked, &folder, &roots, self.yes, terminal).await? {
            terminal.note("nothing was started");
            return Ok(exit::CANCELLED);
        }
        if consent == Consent::Ask {
            let planned = plan::of(&engine, &checked, &settings, &roots).await?;
            for line in planned::lines(&planned, Detail::Steps) {
                terminal.note(line);
            }
            terminal.note("");
        }
        if !terminal.consent(consent, QUESTION).await? {
            terminal.note("nothing was started");
            return Ok(exit::CANCELLED);
        }
        if let Some((lock, before)) = lock {
            before.write(&lock)?;
        }
        let cloud = workshop::cloud(&settings, &roots).await?;
        // A resume asks for the files of secrets from another folder.
        let folder = std::path::absolute(&folder).map_err(Failure::internal)?;
        let begin = Begin {
            file: &file.name,
            folder: &folder,
            account: settings.account.as_deref(),
            parameters: &self.template.parameters,
            random: workshop::random(),
            refresh: self.refresh,
            layers: workshop::keeps_layers(&settings, &roots).await,
            secrets: secrets::ask(&folder),
        };
        let run = engine.begin(&checked, &begin).await?;
        let driving = Driving {
            after_failure,
            ..Driving::default()
        };
        workshop::drive(&engine, &run, cloud, driving, terminal).await
    }
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
