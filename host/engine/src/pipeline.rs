//! The pipeline: the stages in order, and what becomes of a run that stops.
//!
//! ```text
//! stages ── all finished ───────────────────> SUCCESS | PARTITION_SUCCESS | TEST_FAILED
//!    │ failed    ── verdict ── unwind ──────> FAILED
//!    │ cancelled ── verdict ── unwind ──────> CANCELLED
//!    └ unavailable, diverged, other version ─> not ended: resume
//! ```
//!
//! Whatever the end, what was made and not kept is undone, so that nothing is left. The
//! verdict is recorded before that: not every failure is in the journal (a component that
//! was too slow, a full disk), and a resume must not go on with what is being undone.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use darkroom_journal::{Session, UndoFailure, UndoProblem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Stop;
use crate::cloud::Cloud;
use crate::event::{ImageOf, Kind, Level, Status};
use crate::manifest::{Manifest, RegionImage};
use crate::role::RoleRecord;
use crate::stage::distribute::Distributed;
use crate::stage::image::Imaged;
use crate::stage::prepare::Prepared;
use crate::stage::test::Tested;
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
}

/// The record of a run that doesn't go through all its stages.
const VERDICT: &str = "verdict";

/// How a run ends that doesn't go through all its stages.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Verdict {
    status: Status,
    trouble: Option<Trouble>,
}

/// Runs all stages and ends the run, or says why it can't be ended now. `finished` are
/// the records that an earlier process has left.
///
/// What could not be undone is named in the manifest; the run has not ended then.
pub(crate) async fn run(
    session: &Session<Cloud>,
    work: &Work<'_>,
    finished: &BTreeSet<String>,
) -> Result<Manifest, Stop> {
    let mut progress = Progress::default();
    let judged = finished.contains(VERDICT);
    let result = stages(session, work, &mut progress, judged.then_some(finished)).await;
    let verdict = match result {
        Ok(()) if !judged => None,
        // What was recorded counts, and this is not looked at.
        Ok(()) => Some((Status::Failed, None)),
        Err(Stop::Failed(trouble)) => Some((Status::Failed, Some(trouble))),
        Err(Stop::Cancelled) => Some((Status::Cancelled, None)),
        Err(stop) => return Err(stop),
    };
    let verdict = match verdict {
        Some((status, trouble)) => {
            let verdict = Verdict { status, trouble };
            let recorded = session.stage(VERDICT, RECORDS, |_| async { Ok(verdict) });
            Some(recorded.await?)
        }
        None => None,
    };
    if verdict.is_some() {
        work.events.tell(Kind::StageStarted {
            path: "clean up".into(),
            status: Status::Releasing,
        });
    }
    let started = work.events.now();
    let left = unwind(session, work).await?;
    if verdict.is_some() {
        work.events.tell(Kind::StageFinished {
            path: "clean up".into(),
            ok: left.is_empty(),
            seconds: work.events.seconds_since(started),
        });
    }
    let (status, error) = match verdict {
        Some(verdict) => (verdict.status, verdict.trouble),
        None => ended(&progress),
    };
    Ok(manifest(work, &progress, status, error.as_ref(), left))
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
                    "the image is kept, tagged darkroom:failed and in no family, to be looked at"
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

/// Runs the stages, or, where `only` is given, reads those records again and no more.
async fn stages(
    session: &Session<Cloud>,
    work: &Work<'_>,
    progress: &mut Progress,
    only: Option<&BTreeSet<String>>,
) -> Result<(), Stop> {
    let closed = |stage: &str| only.is_some_and(|finished| !finished.contains(stage));
    if closed("prepare") {
        return Ok(());
    }
    let prepared = told(work, "prepare", Status::Preparing, async {
        session
            .stage("prepare", RECORDS, |scope| prepare::run(scope, work))
            .await
    })
    .await?;
    progress.prepared = Some(prepared.clone());
    if closed("repair") {
        return Ok(());
    }
    let repaired = told(work, "repair", Status::Repairing, async {
        session
            .stage("repair", RECORDS, |scope| {
                repair::run(scope, work, &prepared)
            })
            .await
    })
    .await?;
    progress.repaired = repaired.role;
    if closed("build") {
        return Ok(());
    }
    let built = told(work, "build", Status::Building, async {
        session
            .stage("build", RECORDS, |scope| build::run(scope, work, &prepared))
            .await
    })
    .await?;
    progress.built = built.roles;
    if closed("image") {
        return Ok(());
    }
    let imaged = told(work, "image", Status::Building, async {
        session
            .stage("image", RECORDS, |scope| image::run(scope, work, &prepared))
            .await
    })
    .await?;
    progress.imaged = Some(imaged.clone());
    if closed("test") {
        return Ok(());
    }
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
        if closed("distribute") {
            return Ok(());
        }
        let distributed = told(work, "distribute", Status::Distributing, async {
            session
                .stage("distribute", RECORDS, |scope| {
                    distribute::run(scope, work, &imaged)
                })
                .await
        })
        .await?;
        progress.distributed = Some(distributed);
    }
    if closed("release") {
        return Ok(());
    }
    told(work, "release", Status::Releasing, async {
        session
            .stage("release", RECORDS, |scope| {
                release::run(scope, work, &prepared, &tested)
            })
            .await
    })
    .await?;
    Ok(())
}

/// Runs a stage between its two events.
async fn told<T>(
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
async fn unwind(session: &Session<Cloud>, work: &Work<'_>) -> Result<Vec<String>, Stop> {
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
        work.events.tell(Kind::Message {
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
    work: &Work<'_>,
    progress: &Progress,
    status: Status,
    error: Option<&Trouble>,
    left: Vec<String>,
) -> Manifest {
    let checked = work.checked;
    let mut roles = work
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
    let regions = match (&progress.distributed, &progress.imaged, status) {
        (Some(distributed), _, _) => distributed
            .regions
            .iter()
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
        (None, Some(imaged), Status::TestFailed) => vec![RegionImage {
            region: work.region.to_string(),
            image: Some(imaged.image.to_string()),
            ..RegionImage::default()
        }],
        _ => Vec::new(),
    };
    Manifest {
        manifest: crate::manifest::VERSION,
        run: work.run.clone(),
        darkroom: env!("CARGO_PKG_VERSION").into(),
        status,
        error: error.map(ToString::to_string),
        trouble: error.cloned(),
        hint: error.and_then(Trouble::hint),
        tail: match error {
            Some(Trouble::Step { tail, .. }) => Some(tail.clone()),
            _ => None,
        },
        template: checked.name().into(),
        template_text: checked.text.clone(),
        parameters: checked.resolved.parameters.clone(),
        cloud: checked.resolved.cloud.word().into(),
        region: work.region.to_string(),
        source: progress
            .prepared
            .as_ref()
            .map(|one| one.survey.image.clone()),
        instance_type: progress
            .prepared
            .as_ref()
            .map(|one| one.launched.candidate.instance_type.clone()),
        components: checked.digests(),
        roles: in_order(roles.into_values().collect()),
        boot: progress.tested.as_ref().map(|one| one.boot.clone()),
        image_name: progress.imaged.as_ref().map(|one| one.name.clone()),
        regions,
        left,
        started: work.started,
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
