//! The pipeline: the stages in order, and what becomes of a run that stops.
//!
//! ```text
//! stages ── all finished ───────────────────> SUCCESS | PARTITION_SUCCESS | TEST_FAILED
//!    │ failed    ── verdict ─┬─ unwind ─────> FAILED
//!    │                       └─ kept ───────> FAILED | TEST_FAILED, instances stay
//!    │ cancelled ── verdict ── unwind ──────> CANCELLED
//!    └ unavailable, diverged, other version ─> not ended: resume
//! ```
//!
//! Whatever the end, what was made and not kept is undone, so that nothing is left. The
//! verdict is recorded before that: not every failure is in the journal (a component that
//! was too slow, a full disk), and a resume must not go on with what is being undone. A
//! run with a verdict, and one that is cancelled, needs nothing but its journal to end
//! ([`abandon`]): neither template nor components, nor the version that began it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use darkroom_ecs::id::RegionId;
use darkroom_journal::{RunId, Session, UndoFailure, UndoKey, UndoProblem, UndoState};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Stop;
use crate::check::Checked;
use crate::cloud::Cloud;
use crate::engine::{FailedAt, OnFailure};
use crate::event::{Events, ImageOf, Kind, Level, Status};
use crate::manifest::{Manifest, RegionImage};
use crate::role::RoleRecord;
use crate::stage::build::Built;
use crate::stage::distribute::Distributed;
use crate::stage::image::Imaged;
use crate::stage::prepare::Prepared;
use crate::stage::repair::Repaired;
use crate::stage::test::Tested;
use crate::stage::unchanged::{self, Looked};
use crate::stage::{Work, build, distribute, image, prepare, release, repair, test};
use crate::trouble::Trouble;

/// The version of each stage's record.
const RECORDS: u32 = 1;

/// What a run has come to, as far as it came.
#[derive(Default)]
pub(crate) struct Progress {
    pub prepared: Option<Prepared>,
    pub repaired: Option<RoleRecord>,
    pub built: Vec<RoleRecord>,
    pub imaged: Option<Imaged>,
    pub tested: Option<Tested>,
    pub distributed: Option<Distributed>,
    /// What the image is built from, where its source is one.
    pub build_key: Option<String>,
    /// Whether nothing was built.
    pub unchanged: bool,
}

impl Progress {
    /// The instance that can be looked at: the one that was tested last, else the one
    /// that was built on.
    fn instance(&self) -> Option<String> {
        let tested = self.tested.as_ref().and_then(|one| one.launched.as_ref());
        let built = self.prepared.as_ref().map(|one| &one.launched);
        tested.or(built).map(|one| one.instance.to_string())
    }
}

/// The record of a run that doesn't go through all its stages.
const VERDICT: &str = "verdict";

/// The last stage.
const LAST: &str = "release";

/// How a run ends that doesn't go through all its stages.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Verdict {
    status: Status,
    trouble: Option<Trouble>,
    /// Whether its instances stay, to be looked at.
    #[serde(default)]
    kept: bool,
}

/// What the end of a run is written with.
pub(crate) struct Desk<'a> {
    pub run: &'a RunId,
    pub started: Timestamp,
    pub region: &'a RegionId,
    pub events: &'a Events,
    pub about: About,
    pub roles: &'a Mutex<BTreeMap<String, RoleRecord>>,
}

/// What a run is about, for its manifest.
pub(crate) struct About {
    pub template: String,
    pub template_text: String,
    pub parameters: Map<String, Value>,
    pub cloud: String,
    pub components: BTreeMap<String, String>,
    pub inputs: BTreeMap<String, String>,
}

impl About {
    pub(crate) fn of(checked: &Checked) -> Self {
        Self {
            template: checked.name().into(),
            template_text: checked.text.clone(),
            parameters: checked.resolved.parameters.clone(),
            cloud: checked.resolved.cloud.word().into(),
            components: checked.digests(),
            inputs: checked.inputs(),
        }
    }
}

/// Runs all stages and ends the run, or says why it can't be ended now.
///
/// What could not be undone is named in the manifest; the run has not ended then.
pub(crate) async fn run(
    session: &Session<Cloud>,
    work: &Work<'_>,
    desk: &Desk<'_>,
    on_failure: &OnFailure,
) -> Result<Manifest, Stop> {
    let mut progress = Progress::default();
    let result = Box::pin(stages(session, work, &mut progress, on_failure)).await;
    conclude(session, desk, progress, result, on_failure).await
}

