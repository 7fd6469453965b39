//! `darkroom local bootstrap`: makes the root file system that local images begin from.

use clap::Args;
use darkroom_local::bootstrap::{BootstrapError, DEBIAN_12, Made, Options, Progress, bootstrap};
use serde_json::json;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::settings::{Config, Key};
use crate::terminal::Terminal;

/// Make the root file system that local images begin from
///
/// It is made once from the distribution's own packages, which takes about a minute, and
/// kept in the cache. There are debian-12, debian-13, ubuntu-22.04 and ubuntu-24.04;
/// `darkroom local import` takes any other distribution.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  darkroom local bootstrap debian-12\n  darkroom local bootstrap ubuntu-24.04 --mirror http://mirror.example/ubuntu"
)]
pub(crate) struct Bootstrap {
    /// The system
    #[arg(value_name = "NAME", default_value = DEBIAN_12)]
    name: String,
    /// A package mirror instead of this machine's own [env: `DARKROOM_MIRROR`]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

impl Bootstrap {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let cache = Roots::of_process()?.cache_folder()?.to_owned();
        let mirror = Config::of_user()?.text(Key::Mirror, self.mirror.as_deref())?;
        let said = terminal.clone();
        let made = tokio::task::spawn_blocking(move || {
            let mut progress = |progress: Progress| tell(&said, &progress);
            let options = Options {
                name: self.name,
                mirror,
                ..Options::new(cache, &mut progress)
            };
            bootstrap(options)
        });
        let Made { base, reused } = made.await.map_err(Failure::internal)??;
        terminal.json(&json!({ "base": base, "reused": reused }));
        let size = base.size_bytes >> 20;
        let word = if reused {
            "was there already"
        } else {
            "is ready"
        };
        terminal.line(format!(
            "{} ({}, {size} MiB) {word}",
            base.name, base.os_name
        ));
        Ok(exit::DONE)
    }
}

pub(super) fn tell(terminal: &Terminal, progress: &Progress) {
    match progress {
        Progress::Phase { name, percent } => terminal.note(format!("{percent:>3} %  {name}")),
        Progress::Line(line) => tracing::info!("{line}"),
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        let hint = error.hint();
        let failure = match error {
            BootstrapError::Unknown { .. } => Self::user(error),
            error => Self::config(error),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}
