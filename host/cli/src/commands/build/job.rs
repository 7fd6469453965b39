//! What is built: each template that was named, and each cell of its matrix, read and
//! checked before anything is begun. Nothing is asked or started here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use darkroom_engine::{Checked, Engine};
use darkroom_registry::resolve::Mode;
use darkroom_template::lock::{Lock, Pinning};

use super::{Build, check_with};
use crate::args::TemplateArgs;
use crate::cells;
use crate::failure::Failure;
use crate::packages::{self, Request, Unpacked, is_bundle};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::template_file::{TemplateFile, folder_of};
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;

/// A template as it was named, and what lies beside it.
pub(super) struct Source {
    file: TemplateFile,
    arguments: TemplateArgs,
    bundle: Option<Unpacked>,
    /// Where the files of secrets are.
    folder: PathBuf,
    pub(super) config: Config,
    pub(super) settings: Settings,
    /// The lock as it was, and as the builds make it. Flags instead of a template have none.
    lock: Option<(LockFile, Lock)>,
}

/// One build.
pub(super) struct Job {
    pub(super) checked: Checked,
    /// The template's file, as people call it.
    pub(super) file: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The parameters, and the values of its cell.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) settings: Settings,
}

impl Source {
    /// Reads a template or a bundle.
    pub(super) fn read(path: &Path, build: &Build) -> Result<Self, Failure> {
        let bundle = is_bundle(path).then(|| Unpacked::open(path)).transpose()?;
        let file = match &bundle {
            Some(bundle) => TemplateFile::read(&bundle.template())?,
            None => TemplateFile::read(path)?,
        };
        // Secrets' files lie beside a bundle, which holds none, and settings are the user's.
        let (folder, config) = match &bundle {
            Some(_) => (folder_of(path), Config::of_user()?),
            None => (file.folder.clone(), Config::load(&file.folder)?),
        };
        Ok(Self {
            settings: Settings::of(&build.place, &config)?,
            lock: None,
            arguments: build.arguments(path),
            file,
            bundle,
            folder,
            config,
        })
    }

    /// Takes a template that no file holds.
    pub(super) fn of_command_line(text: String, build: &Build) -> Result<Self, Failure> {
        let file = TemplateFile::of_command_line(text);
        let config = Config::load(&file.folder)?;
        Ok(Self {
            settings: Settings::of(&build.place, &config)?,
            lock: None,
            arguments: build.arguments(Path::new("image.yaml")),
            folder: file.folder.clone(),
            bundle: None,
            file,
            config,
        })
    }

    /// Checks each of the template's builds.
    pub(super) async fn jobs(
        &mut self,
        build: &Build,
        engine: &Engine,
        roots: &Roots,
        terminal: &Terminal,
    ) -> Result<Vec<Job>, Failure> {
        let before = self.file.is_file.then(|| LockFile::read(&self.file.folder));
        let before = before.transpose()?;
        let lock = before.as_ref();
        let lock = lock.map_or_else(Lock::default, |file| file.lock.clone());
        let cells = cells::of(&self.file, &self.arguments, &self.settings)?;
        let request = |arguments| Request {
            file: &self.file,
            template: arguments,
            settings: &self.settings,
            config: &self.config,
            roots,
            lock: &lock,
            mode: match &self.bundle {
                Some(_) => Mode::Offline,
                None => build.pinned.mode(),
            },
            locked: build.pinned.is_locked(),
            moves: None,
            cache: self.bundle.as_ref().map(|one| Arc::clone(&one.cache)),
        };
        let resolved = packages::resolve(&request(&self.arguments), terminal).await?;
        let mut jobs = Vec::new();
        let mut pinned = lock.clone();
        for cell in &cells {
            let checked = check_with(engine, &request(cell), &resolved.shelf, terminal)?;
            if before.is_some() {
                let pinning = match &self.bundle {
                    Some(_) => Pinning::Locked,
                    None => build.pinned.pinning(),
                };
                pinned = checked.pin(&pinned, pinning)?;
            }
            jobs.push(Job {
                checked,
                file: self.file.name.clone(),
                // A resume asks for the files of secrets from another folder.
                folder: std::path::absolute(&self.folder).map_err(Failure::internal)?,
                parameters: cell.parameters.clone(),
                settings: self.settings.clone(),
            });
        }
        self.lock = before.map(|before| (before, pinned));
        Ok(jobs)
    }

    /// Writes down which components its builds use.
    pub(super) fn lock(&self) -> Result<(), Failure> {
        match &self.lock {
            Some((before, lock)) => before.write(lock),
            None => Ok(()),
        }
    }
}

/// Two builds of one name would be taken for one: their images, layers and runs are known
/// by it.
pub(super) fn distinct(jobs: &[Job]) -> Result<(), Failure> {
    let mut templates: BTreeMap<String, &Job> = BTreeMap::new();
    let mut images: BTreeMap<(String, String), &Job> = BTreeMap::new();
    for job in jobs {
        let cloud = job.settings.cloud;
        if let Some(other) = templates.insert(format!("{} on {cloud}", job.checked.name()), job) {
            let name = job.checked.name();
            let text = both(other, job, &format!("are called `{name}`"));
            return Err(Failure::user(text).hint("give each a `name` of its own"));
        }
        let Some(image) = &job.checked.resolved().image.name else {
            continue;
        };
        if let Some(other) = images.insert((cloud.to_string(), image.value.clone()), job) {
            let text = both(other, job, &format!("would make an image called `{image}`"));
            return Err(Failure::user(text).hint("give each an `image.name` of its own"));
        }
    }
    Ok(())
}

fn both(one: &Job, other: &Job, what: &str) -> String {
    if one.file == other.file {
        format!("two builds of {} {what}", one.file)
    } else {
        format!("{} and {} {what}", one.file, other.file)
    }
}