/// Why the stages did not go on, when nothing went wrong in them.
pub(crate) enum Halt {
    /// They are through.
    Done,
    /// The image has failed its tests, and somebody wants to look at its instance.
    Kept(Trouble),
}

/// Ends a run whose stages have come to `result`.
pub(crate) async fn conclude(
    session: &Session<Cloud>,
    desk: &Desk<'_>,
    progress: Progress,
    result: Result<Halt, Stop>,
    on_failure: &OnFailure,
) -> Result<Manifest, Stop> {
    let verdict = |status, trouble, kept| Verdict {
        status,
        trouble,
        kept,
    };
    let verdict = match result {
        Ok(Halt::Done) => None,
        Ok(Halt::Kept(trouble)) => Some(verdict(Status::TestFailed, Some(trouble), true)),
        Err(Stop::Failed(trouble)) => {
            let kept = keeps(session, desk, &progress, &trouble, on_failure).await?;
            Some(verdict(Status::Failed, Some(trouble), kept))
        }
        Err(Stop::Cancelled) => Some(verdict(Status::Cancelled, None, false)),
        Err(stop) => return Err(stop),
    };
    let verdict = match verdict {
        Some(verdict) => Some(record(session, verdict).await?),
        None => None,
    };
    finish(session, desk, &progress, verdict).await
}

/// Ends a run that has a verdict or is cancelled, from its records alone.
pub(crate) async fn abandon(
    session: &Session<Cloud>,
    desk: &Desk<'_>,
    finished: &BTreeSet<String>,
) -> Result<Manifest, Stop> {
    let progress = recall(session, finished).await?;
    // What was recorded counts, and this is not looked at. A run whose last stage has
    // finished has nothing left that could be cancelled.
    let cancelled = Verdict {
        status: Status::Cancelled,
        trouble: None,
        kept: false,
    };
    let verdict = if finished.contains(LAST) && !finished.contains(VERDICT) {
        None
    } else {
        Some(record(session, cancelled).await?)
    };
    finish(session, desk, &progress, verdict).await
}

/// Whether the records of a run are all that its end needs.
pub(crate) fn is_over(finished: &BTreeSet<String>, cancelled: bool) -> bool {
    cancelled || finished.contains(VERDICT) || finished.contains(LAST)
}

async fn record(session: &Session<Cloud>, verdict: Verdict) -> Result<Verdict, Stop> {
    session
        .stage(VERDICT, RECORDS, |_| async { Ok(verdict) })
        .await
}

/// Whether the instances of a failed run stay. Without any there is nothing to ask.
async fn keeps(
    session: &Session<Cloud>,
    desk: &Desk<'_>,
    progress: &Progress,
    trouble: &Trouble,
    on_failure: &OnFailure,
) -> Result<bool, Stop> {
    if session.pending().await?.is_empty() {
        return Ok(false);
    }
    Ok(match on_failure {
        OnFailure::Cleanup => false,
        OnFailure::Keep => true,
        OnFailure::Ask(ask) => {
            session.world().outlast().await;
            let failed = FailedAt {
                run: desk.run.clone(),
                trouble: trouble.clone(),
                instance: progress.instance(),
                region: desk.region.to_string(),
            };
            ask(failed).await
        }
    })
}

/// Undoes what is left, unless it is kept, and writes what the run has come to.
async fn finish(
    session: &Session<Cloud>,
    desk: &Desk<'_>,
    progress: &Progress,
    verdict: Option<Verdict>,
) -> Result<Manifest, Stop> {
    let kept = verdict.as_ref().is_some_and(|verdict| verdict.kept);
    let left = match &verdict {
        _ if kept => {
            session.world().outlast().await;
            tell_kept(desk, progress);
            Vec::new()
        }
        None => unwind(session, desk.events).await?,
        Some(_) => {
            desk.events.tell(Kind::StageStarted {
                path: "clean up".into(),
                status: Status::Releasing,
            });
            let started = desk.events.now();
            let left = unwind(session, desk.events).await?;
            desk.events.tell(Kind::StageFinished {
                path: "clean up".into(),
                ok: left.is_empty(),
                seconds: desk.events.seconds_since(started),
            });
            left
        }
    };
    let (status, error) = match verdict {
        Some(verdict) => (verdict.status, verdict.trouble),
        None => ended(progress),
    };
    let entries = session.undo_entries().await?;
    let undone = entries
        .into_iter()
        .filter(|entry| entry.state == UndoState::Done);
    let undone: BTreeSet<String> = undone.map(|entry| entry.key.to_string()).collect();
    let manifest = Manifest {
        regions: regions(desk, progress, status, &undone),
        ..manifest(desk, progress, status, error.as_ref(), left)
    };
    Ok(Manifest { kept, ..manifest })
}

