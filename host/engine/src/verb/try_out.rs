//! `image try`: a throwaway instance of an image, a command or somebody in it, and the
//! instance goes.
//!
//! It is the first stage of a build of a template that says no more than the image. What
//! the instance was made for comes in a second stage, and then everything is undone.

use darkroom_journal::Session;
use serde_json::json;

use super::{LookInto, Tried, TryImage};
use crate::Stop;
use crate::check::Own;
use crate::cloud::Cloud;
use crate::event::Status;
use crate::pipeline::{Halt, Progress, told};
use crate::stage::{Work, build, prepare};

/// The template of a try. Texts of JSON are texts of YAML.
pub(crate) fn template(image: &TryImage) -> String {
    let mut instance = serde_json::Map::new();
    if let Some(instance_type) = &image.instance_type {
        instance.insert("type".into(), json!(instance_type));
    }
    if let Some(internet) = image.internet {
        instance.insert("internet".into(), json!(internet));
    }
    let mut template = json!({
        "name": "image-try",
        "source": { "image": image.image },
        "repair": "none",
    });
    if !instance.is_empty() {
        template["instance"] = instance.into();
    }
    format!("{template}\n")
}

/// Makes the instance and lets it be looked into.
pub(crate) async fn run(
    session: &Session<Cloud>,
    work: &Work<'_>,
    image: &TryImage,
    look: Option<&LookInto>,
) -> (Progress, Result<Halt, Stop>) {
    let mut progress = Progress::default();
    let result = stages(session, work, image, look, &mut progress).await;
    (progress, result)
}

async fn stages(
    session: &Session<Cloud>,
    work: &Work<'_>,
    image: &TryImage,
    look: Option<&LookInto>,
    progress: &mut Progress,
) -> Result<Halt, Stop> {
    let prepared = told(work, "prepare", Status::Preparing, async {
        session
            .stage("prepare", 1, |scope| prepare::run(scope, work, None))
            .await
    })
    .await?;
    let prepared = progress.prepared.insert(prepared);
    let instance = &prepared.launched.instance;
    let tried = told(work, "try", Status::Testing, async {
        let hands = work.hands(instance);
        session
            .stage("try", 1, |scope| async move {
                let Some(command) = &image.command else {
                    // A later process has nobody in front of it: it cleans up.
                    if let Some(look) = look {
                        session.world().outlast().await;
                        let region = work.region.clone();
                        let instance = instance.to_string();
                        look(Tried { region, instance }).await;
                    }
                    return Ok(Vec::new());
                };
                let own = Own::script("command", "command".into(), command, Vec::new());
                let scope = scope.scope("command");
                let path = "try/1-command".to_owned();
                let performed = build::own(&scope, &hands, &own, path).await;
                work.note(&performed.record);
                performed.result?;
                Ok(vec![performed.record])
            })
            .await
    })
    .await?;
    progress.built = tried;
    Ok(Halt::Done)
}
