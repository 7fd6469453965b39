//! What the verbs of runs have in common: opening the engine, driving a run while
//! Ctrl-C is watched, and telling what came of it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use darkroom_ecs::client::Client;
use darkroom_engine::cloud::Pace;
use darkroom_engine::manifest::Manifest;
use darkroom_engine::{Drive, Engine, EngineError, Outcome, Status, Trouble, event};
use darkroom_journal::{FindError, LockError, RunId, SystemClock};
use darkroom_local::DriverKind;
use darkroom_local::files::ServerFile;
use darkroom_runtime::{Config, Runtime, RuntimeError};
use darkroom_template::Cloud;
use serde_json::{Value, json};

use crate::cloud::access::Access;
use crate::cloud::local_admin::Admin;
use crate::driving::Driving;
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::secrets;
use crate::settings::Settings;
use crate::terminal::{Interrupts, Progress, Terminal, seconds};

/// Components that are called at the same time.
const CALLS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let hint = match &error {
            EngineError::Find(FindError::None { .. } | FindError::Several { .. }) => {
                Some("`darkroom runs list` shows them".to_owned())
            }
            error => error.hint(),
        };
        let kind = match &error {
            EngineError::Mistakes(_)
            | EngineError::Secret(_)
            | EngineError::Ended { .. }
            | EngineError::Superseded { .. }
            | EngineError::Find(FindError::None { .. } | FindError::Several { .. })
            | EngineError::Lock(LockError::Held(_)) => Kind::User,
            EngineError::Find(FindError::Store(_))
            | EngineError::Store(_)
            | EngineError::Lock(_)
            | EngineError::Folder { .. } => Kind::Config,
            EngineError::Unavailable { trouble, .. } => of_trouble(trouble),
            EngineError::Left { .. } => Kind::Cloud,
            EngineError::Stopped { .. } | EngineError::Record { .. } => Kind::Internal,
        };
        let failure = match error {
            EngineError::Mistakes(mistakes) => mistakes.into(),
            error => Self::new(kind, error),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::config(error)
    }
}

/// Who can do something about a trouble.
pub(crate) fn of_trouble(trouble: &Trouble) -> Kind {
    match trouble {
        Trouble::Step { .. } | Trouble::Component { .. } => Kind::Component,
        Trouble::File { .. } => Kind::Config,
        Trouble::Internal { .. } => Kind::Internal,
        // What the template names isn't there.
        Trouble::Inputs { .. } | Trouble::Secret { .. } => Kind::User,
        // So is what a verb names. A key that isn't known is no name of a resource.
        Trouble::Refused { code, .. }
            if code.ends_with(".NotFound") && code != "InvalidAccessKeyId.NotFound" =>
        {
            Kind::User
        }
        _ => Kind::Cloud,
    }
}

/// The folder of the components' compiled code.
pub(crate) fn compiled(roots: &Roots) -> Result<PathBuf, Failure> {
    Ok(roots.cache_folder()?.join("compiled"))
}

/// Opens the engine on the roots of this process.
pub(crate) async fn open(roots: &Roots) -> Result<Engine, Failure> {
    let cache = compiled(roots)?;
    let runtime = Runtime::new(Config {
        cwasm_cache: Some(cache),
        threads: CALLS,
        ..Config::default()
    })?;
    // Makes the folder, and makes sure that it is private.
    roots.runs()?;
    let settings = darkroom_engine::Settings {
        state: roots.state.clone(),
        runtime,
        clock: Arc::new(SystemClock),
    };
    Ok(Engine::open(settings).await?)
}

/// A client for the cloud of a run or a plan, and how often it is asked.
pub(crate) async fn cloud(settings: &Settings, roots: &Roots) -> Result<(Client, Pace), Failure> {
    let access = Access::open(settings, roots).await?;
    let pace = match settings.cloud {
        Cloud::Local => Pace::LOCAL,
        Cloud::Aliyun => Pace::REMOTE,
    };
    Ok((access.client(), pace))
}

