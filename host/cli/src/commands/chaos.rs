//! `darkroom chaos`: builds a template again and again in a simulated cloud, while things go
//! wrong and processes die, and looks at what is left.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use clap::Args;
use darkroom_chaos::{Failing, Many, Stage, Subject, Summary, many, schedule};
use darkroom_engine::Secret;
use darkroom_runtime::{Config as RuntimeConfig, Runtime};
use darkroom_template::Cloud;
use serde_json::{Value, json};

use super::build::check;
use crate::args::{TemplateArgs, Where};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages::{Pinned, Request};
use crate::places::lock_file::LockFile;
use crate::places::roots::Roots;
use crate::places::template_file::TemplateFile;
use crate::settings::{Config, Settings};
use crate::terminal::Terminal;
use crate::workshop;

/// Build a template many times in simulation under faults and crashes, and count what is
/// left
///
/// Each schedule is drawn from a seed: requests are throttled, fail or lose their answers,
/// stock runs out, images fail, agents are late, instances die, credentials expire, the
/// clock jumps, and the process is killed at any moment and resumed. Nothing is executed
/// and nothing is billed: commands succeed without output, unless --script says more, and
/// secrets have made-up values. The first plan under which something is left behind is
/// made as small as it can be and shown, with exit code 1.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom chaos image.yaml --runs 1000\n  \
    darkroom chaos image.yaml --runs 1 --seed 1795404365\n  \
    darkroom chaos image.yaml --script outputs.json")]
pub(crate) struct Chaos {
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    pinned: Pinned,
    /// How many schedules
    #[arg(long, default_value_t = 100, value_name = "N")]
    runs: u64,
    /// Where seeds begin; the first one is shown, so that a schedule can be played again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What commands print and how they end: a JSON object as the simulated cloud takes it,
    /// `{"rules": [{"match": "nginx -v", "output": "1.22"}]}`
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

impl Chaos {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let file = TemplateFile::read(&self.template.template)?;
        let config = Config::load(&file.folder)?;
        let settings = Settings::of(&self.place, &config)?;
        if settings.cloud != Cloud::Local {
            return Err(Failure::user("only the local cloud can be simulated")
                .hint("leave `--on` out, or say `--on local`"));
        }
        let lock = LockFile::read(&file.folder)?.lock;
        let request = Request {
            file: &file,
            template: &self.template,
            settings: &settings,
            config: &config,
            roots: &roots,
            lock: &lock,
            locked: self.pinned.is_locked(),
            mode: self.pinned.mode(),
            moves: None,
            cache: None,
        };
        let checked = check(&engine, &request, terminal).await?;
        checked.pin(&lock, self.pinned.pinning())?;
        let subject = Subject {
            checked,
            file: file.name.clone(),
            folder: std::path::absolute(&file.folder).map_err(Failure::internal)?,
            parameters: self.template.parameters.clone(),
            secrets: Arc::new(|_, name| {
                Box::pin(async move { Ok(Secret::new(format!("made-up-value-of-{name}"))) })
            }),
        };
        let threads = available_parallelism().map_or(1, NonZeroUsize::get);
        let runtime = Runtime::new(RuntimeConfig {
            cwasm_cache: Some(workshop::compiled(&roots)?),
            ..RuntimeConfig::default()
        })?;
        let well = well(self.script.as_deref())?;
        let seed = self.seed.unwrap_or_else(drawn);
        let many = Many {
            schedules: self.runs,
            seed,
            threads,
        };
        terminal.note(format!("{} schedules from seed {seed}", self.runs));
        let (stage, calm, summary) = tokio::task::block_in_place(|| {
            // A runtime of its own can't be begun on a thread of this one.
            std::thread::scope(|scope| {
                let work = || {
                    let (stage, calm) = Stage::make(subject, Arc::new(runtime), well)?;
                    let summary = many::play(&stage, many, &|_| {})?;
                    Ok::<_, darkroom_chaos::SiteError>((stage, calm, summary))
                };
                scope.spawn(work).join()
            })
        })
        .map_err(|_| Failure::internal("the simulation has panicked"))?
        .map_err(Failure::internal)?;
        drop(stage);
        show(&calm, &summary, seed, terminal)
    }
}

/// A cloud in which nothing goes wrong.
fn well(script: Option<&Path>) -> Result<Value, Failure> {
    let mut well = schedule::well();
    let Some(path) = script else {
        return Ok(well);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::user(format!("can't read {}: {error}", path.display())))?;
    let script: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::user(format!("{} is not JSON: {error}", path.display())))?;
    let Value::Object(fields) = script else {
        return Err(Failure::user(format!("{} is no object", path.display())));
    };
    for (name, value) in fields {
        well[name] = value;
    }
    Ok(well)
}

/// A seed that nobody has chosen.
fn drawn() -> u64 {
    u64::from(u32::from_be_bytes(workshop::random()))
}

/// The table, and the least plan that fails.
fn show(
    calm: &schedule::Calm,
    summary: &Summary,
    seed: u64,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let leaks = u64::from(summary.failing.is_some());
    let failing = summary
        .failing
        .as_ref()
        .map(|one| json!({ "seed": one.drawn.seed, "problem": one.problem, "plan": one.least }));
    terminal.json(&json!({
        "seed": seed,
        "schedules": summary.schedules,
        "undisturbed": calm.status,
        "lives": summary.lives,
        "crashes": summary.crashes,
        "requests": summary.requests,
        "endings": summary.endings,
        "mishaps": summary.mishaps,
        "leaks": leaks,
        "failing": failing,
    }));
    let ended = match &calm.error {
        Some(error) => format!("{} ({error})", calm.status.word()),
        None => calm.status.word().to_owned(),
    };
    row(terminal, "undisturbed", &ended);
    row(terminal, "schedules", &summary.schedules.to_string());
    let lives = format!("{}, of which {} crashed", summary.lives, summary.crashes);
    row(terminal, "processes", &lives);
    row(terminal, "requests", &summary.requests.to_string());
    for (status, count) in &summary.endings {
        row(terminal, &format!("runs {status}"), &count.to_string());
    }
    for (kind, count) in &summary.mishaps {
        row(terminal, kind, &count.to_string());
    }
    row(terminal, "leaks", &leaks.to_string());
    match &summary.failing {
        None => Ok(exit::DONE),
        Some(failing) => {
            tell(failing, terminal)?;
            Ok(exit::FOUND)
        }
    }
}

fn row(terminal: &Terminal, name: &str, value: &str) {
    terminal.line(format!("{name:<24} {value}"));
}

fn tell(failing: &Failing, terminal: &Terminal) -> Result<(), Failure> {
    let plan = serde_json::to_string_pretty(&failing.least).map_err(Failure::internal)?;
    terminal.line(format!("\n{}", failing.problem));
    terminal.line(format!("The least plan of seed {}:", failing.drawn.seed));
    terminal.line(plan);
    let seed = failing.drawn.seed;
    terminal.line(format!("Again: --runs 1 --seed {seed}"));
    Ok(())
}
