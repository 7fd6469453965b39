//! A template with all that is decided before it is looked at: settings, roots, the engine
//! and its lock. The verbs that look at a template and its packages without building it
//! (`plan`, `validate`, `fetch`, `bundle`, `update`) open it alike. Nothing is resolved here,
//! and nothing is written.

use darkroom_engine::Engine;
use darkroom_registry::resolve::Mode;

use crate::args::{TemplateArgs, Where};
use crate::cells;
use crate::failure::Failure;
use crate::packages::{Pinned, Request};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::workshop;

/// A template and what stands around it.
pub(crate) struct Project {
    template: TemplateArgs,
    /// What chooses each of its builds; without a matrix there is one.
    cells: Vec<TemplateArgs>,
    pub(crate) file: TemplateFile,
    config: Config,
    pub(crate) settings: Settings,
    pub(crate) roots: Roots,
    pub(crate) engine: Engine,
    /// The lock as it was found.
    pub(crate) lock: LockFile,
}

impl Project {
    /// Reads the template, its settings and its lock, and opens the engine.
    pub(crate) async fn open(template: TemplateArgs, place: &Where) -> Result<Self, Failure> {
        let file = TemplateFile::read(&template.template)?;
        let config = Config::load(&file.folder)?;
        let settings = Settings::of(place, &config)?;
        let cells = cells::of(&file, &template, &settings)?;
        let lock = LockFile::read(&file.folder)?;
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        Ok(Self {
            template,
            cells,
            file,
            config,
            settings,
            roots,
            engine,
            lock,
        })
    }

    /// What is asked of the registries, with what the command line says of the lock. All
    /// builds of a template use the same components.
    pub(crate) fn request(&self, pinned: Pinned) -> Request<'_> {
        self.asking(pinned.mode(), pinned.is_locked(), None)
    }

    /// The same for each build of the template, to check it with.
    pub(crate) fn requests(&self, pinned: Pinned) -> Vec<Request<'_>> {
        let cells = self.cells.iter();
        cells
            .map(|cell| Request {
                template: cell,
                ..self.request(pinned)
            })
            .collect()
    }

    /// The same where these packages are looked for anew, all if there are none.
    pub(crate) fn moving<'a>(&'a self, names: &'a [String]) -> Request<'a> {
        self.asking(Mode::Normal, false, Some(names))
    }

    fn asking<'a>(&'a self, mode: Mode, locked: bool, moves: Option<&'a [String]>) -> Request<'a> {
        Request {
            file: &self.file,
            template: self.cells.first().unwrap_or(&self.template),
            settings: &self.settings,
            config: &self.config,
            roots: &self.roots,
            lock: &self.lock.lock,
            mode,
            locked,
            moves,
            cache: None,
        }
    }
}
