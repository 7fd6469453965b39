//! Prepare: the inputs are looked at, then the instance is made.

use darkroom_contract::Machine;
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::RegionId;
use darkroom_template::{Cloud, Source};
use serde::{Deserialize, Serialize};

use super::Work;
use super::launch::{Launched, launch, request};
use crate::check::Checked;
use crate::event::Kind;
use crate::families;
use crate::operation::Operation;
use crate::survey::{Query, SourceQuery, Survey};
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub survey: Survey,
    pub machine: Machine,
    pub launched: Launched,
}

/// What to look at, for `build` and `plan` alike.
///
/// # Errors
/// Names that can't be ids, which the template has let through.
pub(crate) fn query(checked: &Checked, image_name: String) -> Result<Query, Trouble> {
    let resolved = &checked.resolved;
    let id = |text: &str| -> Trouble {
        Trouble::State {
            subject: text.into(),
            problem: "it can't be an id".into(),
            hint: None,
        }
    };
    let region: RegionId = resolved.region.parse().map_err(|_| id(&resolved.region))?;
    let mut regions = vec![region.clone()];
    for other in &resolved.distribute.regions {
        let other: RegionId = other.value.parse().map_err(|_| id(&other.value))?;
        if !regions.contains(&other) {
            regions.push(other);
        }
    }
    let source = match &resolved.source {
        Source::Family(family) => SourceQuery::Family(match resolved.cloud {
            Cloud::Local => family.value.clone(),
            Cloud::Aliyun => families::on_alibaba_cloud(&family.value).to_owned(),
        }),
        Source::Image(image) => {
            SourceQuery::Image(image.value.parse().map_err(|_| id(&image.value))?)
        }
        Source::Instance(other) | Source::Snapshot(other) => {
            return Err(Trouble::State {
                subject: other.value.clone(),
                problem: "no image can be made of it before a build".into(),
                hint: Some("create an image of it and write `image: m-…`".into()),
            });
        }
    };
    let instance = &resolved.instance;
    Ok(Query {
        region,
        source,
        instance_type: instance.types.first().map(|one| one.value.clone()),
        vswitch: instance
            .vswitch
            .as_ref()
            .map(|one| one.value.parse().map_err(|_| id(&one.value)))
            .transpose()?,
        security_group: instance
            .security_group
            .as_ref()
            .map(|one| one.value.parse().map_err(|_| id(&one.value)))
            .transpose()?,
        image_name,
        regions,
    })
}

/// Runs the stage.
pub(crate) async fn run(scope: Scope, work: &Work<'_>) -> Result<Prepared, Stop> {
    let query = query(work.checked, work.image_name()).map_err(Stop::Failed)?;
    let survey: Survey = serde_json::from_value(scope.run(Operation::Survey { query }).await?)
        .map_err(|error| Stop::Failed(Trouble::internal("Survey", &error)))?;
    work.events.tell(Kind::Progress {
        path: "prepare".into(),
        text: format!("source image {} ({})", survey.image.name, survey.image.id),
    });
    try_dry(&scope, work, &survey).await?;
    let launched = launch(&scope, work, &survey, &survey.image.id, "build").await?;
    work.events.tell(Kind::Progress {
        path: "prepare".into(),
        text: format!(
            "instance {} ({} in {})",
            launched.instance, launched.candidate.instance_type, launched.candidate.zone
        ),
    });
    Ok(Prepared {
        machine: survey.image.machine(),
        survey,
        launched,
    })
}

/// Asks whether the first candidate would be granted. Out of stock is no reason to stop:
/// there may be another.
async fn try_dry(scope: &Scope, work: &Work<'_>, survey: &Survey) -> Result<(), Stop> {
    let Some(candidate) = survey.candidates.first() else {
        return Ok(());
    };
    let dry = request(work, survey, candidate, &survey.image.id, "build", None);
    let operation = Operation::ecs(&work.region, &dry).map_err(Stop::Failed)?;
    match scope.scope("dry run").run(operation).await {
        Err(Stop::Failed(trouble))
            if trouble.is(&ErrorCode::DryRunOperation)
                || super::launch::is_out_of_stock(&trouble) =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}
