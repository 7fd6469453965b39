//! Prepare: the inputs are looked at, then the instance is made, and before it what it
//! needs: an image of the source that is none, a network where none is named.

use darkroom_contract::Machine;
use darkroom_ecs::error::ErrorCode;
use darkroom_journal::UndoKey;
use serde::{Deserialize, Serialize};

use super::launch::{BUILD, Launched, Wish, launch};
use super::layers::{self, Layer};
use super::network::{self, Network};
use super::{Work, source};
use crate::event::Kind;
use crate::operation::Operation;
use crate::survey::{Query, Survey};
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// What the stage leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub survey: Survey,
    pub machine: Machine,
    pub launched: Launched,
    /// The network that the run has made, where the template names none.
    #[serde(default)]
    pub network: Option<Network>,
    /// What undoes the temporary image of an instance or a snapshot.
    #[serde(default)]
    pub source: Option<UndoKey>,
    /// The layer that the instance was made from.
    #[serde(default)]
    pub layer: Option<Layer>,
}

/// Runs the stage. What an earlier stage has seen of the cloud isn't looked at again.
pub(crate) async fn run(
    scope: Scope,
    work: &Work<'_>,
    survey: Option<Survey>,
) -> Result<Prepared, Stop> {
    let query = Query::of(&work.checked.resolved, work.image_name()).map_err(Stop::Failed)?;
    let source = query.source.clone();
    let mut survey: Survey = match survey {
        Some(survey) => survey,
        None => serde_json::from_value(scope.run(Operation::Survey { query }).await?)
            .map_err(|error| Stop::Failed(Trouble::internal("Survey", &error)))?,
    };
    let mut temporary = None;
    if source.is_no_image() {
        let (facts, undo) = source::make(&scope, work, &source, &survey.image).await?;
        survey.image = facts;
        temporary = Some(undo);
    }
    work.events.tell(Kind::Progress {
        path: "prepare".into(),
        text: format!("source image {} ({})", survey.image.name, survey.image.id),
    });
    let mut network = match survey.security_group {
        None => Some(network::make(&scope, work).await?),
        Some(_) => None,
    };
    try_dry(&scope, work, &survey, &mut network).await?;
    let layer = match temporary {
        Some(_) => None,
        None => layers::find(&scope, work, &survey).await?,
    };
    let image = layer
        .as_ref()
        .map_or(&survey.image.id, |layer| &layer.image);
    let image = image.clone();
    let launched = launch(&scope, work, &survey, &mut network, &image, BUILD);
    let launched = Box::pin(launched).await?;
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
        network,
        source: temporary,
        layer,
    })
}

/// Asks whether the first candidate would be granted. Out of stock is no reason to stop:
/// there may be another.
async fn try_dry(
    scope: &Scope,
    work: &Work<'_>,
    survey: &Survey,
    network: &mut Option<Network>,
) -> Result<(), Stop> {
    let Some(candidate) = survey.candidates.first() else {
        return Ok(());
    };
    let scope = scope.scope("dry run");
    let dry = Wish {
        work,
        survey,
        image: &survey.image.id,
        purpose: BUILD,
        release_at: None,
        user_data: None,
    };
    let operation = dry.operation(&scope, network, candidate).await?;
    match scope.run(operation).await {
        Err(Stop::Failed(trouble))
            if trouble.is(&ErrorCode::DryRunOperation)
                || super::launch::is_out_of_stock(&trouble) =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}
