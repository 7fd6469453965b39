//! Answers the shells that ask how a command line goes on.
//!
//! The script that `darkroom completions SHELL` prints calls this program again with
//! `DARKROOM_COMPLETE` set; then it says candidates and does nothing else. Candidates
//! that are no words of the command line (runs, images, accounts) are read from files
//! alone: no database is opened, no server is asked and none is started, because this
//! happens at every press of a key. What can't be read is no candidate.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::CompletionCandidate as Candidate;
use clap_complete::env::{EnvCompleter, Shells};
use darkroom_local::files::AccountsFile;
use serde::Deserialize;

use crate::args::Cli;
use crate::places::roots::Roots;
use crate::places::shipped::Shipped;
use crate::scaffold::{self, FAMILIES};

/// The variable that holds the name of the asking shell.
const VARIABLE: &str = "DARKROOM_COMPLETE";

/// How many runs are looked at: more than anybody reads, few enough to be quick.
const RUNS: usize = 50;

/// Regions of Alibaba Cloud that people build in; any other can be typed.
const REGIONS: [&str; 14] = [
    "cn-hangzhou",
    "cn-shanghai",
    "cn-beijing",
    "cn-shenzhen",
    "cn-chengdu",
    "cn-zhangjiakou",
    "cn-hongkong",
    "ap-southeast-1",
    "ap-southeast-5",
    "ap-northeast-1",
    "us-west-1",
    "us-east-1",
    "eu-central-1",
    "eu-west-1",
];

/// Answers a shell if one asks. Otherwise false, and nothing has been done.
pub(crate) fn answered() -> bool {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), here.as_deref())
        // A shell that isn't known can be told nothing.
        .unwrap_or(true)
}

/// The script that makes a shell ask.
pub(crate) fn script(shell: &str) -> Option<Vec<u8>> {
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter = shells.completer(shell)?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "darkroom", "darkroom", "darkroom", &mut script)
        .ok()?;
    Some(script)
}

/// The regions that are mostly meant.
pub(crate) fn regions() -> Vec<Candidate> {
    REGIONS.into_iter().map(Candidate::new).collect()
}

/// The accounts of the local cloud.
pub(crate) fn accounts() -> Vec<Candidate> {
    let accounts = || AccountsFile::read(&Roots::of_process().ok()?.local).ok()?;
    let accounts = accounts().map(|file| file.accounts).unwrap_or_default();
    accounts
        .into_iter()
        .map(|account| {
            let help = format!("local account {}", account.id);
            Candidate::new(account.name).help(Some(help.into()))
        })
        .collect()
}

/// The families to begin from.
pub(crate) fn families() -> Vec<Candidate> {
    FAMILIES.into_iter().map(Candidate::new).collect()
}

/// The examples that come with the program.
pub(crate) fn examples() -> Vec<Candidate> {
    let all = Shipped::Examples
        .find()
        .map(|folder| scaffold::examples(&folder));
    all.unwrap_or_default()
        .into_iter()
        .map(|one| Candidate::new(one.short().to_owned()).help(Some(one.about.into())))
        .collect()
}

/// The newest runs, and `last`.
pub(crate) fn runs() -> Vec<Candidate> {
    let last = Candidate::new("last").help(Some("the newest run".into()));
    let runs = kept().into_iter().map(|(run, manifest)| {
        let about = manifest.map_or("not ended".to_owned(), |manifest| {
            format!("{}: {}", manifest.template, manifest.status)
        });
        Candidate::new(run).help(Some(about.into()))
    });
    std::iter::once(last).chain(runs).collect()
}

/// The images that the newest runs made.
pub(crate) fn images() -> Vec<Candidate> {
    let manifests = kept().into_iter().filter_map(|(_, manifest)| manifest);
    let of = |manifest: Manifest| {
        let Manifest {
            template,
            cloud,
            regions,
            ..
        } = manifest;
        regions.into_iter().filter_map(move |one| {
            let about = format!("{template}, {cloud} {}", one.region);
            Some(Candidate::new(one.image?).help(Some(about.into())))
        })
    };
    manifests.flat_map(of).collect()
}

/// What is read of a run's manifest.
#[derive(Debug, Deserialize)]
struct Manifest {
    template: String,
    status: String,
    cloud: String,
    #[serde(default)]
    regions: Vec<RegionImage>,
}

#[derive(Debug, Deserialize)]
struct RegionImage {
    region: String,
    image: Option<String>,
}

/// The newest runs of this user.
fn kept() -> Vec<(String, Option<Manifest>)> {
    let runs = Roots::of_process().map(|roots| roots.state.join("runs"));
    runs.map(|runs| newest(&runs)).unwrap_or_default()
}

/// Newest first: run ids begin with their time.
fn newest(runs: &Path) -> Vec<(String, Option<Manifest>)> {
    let folders = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = folders
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0));
    found.truncate(RUNS);
    let manifest = |folder: &Path| {
        let text = std::fs::read(folder.join("manifest.json")).ok()?;
        serde_json::from_slice(&text).ok()
    };
    found
        .into_iter()
        .map(|(run, folder)| (run, manifest(&folder)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_its_script() {
        for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
            let script = String::from_utf8(script(shell).unwrap()).unwrap();
            assert!(script.contains(VARIABLE), "{shell}: {script}");
        }
        assert!(script("tcsh").is_none());
    }

    #[test]
    fn runs_are_found_newest_first_and_a_broken_manifest_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let write = |run: &str, manifest: Option<&str>| {
            let run = folder.path().join(run);
            std::fs::create_dir(&run).unwrap();
            if let Some(text) = manifest {
                std::fs::write(run.join("manifest.json"), text).unwrap();
            }
        };
        write(
            "261122-100000-aaaaaa",
            Some(
                r#"{"template": "web", "status": "SUCCESS", "cloud": "local",
                    "regions": [{"region": "cn-hangzhou", "image": "m-1", "error": null}]}"#,
            ),
        );
        write("261122-110000-bbbbbb", None);
        write("261122-120000-cccccc", Some("{"));
        let found = newest(folder.path());
        let runs: Vec<_> = found.iter().map(|(run, _)| &run[7..13]).collect();
        assert_eq!(runs, ["120000", "110000", "100000"]);
        assert!(found[0].1.is_none() && found[1].1.is_none());
        let manifest = found[2].1.as_ref().unwrap();
        assert_eq!(manifest.regions[0].image.as_deref(), Some("m-1"));
        assert!(newest(&folder.path().join("missing")).is_empty());
    }
}
