//! Removes one thing that a run has left, with the same patience as an undo. What is gone
//! already is success.

use std::sync::Arc;

use darkroom_ecs::client::Client;
use darkroom_ecs::id::{ImageId, InstanceId, SnapshotId};
use darkroom_journal::Failure;

use super::{Item, What};
use crate::cloud::{Cloud, Pace};
use crate::engine::Engine;
use crate::event::Events;
use crate::trouble::Trouble;

/// Removes it.
pub(super) async fn item(
    engine: &Engine,
    client: &Arc<Client>,
    pace: Pace,
    item: &Item,
) -> Result<(), Failure<Trouble>> {
    let clock = engine.clock();
    let events = Events::nowhere(item.run.clone(), Arc::clone(&clock))
        .map_err(|error| Failure::Final(Trouble::file("write", "events", &error)))?;
    let cloud = Cloud::new(
        item.run.clone(),
        Arc::clone(client),
        engine.folder(&item.run),
        events,
        clock,
        engine.waiter(),
        pace,
    );
    let region = &item.region;
    match item.what {
        What::Instance => {
            let id: InstanceId = id(item)?;
            cloud.remove_instance(region, &id).await
        }
        What::Image => {
            let id: ImageId = id(item)?;
            cloud.remove_image(region, &item.run, &id).await
        }
        What::Snapshot => {
            let id: SnapshotId = id(item)?;
            cloud.delete_snapshot(region, &id).await
        }
        What::Network => cloud.remove_network(region, &item.run).await.map(drop),
    }
}

fn id<T: std::str::FromStr>(item: &Item) -> Result<T, Failure<Trouble>> {
    item.id.parse().map_err(|_| {
        Failure::Final(Trouble::State {
            subject: item.id.clone(),
            problem: "it can't be an id".into(),
            hint: None,
        })
    })
}