/// Whether layers of a build are kept unasked: where instances are real and images cost
/// nothing but disk.
pub(crate) async fn keeps_layers(settings: &Settings, roots: &Roots) -> bool {
    if settings.cloud != Cloud::Local {
        return false;
    }
    let Ok(Some(server)) = ServerFile::read(&roots.local) else {
        return false;
    };
    let told = Admin::new(&server).ping().await;
    told.is_ok_and(|told| told.driver == DriverKind::Sandbox.as_str())
}

/// Four random bytes for a run's id.
pub(crate) fn random() -> [u8; 4] {
    let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
    [a, b, c, d]
}

/// Drives a run to its end and tells what came of it.
pub(crate) async fn drive(
    engine: &Engine,
    run: &RunId,
    cloud: (Client, Pace),
    driving: Driving,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let outcome = play(engine, run, cloud, driving, terminal).await?;
    tell(&outcome, terminal)
}

/// Drives a run to its end. The first Ctrl-C cancels it, so that it cleans up; the
/// second stops at once, and the run can be resumed.
pub(crate) async fn play(
    engine: &Engine,
    run: &RunId,
    cloud: (Client, Pace),
    driving: Driving,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let progress = terminal.progress();
    let drive = for_engine(engine, run, cloud, driving, &progress, terminal).await?;
    // None yet for a new run.
    let events = engine.folder(run).file("events.ndjson");
    progress.recall(event::read(&events).unwrap_or_default());
    let ended = watched(engine, run, drive, &progress).await;
    progress.finish();
    ended
}

/// Removes what a run has kept.
pub(crate) async fn cleanup(
    engine: &Engine,
    run: &RunId,
    cloud: (Client, Pace),
    terminal: &Terminal,
) -> Result<(), Failure> {
    let progress = terminal.progress();
    let driving = Driving::default();
    let drive = for_engine(engine, run, cloud, driving, &progress, terminal).await?;
    let ended = engine.cleanup(run, drive).await;
    progress.finish();
    Ok(ended?)
}

async fn for_engine(
    engine: &Engine,
    run: &RunId,
    (client, pace): (Client, Pace),
    driving: Driving,
    progress: &Progress,
    terminal: &Terminal,
) -> Result<Drive, Failure> {
    let folder = engine.view(run).await?.header.folder;
    let screen = progress.screen();
    let on_failure = driving.after_failure.for_engine(terminal, &screen);
    let drive = Drive::new(Arc::new(client), pace, progress.watcher())
        .secrets(secrets::ask(&folder))
        .on_failure(on_failure);
    Ok(match driving.look {
        Some(look) => drive.look(look(screen)),
        None => drive,
    })
}

async fn watched(
    engine: &Engine,
    run: &RunId,
    drive: Drive,
    progress: &Progress,
) -> Result<Outcome, Failure> {
    let mut interrupts = Interrupts::new()?;
    let mut driving = std::pin::pin!(engine.drive(run, drive));
    tokio::select! {
        ended = &mut driving => return Ok(ended?),
        () = interrupts.next() => {}
    }
    progress.note("Cancelling and cleaning up; Ctrl-C again stops at once.");
    // Cancelling writes to the journal; the run goes on meanwhile and must be polled.
    let cancelled = async {
        match engine.cancel(run).await {
            Ok(()) | Err(EngineError::Ended { .. }) => std::future::pending().await,
            Err(error) => error,
        }
    };
    tokio::select! {
        ended = &mut driving => Ok(ended?),
        error = cancelled => Err(error.into()),
        () = interrupts.next() => Err(Failure::new(Kind::Cancelled, Stopped(run.clone()))
            .hint(format!("`darkroom resume {run}` goes on with cleaning up; until then its instances are kept"))),
    }
}

/// A second Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("run {0} was stopped at once, in the middle of cleaning up")]
struct Stopped(RunId);

/// What came of a run that failed, in the words of its manifest.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct RunFailed {
    message: String,
}

