//! `darkroom runs show`.

use clap::Args;
use darkroom_engine::carry::StepRecord;
use darkroom_engine::manifest::{self, Manifest};
use darkroom_engine::{Engine, RunView};
use darkroom_journal::RunId;
use jiff::Timestamp;
use serde_json::json;

use super::{RunArg, state};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::{Table, Terminal, seconds};
use crate::workshop;

/// Show a run: its state, images, components, steps and durations
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom runs show last\n  \
    darkroom runs show 261122-1604 --json")]
pub(crate) struct Show {
    #[command(flatten)]
    run: RunArg,
}

impl Show {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let engine = workshop::open(&Roots::of_process()?).await?;
        let run = engine.find(&self.run.run).await?;
        let view = engine.view(&run).await?;
        let manifest = read_manifest(&engine, &run)?;
        let folder = engine.folder(&run).path().to_owned();
        terminal.json(&json!({
            "run": run,
            "begun": view.begun,
            "header": view.header,
            "status": view.status,
            "pid": view.pid,
            "folder": folder,
            "manifest": manifest,
        }));
        let mut table = Table::new(&["run", run.as_str()]);
        table.row(["state", &state(&view)]);
        table.row([
            "template",
            &format!("{} ({})", view.header.template, view.header.file),
        ]);
        table.row([
            "where",
            &format!("{} {}", view.header.cloud, view.header.region),
        ]);
        table.row(["begun", &view.begun.to_string()]);
        table.row(["folder", &folder.display().to_string()]);
        for line in table.lines() {
            terminal.line(line);
        }
        match &manifest {
            Some(manifest) => details(manifest, terminal),
            None => terminal.note(next(&view)),
        }
        Ok(exit::DONE)
    }
}

/// From the first attempt's beginning to the last one's end, in the cloud's time.
fn took(step: &StepRecord) -> Option<f64> {
    let begun: Timestamp = step.attempts.first()?.started.parse().ok()?;
    let ended: Timestamp = step.last()?.finished.parse().ok()?;
    Some(ended.duration_since(begun).as_secs_f64())
}

fn next(view: &RunView) -> String {
    let run = &view.run;
    match view.pid {
        Some(pid) => format!("it is being driven by process {pid}"),
        None => format!("`darkroom resume {run}` goes on with it"),
    }
}

fn read_manifest(engine: &Engine, run: &RunId) -> Result<Option<Manifest>, Failure> {
    match engine.folder(run).read(manifest::FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(Failure::internal),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::config(error)),
    }
}

fn details(manifest: &Manifest, terminal: &Terminal) {
    let section = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        terminal.line("");
        terminal.line(title);
        for line in lines {
            terminal.line(format!("  {line}"));
        }
    };
    if let Some(error) = &manifest.error {
        section("error", vec![error.clone()]);
    }
    section("images", workshop::images(manifest));
    section("left behind", manifest.left.clone());
    let stages = manifest.stages.iter();
    section(
        "stages",
        stages
            .map(|one| format!("{:<12} {:>8}", one.stage, seconds(one.seconds)))
            .collect(),
    );
    let components = manifest.components.iter();
    section(
        "components",
        components
            .map(|(name, digest)| format!("{name}  sha256:{digest}"))
            .collect(),
    );
    let mut steps = Table::new(&["STEP", "NAME", "EXIT", "ATTEMPTS", "TOOK"]);
    for step in manifest.roles.iter().flat_map(|role| &role.steps) {
        steps.row([
            step.path.clone(),
            step.name.clone(),
            step.last()
                .and_then(|last| last.exit_code)
                .map(|code| code.to_string())
                .unwrap_or_default(),
            step.attempts.len().to_string(),
            took(step).map(seconds).unwrap_or_default(),
        ]);
    }
    if !steps.is_empty() {
        section("steps", steps.lines());
    }
    let cases = manifest
        .roles
        .iter()
        .flat_map(|role| &role.cases)
        .chain(&manifest.boot);
    section(
        "tests",
        cases
            .map(|case| {
                format!("{:?}  {}  {}", case.status, case.name, case.message)
                    .trim_end()
                    .to_owned()
            })
            .collect(),
    );
}
