//! Test: a fresh instance is made from the image, and the testers look at it.
//!
//! That it comes up by its own init with a live agent is always a case, even without a
//! tester. A failed case is a result, not an error: the image is kept, tagged as failed
//! and in no family, or deleted where the template says so.

use darkroom_contract::{Case, CaseStatus, Role};
use darkroom_ecs::action::TagResources;
use darkroom_template::OnTestFailure;
use serde::{Deserialize, Serialize};

use super::image::Imaged;
use super::launch::{Launched, launch};
use super::prepare::Prepared;
use super::{Work, build};
use crate::carry::Hands;
use crate::check::{BuildPart, Own, segment};
use crate::event::{Kind, Level};
use crate::operation::Operation;
use crate::role::{Performed, RoleRecord, case_of, perform};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tested {
    pub launched: Option<Launched>,
    pub boot: Case,
    pub roles: Vec<RoleRecord>,
}

impl Tested {
    pub(crate) fn passed(&self) -> bool {
        self.boot.status == CaseStatus::Passed && !self.roles.iter().any(RoleRecord::has_failed)
    }

    /// The failed cases, in words.
    pub(crate) fn failures(&self) -> Vec<String> {
        let roles = self.roles.iter();
        roles
            .flat_map(|role| &role.cases)
            .chain([&self.boot])
            .filter(|case| case.status == CaseStatus::Failed)
            .map(|case| format!("{}: {}", case.name, case.message))
            .collect()
    }
}

/// Runs the stage.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    imaged: &Imaged,
) -> Result<Tested, Stop> {
    let start = scope.scope("boot");
    let mut network = prepared.network.clone();
    let survey = &prepared.survey;
    let image = &imaged.image;
    let launched = launch(&start, work, survey, &mut network, image, "test");
    let tested = match Box::pin(launched).await {
        Ok(launched) => look(&scope, work, prepared, launched).await?,
        Err(Stop::Failed(trouble)) if is_about_the_image(&trouble) => Tested {
            launched: None,
            boot: case(CaseStatus::Failed, trouble.to_string()),
            roles: Vec::new(),
        },
        Err(stop) => return Err(stop),
    };
    if tested.passed() {
        return Ok(tested);
    }
    for failure in tested.failures() {
        work.events.tell(Kind::Message {
            path: "test".into(),
            level: Level::Warning,
            text: failure,
        });
    }
    if work.checked.resolved.on_test_failure == OnTestFailure::Delete {
        discard(&scope, work, imaged).await?;
        return Ok(tested);
    }
    let request = TagResources {
        region_id: work.region.clone(),
        resource_type: "image".into(),
        resource_id: vec![imaged.image.to_string()],
        tag: vec![tags::tag(tags::FAILED, "true")],
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    scope.scope("mark").run(operation).await?;
    scope.keep(&imaged.undo).await?;
    Ok(tested)
}

/// Deletes an image that has failed its tests, with its snapshots. Where the cloud
/// refuses that, the run's end tries again.
async fn discard(scope: &Scope, work: &Work<'_>, imaged: &Imaged) -> Result<(), Stop> {
    let (level, text) = match scope.scope("discard").undo(&imaged.undo).await {
        Ok(()) => (
            Level::Info,
            format!(
                "image {} is deleted, as it has failed its tests",
                imaged.image
            ),
        ),
        Err(Stop::Failed(trouble)) => (
            Level::Warning,
            format!("image {} is not deleted yet: {trouble}", imaged.image),
        ),
        Err(stop) => return Err(stop),
    };
    work.events.tell(Kind::Message {
        path: "test".into(),
        level,
        text,
    });
    Ok(())
}

fn case(status: CaseStatus, message: String) -> Case {
    Case {
        name: "boot".into(),
        status,
        message,
    }
}

/// Whether an instance did not come up because of its image, and not because the cloud
/// had no place for it.
fn is_about_the_image(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Boot { .. })
}

async fn look(
    scope: &Scope,
    work: &Work<'_>,
    prepared: &Prepared,
    launched: Launched,
) -> Result<Tested, Stop> {
    work.events.tell(Kind::Progress {
        path: "test".into(),
        text: format!("instance {} has come up from the image", launched.instance),
    });
    let hands = work.hands(&launched.instance);
    let mut roles = Vec::new();
    for (index, part) in work.checked.test.iter().enumerate() {
        let segment = segment(index, part.label());
        let path = format!("test/{segment}");
        let scope = scope.scope(&segment);
        let performed = match part {
            BuildPart::Component(part) => {
                let machine = &prepared.machine;
                let role = Role::Tester;
                perform(&scope, &hands, work.runtime, part, role, machine, &path).await
            }
            BuildPart::Own(own) => script(&scope, &hands, own, path).await,
        };
        work.note(&performed.record);
        performed.result?;
        roles.push(performed.record);
    }
    Ok(Tested {
        launched: Some(launched),
        boot: case(CaseStatus::Passed, String::new()),
        roles,
    })
}

/// A script of the template's own: a case that has passed if all held.
async fn script(scope: &Scope, hands: &Hands, own: &Own, path: String) -> Performed {
    let Performed { mut record, result } = build::own(scope, hands, own, path).await;
    // A failed step is a failed case; what can't be carried out stays an error.
    let result = match result {
        Err(Stop::Failed(Trouble::Step {
            step,
            problem,
            tail,
            ..
        })) => {
            let message = format!("{problem}\n{tail}").trim_end().to_owned();
            record.cases.push(Case {
                name: step,
                status: CaseStatus::Failed,
                message,
            });
            Ok(())
        }
        Ok(()) => {
            record.cases.extend(record.steps.iter().map(case_of));
            Ok(())
        }
        other => other,
    };
    Performed { record, result }
}
