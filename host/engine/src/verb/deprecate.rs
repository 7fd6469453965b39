//! `image deprecate`: an image is marked as one that should not be used any more. It
//! leaves its family's choice and can be used all the same.

use darkroom_ecs::action::ModifyImageAttribute;
use darkroom_ecs::id::ImageId;

use super::{own_image, placed, progress};
use crate::operation::Operation;
use crate::pipeline::Desk;
use crate::stage::distribute::Placed;
use crate::{Scope, Stop};

pub(super) async fn run(
    scope: &Scope,
    desk: &Desk<'_>,
    image: &ImageId,
    undo: bool,
) -> Result<Vec<Placed>, Stop> {
    own_image(scope, desk, image).await?;
    let (now, before) = if undo {
        ("Available", "Deprecated")
    } else {
        ("Deprecated", "Available")
    };
    let change = |status: &str| {
        let request = ModifyImageAttribute {
            region_id: desk.region.clone(),
            image_id: image.clone(),
            status: Some(status.into()),
            ..ModifyImageAttribute::default()
        };
        Operation::ecs(desk.region, &request).map_err(Stop::Failed)
    };
    let scope = scope.scope("mark");
    let (_, key) = scope.run_undoable(change(now)?, change(before)?).await?;
    scope.keep(&key).await?;
    progress(desk, format!("image {image} is {now}"));
    Ok(vec![placed(desk, image)])
}
