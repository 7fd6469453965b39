//! A simulated cloud and the state folder of whoever builds in it, in one process and one
//! time.
//!
//! A [`Ground`] is a site that has been kept as files, so that many trials begin from the
//! same cloud. The folders are temporary; where there is room in memory they are there,
//! because what a power cut would leave of them is not what is tried here.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::client::Client;
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint::{Endpoint, fixed};
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::transport::Transport;
use darkroom_engine::{
    Ask, Begin, Checked, Drive, Engine, EngineError, Event, Outcome, Pace, Watcher,
};
use darkroom_journal::RunId;
use darkroom_local::{Account, AccountsFile, DriverKind, OpenError, Service, Settings};
use darkroom_runtime::Runtime;
use futures::FutureExt;
use futures::future::{Either, join_all, select};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::Id;

use crate::clock::SimulatedClock;
use crate::life::{Gate, Life};

/// Why a simulation can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Its folder can't be used.
    #[error("the simulation's folder can't be used")]
    Folder(#[from] io::Error),
    /// The state of whoever builds can't be copied.
    #[error("the simulation's journal can't be copied")]
    Journal(#[from] rusqlite::Error),
    /// The cloud can't be opened.
    #[error("the simulation's cloud can't be opened")]
    Cloud(#[from] OpenError),
    /// The engine can't be opened, or a run not be begun.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// The cloud has refused something of its own.
    #[error("the simulation's cloud refused {page}: {answer}")]
    Admin {
        /// What was asked for.
        page: String,
        /// Its answer.
        answer: String,
    },
    /// Something that is always so is not.
    #[error("the simulation is wrong: {0}")]
    Wrong(String),
}

impl From<EngineError> for SiteError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

/// What is built: a checked template and what a run of it is begun with.
pub struct Subject {
    /// The template.
    pub checked: Checked,
    /// Its file, as it was given.
    pub file: String,
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// The parameters that were given.
    pub parameters: Vec<(String, String)>,
    /// Asks for the values of its secrets.
    pub secrets: Ask,
}

/// The accounts of every cloud: whoever builds, and the one that templates share with
/// where they say nothing else.
const ACCOUNTS: [&str; 2] = ["1000000000000001", "2000000000000002"];

impl Subject {
    /// The accounts of a cloud in which it can be built: whoever builds is the first.
    pub fn accounts(&self) -> Vec<String> {
        let named = &self.checked.resolved().distribute.accounts;
        let mut accounts: Vec<String> = ACCOUNTS.map(ToOwned::to_owned).into();
        for one in named {
            if !accounts.contains(&one.value) {
                accounts.push(one.value.clone());
            }
        }
        accounts
    }
}

/// A site as files.
pub struct Ground {
    folder: TempDir,
    at: Timestamp,
}

impl Ground {
    /// The time at which it was kept.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// A cloud and a state folder.
pub struct Site {
    folder: TempDir,
    clock: SimulatedClock,
    runtime: Arc<Runtime>,
    service: Service,
    lives: u32,
    buried: HashSet<Id>,
    watcher: Watcher,
}

/// How a life ended.
#[derive(Debug)]
pub enum End {
    /// As its fate said.
    Crashed,
    /// By itself, with what came of each run.
    Over(Vec<Result<Outcome, EngineError>>),
}

impl Site {
    /// An empty one with these accounts, of which the first one builds.
    ///
    /// # Errors
    /// See [`SiteError`].
    pub async fn new(
        clock: &SimulatedClock,
        runtime: &Arc<Runtime>,
        accounts: &[String],
    ) -> Result<Self, SiteError> {
        let folder = temporary()?;
        let cloud = folder.path().join("cloud");
        fs::create_dir_all(&cloud)?;
        let accounts: Result<Vec<Account>, SiteError> =
            accounts.iter().map(|id| account(id)).collect();
        let file = AccountsFile {
            version: 1,
            accounts: accounts?,
        };
        fs::write(
            cloud.join(darkroom_local::files::ACCOUNTS),
            json!(file).to_string(),
        )?;
        Self::begin(folder, clock, runtime).await
    }

    /// One that begins where another was kept. The clock must not be before its time.
    ///
    /// # Errors
    /// See [`SiteError`].
    pub async fn on(
        ground: &Ground,
        clock: &SimulatedClock,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, SiteError> {
        let folder = temporary()?;
        copy(ground.folder.path(), folder.path())?;
        Self::begin(folder, clock, runtime).await
    }

    async fn begin(
        folder: TempDir,
        clock: &SimulatedClock,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, SiteError> {
        let mut settings = Settings::new(folder.path().join("cloud"), DriverKind::Sim);
        settings.clock = Arc::new(clock.clone());
        Ok(Self {
            service: Service::open(settings).await?,
            folder,
            clock: clock.clone(),
            runtime: Arc::clone(runtime),
            lives: 0,
            buried: HashSet::new(),
            watcher: Arc::new(|_: &Event| {}),
        })
    }

    /// Keeps what it is as files, so that what becomes of it can be tried again and again.
    /// Nobody may be building; the cloud finishes what it is just answering.
    ///
    /// # Errors
    /// When it can't be copied.
    pub async fn keep(&self) -> Result<Ground, SiteError> {
        // Time moves only when whatever can be done has been done.
        self.clock.sleep(Duration::from_millis(1)).await;
        let folder = temporary()?;
        copy_still(
            &self.folder.path().join("cloud"),
            &folder.path().join("cloud"),
        )?;
        self.copy_state(&folder.path().join("state-0"))?;
        Ok(Ground {
            folder,
            at: self.clock.now(),
        })
    }

    /// Tells these of what happens in runs.
    pub fn watch(&mut self, watcher: Watcher) {
        self.watcher = watcher;
    }

    /// The state folder of the present life.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join(format!("state-{}", self.lives))
    }

    /// The cloud.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The time.
    pub fn clock(&self) -> &SimulatedClock {
        &self.clock
    }

    /// An engine on the state folder of the present life.
    ///
    /// # Errors
    /// When it can't be opened.
    pub async fn engine(&self) -> Result<Engine, SiteError> {
        let clock = Arc::new(self.clock.clone());
        Ok(Engine::open_sharing(self.state(), Arc::clone(&self.runtime), clock).await?)
    }

    /// Begins a run.
    ///
    /// # Errors
    /// When it can't be begun.
    pub async fn start(&self, subject: &Subject, number: u32) -> Result<RunId, SiteError> {
        let begin = Begin {
            file: &subject.file,
            folder: &subject.folder,
            account: None,
            parameters: &subject.parameters,
            random: number.to_be_bytes(),
            refresh: true,
            layers: false,
            secrets: Arc::clone(&subject.secrets),
        };
        Ok(self.engine().await?.begin(&subject.checked, &begin).await?)
    }

    /// A life with this fate, for [`Site::live`].
    pub fn life(&self, fate: crate::life::Fate) -> Life {
        Life::new(fate, self.buried.clone())
    }

    /// Drives runs to their ends, or until the life has ended. The next life goes on with
    /// what this one had written then.
    ///
    /// # Errors
    /// When that can't be copied.
    pub async fn live(&mut self, runs: &[RunId], life: &Life, ask: &Ask) -> Result<End, SiteError> {
        let watching = life.watch();
        let engine = self.engine().await?;
        let client = self.client(Arc::new(Gate {
            life: life.clone(),
            cloud: self.service.transport(),
        }))?;
        let drives = runs.iter().map(|run| {
            let watcher = Arc::clone(&self.watcher);
            let drive = Drive::new(Arc::clone(&client), Pace::REMOTE, watcher);
            engine.drive(run, drive.secrets(Arc::clone(ask)))
        });
        let drives = AssertUnwindSafe(join_all(drives)).catch_unwind();
        let polite = pin!(asked_to_end(&engine, runs, life));
        let drives = pin!(async {
            match select(polite, pin!(drives)).await {
                Either::Left((refused, _)) => Err(refused),
                Either::Right((over, _)) => Ok(over),
            }
        });
        let ended = pin!(life.ended());
        // What is not polled any more is dropped when its state has been copied.
        let (end, rest) = match select(ended, drives).await {
            Either::Left(((), drives)) => (End::Crashed, Some(drives)),
            Either::Right(_) if life.has_ended() => (End::Crashed, None),
            Either::Right((Ok(Ok(over)), _)) => (End::Over(over), None),
            Either::Right((Ok(Err(panic)), _)) => std::panic::resume_unwind(panic),
            Either::Right((Err(refused), _)) => return Err(refused.into()),
        };
        if let End::Crashed = end {
            if life.ends_synced() {
                engine.settled().await?;
            }
            let next = self.folder.path().join(format!("state-{}", self.lives + 1));
            self.copy_state(&next)?;
            self.lives += 1;
        }
        self.buried = life.bury();
        drop((rest, watching));
        Ok(end)
    }

    /// A client of the first account.
    fn client(&self, transport: Arc<dyn Transport>) -> Result<Arc<Client>, SiteError> {
        let account = self
            .service
            .accounts()
            .first()
            .ok_or_else(|| SiteError::Wrong("the cloud has no account".into()))?;
        let credentials = Credentials {
            access_key_id: account.access_key_id.clone(),
            access_key_secret: Secret::new(account.access_key_secret.clone()),
            security_token: None,
        };
        let endpoint: Endpoint = "http://localhost"
            .parse()
            .map_err(|_| SiteError::Wrong("no endpoint".into()))?;
        let (clock, also) = (self.clock.clone(), self.clock.clone());
        let client = Client::builder(transport, credentials, fixed(endpoint))
            .now(Arc::new(move || clock.now()))
            .sleep(Arc::new(move |time| also.sleep(time)));
        Ok(Arc::new(client.build()))
    }

    /// Asks the cloud's admin API.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn admin(&self, method: &str, page: &str, body: Value) -> Result<Value, SiteError> {
        let request = HttpRequest {
            method: method.into(),
            scheme: "http".into(),
            authority: "localhost".into(),
            target: page.into(),
            headers: vec![(
                "authorization".into(),
                format!("Bearer {}", self.service.token()),
            )],
            body: body.to_string().into_bytes().into(),
        };
        let response = self.service.call(request).await;
        let text = || String::from_utf8_lossy(&response.body).into_owned();
        if response.status != 200 {
            return Err(SiteError::Admin {
                page: page.into(),
                answer: text(),
            });
        }
        serde_json::from_slice(&response.body).map_err(|_| SiteError::Admin {
            page: page.into(),
            answer: text(),
        })
    }

    /// Copies the state folder as it is on disk.
    fn copy_state(&self, to: &Path) -> Result<(), SiteError> {
        let state = self.state();
        if !state.join("journal.sqlite").exists() {
            return Ok(());
        }
        copy_still(&state, to)
    }
}

/// When the life is asked to end, its runs are cancelled, as the command line does it;
/// completes only when that is refused.
async fn asked_to_end(engine: &Engine, runs: &[RunId], life: &Life) -> EngineError {
    life.asked().await;
    for run in runs {
        match engine.cancel(run).await {
            Ok(()) | Err(EngineError::Ended { .. }) => {}
            Err(error) => return error,
        }
    }
    std::future::pending().await
}

/// Copies a folder with databases in it. No commit happens meanwhile: a copy of two files
/// at two moments is none of what a process can leave.
fn copy_still(from: &Path, to: &Path) -> Result<(), SiteError> {
    let mut still = Vec::new();
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "sqlite") {
            let connection = Connection::open(&path)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            still.push(connection);
        }
    }
    copy(from, to)?;
    for connection in still {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(())
}

/// An account of a simulated cloud. Its key opens nothing else.
fn account(id: &str) -> Result<Account, SiteError> {
    Ok(Account {
        name: format!("account-{id}"),
        id: id
            .parse()
            .map_err(|_| SiteError::Wrong(format!("{id} is no account")))?,
        access_key_id: format!("LTAIsimulated{id}"),
        access_key_secret: "simulated".into(),
    })
}

/// A folder in memory where there is such a place.
pub(crate) fn temporary() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("darkroom-chaos-");
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = builder.tempdir_in(memory)
    {
        return Ok(folder);
    }
    builder.tempdir()
}

/// Copies a folder. `SQLite`'s shared memory is not a part of what is kept.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() && !name.to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
