//! The temporary image of an instance or a snapshot that a template is built from.
//!
//! The instance goes on as it is. The image goes at the end, and with it the snapshots
//! that were made for it; the template's own snapshot stays.

use darkroom_ecs::action::{CommaList, CreateImage, DescribeImages};
use darkroom_journal::UndoKey;

use super::Work;
use super::image::available;
use crate::event::Kind;
use crate::operation::Operation;
use crate::survey::{ImageFacts, SourceQuery};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// Makes the image and waits for it.
pub(crate) async fn make(
    scope: &Scope,
    work: &Work<'_>,
    source: &SourceQuery,
    known: &ImageFacts,
) -> Result<(ImageFacts, UndoKey), Stop> {
    let scope = scope.scope("source");
    let (instance, snapshot) = match source {
        SourceQuery::Instance(id) => (Some(id.clone()), None),
        SourceQuery::Snapshot(id) => (None, Some(id.clone())),
        SourceQuery::Family(_) | SourceQuery::Image(_) => (None, None),
    };
    let arm = snapshot.is_some() && known.architecture == "arm64";
    let request = CreateImage {
        region_id: work.region.clone(),
        instance_id: instance,
        snapshot_id: snapshot,
        image_name: Some(format!("darkroom-source-{}", work.run)),
        description: Some("temporary source of an image build".into()),
        architecture: arm.then(|| known.architecture.clone()),
        tag: tags::of(&work.run, tags::SOURCE),
        ..CreateImage::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let (region, run) = (work.region.clone(), work.run.clone());
    let purpose = tags::SOURCE.to_owned();
    // An image of a snapshot stands on that very snapshot, which is somebody's.
    let undo = if request.snapshot_id.is_some() {
        Operation::DiscardImagesOnly {
            region,
            run,
            purpose,
        }
    } else {
        Operation::DiscardImages {
            region,
            run,
            purpose,
        }
    };
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    let image = answer::<CreateImage>(value)?.image_id;
    darkroom_failpoint::reach("engine.source").await;
    work.events.tell(Kind::Progress {
        path: "prepare".into(),
        text: format!("image {image} is being made of {}", known.name),
    });
    available(&scope, work, &work.region, &image).await?;
    let request = DescribeImages {
        region_id: work.region.clone(),
        image_id: Some(CommaList(vec![image.clone()])),
        ..DescribeImages::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let found = answer::<DescribeImages>(scope.run(operation).await?)?;
    let found = found.images.image.into_iter().next().ok_or_else(|| {
        Stop::Failed(Trouble::State {
            subject: format!("image {image}"),
            problem: "it is gone".into(),
            hint: None,
        })
    })?;
    Ok((ImageFacts::from(found), undo))
}
