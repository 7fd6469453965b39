//! `darkroom local import`: takes a root file system that somebody else has made as one
//! that local images begin from.

use std::path::PathBuf;

use clap::Args;
use darkroom_local::Agent;
use darkroom_local::bootstrap::import::{ImportError, ImportOptions, import};
use darkroom_local::bootstrap::{Made, Progress};
use serde_json::json;

use super::bootstrap::tell;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::Terminal;

/// Take a root file system of any distribution as one that local images begin from
///
/// SOURCE is a folder that holds the whole system, a tar archive of one (plain, gzip, xz
/// or zstd), or an OCI image layout as a folder or an archive, as `docker save`, `skopeo
/// copy … oci:DIR` and `buildah push … oci-archive:FILE` write it. It is only read.
/// Templates name the result by `source: { family: NAME }`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  darkroom local import alpine-minirootfs-3.20.1-x86_64.tar.gz alpine-3.20
  darkroom local import ./layout fedora-41 --tag latest
  darkroom local import rootfs.tar.xz bare --no-agent --replace")]
pub(crate) struct Import {
    /// A folder, a tar archive, or an OCI image layout
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// What templates call it
    #[arg(value_name = "NAME")]
    name: String,
    /// Which image of a layout
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Take the place of what has that name
    #[arg(long)]
    replace: bool,
    /// Its instances begin without a Cloud Assistant agent, as a foreign image's do
    #[arg(long)]
    no_agent: bool,
}

impl Import {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let cache = Roots::of_process()?.cache_folder()?.to_owned();
        let said = terminal.clone();
        let made = tokio::task::spawn_blocking(move || {
            let mut progress = |progress: Progress| tell(&said, &progress);
            import(ImportOptions {
                source: self.source,
                name: self.name,
                cache,
                tag: self.tag,
                replace: self.replace,
                agent: if self.no_agent {
                    Agent::None
                } else {
                    Agent::Present
                },
                progress: &mut progress,
            })
        });
        let Made { base, reused } = made.await.map_err(Failure::internal)??;
        terminal.json(&json!({ "base": base, "reused": reused }));
        let size = base.size_bytes >> 20;
        let word = if reused { "is as it was" } else { "is ready" };
        terminal.line(format!(
            "{} ({}, {size} MiB) {word}",
            base.name, base.os_name
        ));
        Ok(exit::DONE)
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let hint = error.hint();
        let failure = match error {
            ImportError::Base(error) => return error.into(),
            error => Self::user(error),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}