/// Tells what came of a run: images and what to do next, or why there are none.
pub(crate) fn tell(outcome: &Outcome, terminal: &Terminal) -> Result<Exit, Failure> {
    let manifest = &outcome.manifest;
    terminal.json(&json!({ "result": result(outcome) }));
    summary(outcome, terminal);
    match failure_of(manifest) {
        Some(failure) => Err(failure),
        None if manifest.status == Status::Cancelled => Ok(exit::CANCELLED),
        None => Ok(exit::DONE),
    }
}

/// The result of a run, for programs.
pub(crate) fn result(outcome: &Outcome) -> Value {
    let manifest = &outcome.manifest;
    json!({
        "run": manifest.run,
        "status": manifest.status,
        "images": manifest.regions,
        "manifest": outcome.file,
    })
}

/// What a run failed with, if that is how it ended.
pub(crate) fn failure_of(manifest: &Manifest) -> Option<Failure> {
    let kind = match manifest.status {
        Status::Success | Status::Cancelled => return None,
        Status::PartitionSuccess => Kind::Partly,
        Status::TestFailed => Kind::TestFailed,
        _ => manifest.trouble.as_ref().map_or(Kind::Cloud, of_trouble),
    };
    Some(run_failed(manifest, kind))
}

fn run_failed(manifest: &Manifest, kind: Kind) -> Failure {
    let mut message = match &manifest.error {
        Some(error) => error.clone(),
        None => format!("run {} ended with {}", manifest.run, manifest.status.word()),
    };
    let tail = manifest.tail.as_deref().unwrap_or("").trim_end();
    for line in tail.lines() {
        message.push_str("\n│ ");
        message.push_str(line);
    }
    let failure = Failure::new(kind, RunFailed { message });
    manifest.hint.iter().cloned().fold(failure, Failure::hint)
}

fn summary(outcome: &Outcome, terminal: &Terminal) {
    let manifest = &outcome.manifest;
    let took = manifest
        .finished
        .duration_since(manifest.started)
        .as_secs_f64();
    terminal.line("");
    let how = if manifest.unchanged {
        ", unchanged: nothing was built,"
    } else {
        ""
    };
    let word = manifest.status.word();
    terminal.line(format!("{word}{how} in {}", seconds(took)));
    let images = images(manifest);
    if let (Some(name), false) = (&manifest.image_name, images.is_empty()) {
        terminal.line(format!("  image     {name}"));
    }
    for line in &images {
        terminal.line(format!("            {line}"));
    }
    terminal.line(format!("  manifest  {}", outcome.file.display()));
    for left in &manifest.left {
        terminal.line(format!("  left      {left}"));
    }
    let Some((region, image)) = first_image(manifest) else {
        return;
    };
    terminal.line("");
    terminal.line("Next:");
    terminal.line(format!(
        "  darkroom image show {image} --on {} --region {region}",
        manifest.cloud
    ));
    terminal.line(format!("  darkroom runs show {}", manifest.run));
}

fn first_image(manifest: &Manifest) -> Option<(&str, &str)> {
    manifest
        .regions
        .iter()
        .find_map(|region| Some((region.region.as_str(), region.image.as_deref()?)))
}

/// One line a region: `local cn-hangzhou  m-abc  family web  shared with 123…`.
pub(crate) fn images(manifest: &Manifest) -> Vec<String> {
    let line = |region: &darkroom_engine::manifest::RegionImage| {
        let mut line = format!("{} {}", manifest.cloud, region.region);
        if let Some(image) = &region.image {
            line.push_str("  ");
            line.push_str(image);
        }
        if let Some(family) = &region.family {
            line.push_str("  family ");
            line.push_str(family);
        }
        if !region.shared_with.is_empty() {
            line.push_str("  shared with ");
            line.push_str(&region.shared_with.join(", "));
        }
        if let Some(error) = &region.error {
            line.push_str("  FAILED: ");
            line.push_str(error);
        }
        line
    };
    manifest.regions.iter().map(line).collect()
}