/// The images that there are in the end: those of which nothing was undone.
fn regions(
    desk: &Desk<'_>,
    progress: &Progress,
    status: Status,
    undone: &BTreeSet<String>,
) -> Vec<RegionImage> {
    let is_there = |undo: &UndoKey| !undone.contains(undo.as_str());
    match (&progress.distributed, &progress.imaged, status) {
        (Some(distributed), ..) => distributed
            .regions
            .iter()
            .filter(|one| one.error.is_some() || one.undo.as_ref().is_none_or(is_there))
            .map(|one| RegionImage {
                region: one.region.to_string(),
                image: one
                    .image
                    .as_ref()
                    .filter(|_| one.error.is_none())
                    .map(ToString::to_string),
                shared_with: one.shared_with.iter().map(ToString::to_string).collect(),
                family: one.family.clone(),
                error: one.error.as_ref().map(ToString::to_string),
            })
            .collect(),
        (None, Some(imaged), Status::TestFailed) if is_there(&imaged.undo) => vec![RegionImage {
            region: desk.region.to_string(),
            image: Some(imaged.image.to_string()),
            ..RegionImage::default()
        }],
        _ => Vec::new(),
    }
}

fn tell_kept(desk: &Desk<'_>, progress: &Progress) {
    let run = desk.run;
    let what = match progress.instance() {
        Some(instance) => format!("instance {instance} in {}", desk.region),
        None => format!("what the run has made in {}", desk.region),
    };
    desk.events.tell(Kind::Message {
        path: "clean up".into(),
        level: Level::Warning,
        text: format!(
            "{what} is kept to be looked at; it costs money until `darkroom runs cleanup {run}` removes it, or the cloud does at its release time"
        ),
    });
}

/// What the finished stages have left.
async fn recall(session: &Session<Cloud>, finished: &BTreeSet<String>) -> Result<Progress, Stop> {
    let repaired: Option<Repaired> = recalled(session, finished, "repair").await?;
    let built: Option<Built> = recalled(session, finished, "build").await?;
    let looked: Option<Looked> = recalled(session, finished, "unchanged").await?;
    let (build_key, found) = looked.map_or((None, None), |one| (one.key, one.found));
    let distributed = recalled(session, finished, "distribute").await?;
    Ok(Progress {
        build_key,
        unchanged: found.is_some(),
        prepared: recalled(session, finished, "prepare").await?,
        repaired: repaired.and_then(|one| one.role),
        built: built.map(|one| one.roles).unwrap_or_default(),
        imaged: recalled(session, finished, "image").await?,
        tested: recalled(session, finished, "test").await?,
        distributed: distributed.or(found),
    })
}

