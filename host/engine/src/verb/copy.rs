//! `image copy`: an image goes to other regions. Each is a branch of its own and fails
//! alone.

use darkroom_ecs::action::{CopyImage, Image};
use darkroom_ecs::id::{ImageId, RegionId};
use darkroom_journal::{Waited, branch};

use super::{own_image, progress};
use crate::event::{Kind, Level};
use crate::operation::{Condition, Operation};
use crate::pipeline::Desk;
use crate::stage::distribute::Placed;
use crate::stage::image::IMAGING;
use crate::stage::retain::mark_released;
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

pub(super) async fn run(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
    to: &[RegionId],
    name: Option<&str>,
) -> Result<Vec<Placed>, Stop> {
    let found = own_image(scope, desk, image).await?;
    let found = &found;
    let name = name.unwrap_or(&found.image_name);
    let branches = to.iter().map(|region| {
        branch(region.to_string(), move |scope: Scope| async move {
            place(&scope, desk, found, region, name).await
        })
    });
    let mut placed = Vec::new();
    for result in scope.all(branches.collect()).await {
        placed.push(result?);
    }
    for one in &placed {
        if let (None, Some(undo)) = (&one.error, &one.undo) {
            scope.keep(undo).await?;
        }
        if let (None, Some(image)) = (&one.error, &one.image) {
            mark_released(scope, &one.region, image, &[]).await?;
        }
    }
    Ok(placed)
}

async fn place(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &Image,
    region: &RegionId,
    name: &str,
) -> Result<Placed, Stop> {
    let mut placed = Placed {
        region: region.clone(),
        image: None,
        shared_with: Vec::new(),
        family: None,
        error: None,
        undo: None,
    };
    match bring(scope, desk, image, name, &mut placed).await {
        Ok(copy) => progress(desk, format!("image {copy} is ready in {region}")),
        Err(Stop::Failed(trouble)) => {
            desk.events.tell(Kind::Message {
                path: "image".into(),
                level: Level::Warning,
                text: trouble.to_string(),
            });
            placed.error = Some(trouble);
        }
        Err(stop) => return Err(stop),
    }
    Ok(placed)
}

async fn bring(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &Image,
    name: &str,
    placed: &mut Placed,
) -> Result<ImageId, Stop> {
    let region = placed.region.clone();
    let request = CopyImage {
        region_id: desk.region.clone(),
        image_id: image.image_id.clone(),
        destination_region_id: Some(region.clone()),
        destination_image_name: Some(name.to_owned()),
        destination_description: Some(image.description.clone()).filter(|text| !text.is_empty()),
        tag: tags::of(desk.run, "copy"),
        ..CopyImage::default()
    };
    let operation = Operation::ecs(desk.region, &request).map_err(Stop::Failed)?;
    let undo = Operation::DiscardImages {
        region: region.clone(),
        run: desk.run.clone(),
        purpose: "copy".into(),
    };
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    placed.undo = Some(undo);
    let copy = answer::<CopyImage>(value)?.image_id;
    placed.image = Some(copy.clone());
    darkroom_failpoint::reach("engine.copy").await;
    progress(desk, format!("image {copy} is being copied to {region}"));
    let condition = Condition::Image {
        region: region.clone(),
        image: copy.clone(),
    };
    match scope.wait(condition, IMAGING).await? {
        Waited::Ready(_) => Ok(copy),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the copy of the image to {region}"),
            seconds: IMAGING.as_secs(),
        })),
    }
}
