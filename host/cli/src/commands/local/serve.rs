//! `darkroom local serve`: the server itself, in a terminal or, started by another verb,
//! in the background.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use darkroom_local::{Config, DriverKind, FileError, OpenError, ServeError, Server};

use crate::args::words;
use crate::cloud::local_cloud::{EXECUTABLE, build_id};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::{Config as Layers, Key};
use crate::terminal::{Interrupts, Terminal};

/// How long a server that was started by another verb stays when nobody needs it.
const IDLE: Duration = Duration::from_mins(10);

/// Run the local cloud in this terminal
#[derive(Args, Debug)]
#[command(
    after_help = "Builds start the local cloud when they need it; this is for watching it.\n\
    Ctrl-C stops the server; instances go on, and the next server finds them.\n\n\
    Examples:\n  \
    darkroom local serve -v\n  \
    darkroom local serve --driver sim --port 8080"
)]
pub(crate) struct Serve {
    /// What runs the instances: namespaces of this machine, or nothing, with scripted
    /// results for tests [env: `DARKROOM_DRIVER`] [default: sandbox]
    #[arg(long, value_name = "DRIVER", value_parser = words(Key::Driver))]
    driver: Option<String>,
    /// The port on loopback; any free one by default
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Leave when nobody has needed it for this many seconds
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
    /// Say nothing, and leave when nobody needs it
    #[arg(long, hide = true)]
    background: bool,
}

impl Serve {
    /// Whether it runs instances that are there, and not simulated.
    pub(crate) fn has_instances(&self) -> bool {
        !matches!(self.driver(), Ok(DriverKind::Sim))
    }

    fn driver(&self) -> Result<DriverKind, Failure> {
        let word = Layers::of_user()?.text(Key::Driver, self.driver.as_deref())?;
        Ok(match word.as_deref() {
            Some("sim") => DriverKind::Sim,
            _ => DriverKind::Sandbox,
        })
    }

    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let mut interrupts = Interrupts::new()?;
        let idle = self.idle.map(Duration::from_secs);
        let config = Config {
            root: roots.local_folder()?.to_owned(),
            cache: roots.cache_folder()?.to_owned(),
            driver: self.driver()?,
            executable: PathBuf::from(EXECUTABLE),
            build_id: build_id(),
            idle: if self.background {
                idle.or(Some(IDLE))
            } else {
                idle
            },
            port: self.port,
            range: None,
        };
        let server = Server::start(config).await?;
        if !self.background {
            terminal.json(&serde_json::json!({ "url": server.url() }));
            terminal.note(format!(
                "The local cloud listens at {}; Ctrl-C stops it.",
                server.url()
            ));
        }
        server.run(async move { interrupts.next().await }).await?;
        if !self.background {
            terminal.note("The local cloud has left; its instances go on.");
        }
        Ok(exit::DONE)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let hint = match &error {
            ServeError::Files(FileError::Locked { .. })
            | ServeError::Open(OpenError::Files(FileError::Locked { .. })) => {
                Some("`darkroom local status` shows it, `darkroom local stop` stops it".to_owned())
            }
            ServeError::Listen { .. } => Some("leave `--port` out to use any free one".to_owned()),
            error => error.hint(),
        };
        hint.into_iter().fold(Self::config(error), Self::hint)
    }
}