/// The record of a finished stage; none where another version has written it.
async fn recalled<T: Serialize + DeserializeOwned>(
    session: &Session<Cloud>,
    finished: &BTreeSet<String>,
    stage: &str,
) -> Result<Option<T>, Stop> {
    if !finished.contains(stage) {
        return Ok(None);
    }
    let body = |_| async { Err(Stop::Cancelled) };
    match session.stage(stage, RECORDS, body).await {
        Ok(record) => Ok(Some(record)),
        Err(Stop::OtherVersion { .. } | Stop::Cancelled) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// What a run is that went through all its stages.
fn ended(progress: &Progress) -> (Status, Option<Trouble>) {
    if let Some(tested) = progress.tested.as_ref().filter(|tested| !tested.passed()) {
        let problem = tested.failures().join("; ");
        return (
            Status::TestFailed,
            Some(Trouble::State {
                subject: "the image has failed its tests".into(),
                problem,
                hint: Some(
                    "an image that fails is kept, tagged darkroom:failed and in no family, unless the template says `on-test-failure: delete`"
                        .into(),
                ),
            }),
        );
    }
    let regions = progress.distributed.iter().flat_map(|one| &one.regions);
    let errors: Vec<_> = regions.map(|one| one.error.clone()).collect();
    match errors.iter().flatten().next().cloned() {
        // The image is nowhere: what a region could not finish is undone.
        Some(trouble) if errors.iter().all(Option::is_some) => (Status::Failed, Some(trouble)),
        Some(trouble) => (Status::PartitionSuccess, Some(trouble)),
        None => (Status::Success, None),
    }
}

/// Runs the stages.
async fn stages(
    session: &Session<Cloud>,
    work: &Work<'_>,
    progress: &mut Progress,
    on_failure: &OnFailure,
) -> Result<Halt, Stop> {
    let mut survey = None;
    if work.reuses || work.checked.resolved.rebuild.is_some() {
        let looked = session
            .stage("unchanged", RECORDS, |scope| {
                unchanged::run(scope, work, work.refresh)
            })
            .await?;
        progress.build_key = looked.key;
        if looked.found.is_some() {
            progress.distributed = looked.found;
            progress.unchanged = true;
            return Ok(Halt::Done);
        }
        // It was made for the name that an image has without one of its own.
        let named = unchanged::has_name(work.checked);
        survey = looked.survey.filter(|_| !named);
    }
    let prepared = told(work, "prepare", Status::Preparing, async {
        session
            .stage("prepare", RECORDS, |scope| {
                prepare::run(scope, work, survey)
            })
            .await
    })
    .await?;
    progress.prepared = Some(prepared.clone());
    let repaired = told(work, "repair", Status::Repairing, async {
        session
            .stage("repair", RECORDS, |scope| {
                repair::run(scope, work, &prepared)
            })
            .await
    })
    .await?;
    progress.repaired = repaired.role;
    let built = told(work, "build", Status::Building, async {
        session
            .stage("build", RECORDS, |scope| build::run(scope, work, &prepared))
            .await
    })
    .await?;
    progress.built = built.roles;
    let imaged = told(work, "image", Status::Building, async {
        session
            .stage("image", RECORDS, |scope| image::run(scope, work, &prepared))
            .await
    })
    .await?;
    progress.imaged = Some(imaged.clone());
    let tested = told(work, "test", Status::Testing, async {
        session
            .stage("test", RECORDS, |scope| {
                test::run(scope, work, &prepared, &imaged)
            })
            .await
    })
    .await?;
    progress.tested = Some(tested.clone());
    if tested.passed() {
        let distributed = told(work, "distribute", Status::Distributing, async {
            session
                .stage("distribute", RECORDS, |scope| {
                    let key = progress.build_key.as_deref();
                    // Other images bear it when they are kept.
                    let key = key.filter(|_| !work.reuses);
                    distribute::run(scope, work, &imaged, key)
                })
                .await
        })
        .await?;
        progress.distributed = Some(distributed);
    } else if let (_, Some(trouble)) = ended(progress)
        && keeps(session, &work.desk(), progress, &trouble, on_failure).await?
    {
        return Ok(Halt::Kept(trouble));
    }
    told(work, LAST, Status::Releasing, async {
        session
            .stage(LAST, RECORDS, |scope| {
                let distributed = progress.distributed.as_ref();
                let key = progress.build_key.as_deref().filter(|_| work.reuses);
                release::run(scope, work, &prepared, &tested, distributed, key)
            })
            .await
    })
    .await?;
    Ok(Halt::Done)
}

/// Runs a stage between its two events.
pub(crate) async fn told<T>(
    work: &Work<'_>,
    path: &str,
    status: Status,
    stage: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    work.events.tell(Kind::StageStarted {
        path: path.into(),
        status,
    });
    let started = work.events.now();
    let result = stage.await;
    work.events.tell(Kind::StageFinished {
        path: path.into(),
        ok: result.is_ok(),
        seconds: work.events.seconds_since(started),
    });
    result
}

/// Undoes what was made and not kept; what could not be undone, in words.
pub(crate) async fn unwind(session: &Session<Cloud>, events: &Events) -> Result<Vec<String>, Stop> {
    let failures = session.unwind().await?;
    let unavailable = failures.iter().find_map(|failure| match &failure.problem {
        UndoProblem::Unavailable(trouble) => Some(trouble.clone()),
        _ => None,
    });
    if let Some(trouble) = unavailable {
        return Err(Stop::Unavailable(trouble));
    }
    let left: Vec<String> = failures.iter().map(words).collect();
    for text in &left {
        events.tell(Kind::Message {
            path: "clean up".into(),
            level: Level::Warning,
            text: text.clone(),
        });
    }
    Ok(left)
}

fn words(failure: &UndoFailure<Trouble>) -> String {
    format!("{} is left: {}", failure.entry.key, failure.problem)
}

fn manifest(
    desk: &Desk<'_>,
    progress: &Progress,
    status: Status,
    error: Option<&Trouble>,
    left: Vec<String>,
) -> Manifest {
    let about = &desk.about;
    let mut roles = desk
        .roles
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let finished = progress
        .repaired
        .iter()
        .chain(&progress.built)
        .chain(progress.imaged.iter().map(|one| &one.generalize))
        .chain(progress.tested.iter().flat_map(|one| &one.roles));
    roles.extend(finished.map(|role| (role.path.clone(), role.clone())));
    Manifest {
        manifest: crate::manifest::VERSION,
        run: desk.run.clone(),
        darkroom: env!("CARGO_PKG_VERSION").into(),
        status,
        error: error.map(ToString::to_string),
        trouble: error.cloned(),
        hint: error.and_then(|error| error.hint_in(desk.run.as_str())),
        tail: match error {
            Some(Trouble::Step { tail, .. }) => Some(tail.clone()),
            _ => None,
        },
        template: about.template.clone(),
        template_text: about.template_text.clone(),
        parameters: about.parameters.clone(),
        cloud: about.cloud.clone(),
        region: desk.region.to_string(),
        source: progress
            .prepared
            .as_ref()
            .map(|one| one.survey.image.clone()),
        instance_type: progress
            .prepared
            .as_ref()
            .map(|one| one.launched.candidate.instance_type.clone()),
        components: about.components.clone(),
        roles: in_order(roles.into_values().collect()),
        boot: progress.tested.as_ref().map(|one| one.boot.clone()),
        image_name: progress.imaged.as_ref().map(|one| one.name.clone()),
        regions: Vec::new(),
        left,
        build_key: progress.build_key.clone(),
        inputs: about.inputs.clone(),
        unchanged: progress.unchanged,
        layer: progress.prepared.as_ref().and_then(|one| one.layer.clone()),
        kept: false,
        started: desk.started,
        finished: Timestamp::UNIX_EPOCH,
        stages: Vec::new(),
    }
}

/// Roles in the order of the pipeline, not of their names.
fn in_order(mut roles: Vec<RoleRecord>) -> Vec<RoleRecord> {
    let rank = |path: &str| {
        let stage = path.split('/').next().unwrap_or_default();
        let index = path
            .split('/')
            .nth(1)
            .and_then(|segment| segment.split('-').next())
            .and_then(|number| number.parse::<usize>().ok());
        let stages = ["repair", "build", "image", "test"];
        (stages.iter().position(|one| *one == stage), index)
    };
    roles.sort_by_key(|role| rank(&role.path));
    roles
}

/// The images of a manifest, for events.
pub(crate) fn images(manifest: &Manifest) -> Vec<ImageOf> {
    let regions = manifest.regions.iter();
    regions
        .filter_map(|one| {
            Some(ImageOf {
                region: one.region.clone(),
                image: one.image.clone()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::distribute::Placed;

    #[test]
    fn an_image_that_is_in_no_region_is_no_success() {
        let region = |error: bool| Placed {
            region: "cn-hangzhou".parse().unwrap(),
            image: None,
            shared_with: Vec::new(),
            family: None,
            error: error.then(|| Trouble::TooLong {
                subject: "it".into(),
                seconds: 1,
            }),
            undo: None,
        };
        let status = |errors: [bool; 2]| {
            let regions = errors.map(region).into();
            ended(&Progress {
                distributed: Some(Distributed { regions }),
                ..Progress::default()
            })
            .0
        };
        assert_eq!(status([false, false]), Status::Success);
        assert_eq!(status([false, true]), Status::PartitionSuccess);
        assert_eq!(status([true, true]), Status::Failed);
    }
}
