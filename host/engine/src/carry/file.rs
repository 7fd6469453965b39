//! Files to an instance: kept with the run, cut into slices, sent in lanes.

use darkroom_journal::branch;

use super::request::{SLICE, Sent, Target, slice_name};
use super::revive::through_losses;
use crate::folder::RunFolder;
use crate::operation::Operation;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// Slices under way at the same time.
const LANES: u64 = 8;

/// Sends `content` to `into` in the instance, as files whose names sort in order.
/// Nothing is put together there yet. Where the instance goes away meanwhile all are sent
/// again: what it had got may not have reached its disk.
pub(super) async fn push(
    scope: &Scope,
    folder: &RunFolder,
    target: &Target,
    content: &[u8],
    into: &str,
) -> Result<Sent, Stop> {
    let digest = folder
        .keep(content)
        .map_err(|error| Stop::Failed(Trouble::file("write", "files", &error)))?;
    let sent = Sent {
        sha256: digest,
        size: content.len() as u64,
        folder: false,
    };
    darkroom_failpoint::reach("engine.file").await;
    let slices = &sent;
    through_losses(scope, target, "slices", |scope| async move {
        send_all(&scope, target, slices, into).await.map(Some)
    })
    .await?;
    Ok(sent)
}

/// Sends each slice once.
async fn send_all(scope: &Scope, target: &Target, sent: &Sent, into: &str) -> Result<(), Stop> {
    let slices = sent.size.div_ceil(SLICE);
    let lanes = (0..LANES.min(slices)).map(|lane| {
        let operation = |index: u64| Operation::SendSlice {
            region: target.region.clone(),
            instance: target.instance.clone(),
            file: sent.sha256.clone(),
            offset: index * SLICE,
            length: SLICE.min(sent.size - index * SLICE),
            folder: into.to_owned(),
            name: slice_name(index),
        };
        let operations: Vec<_> = (lane..slices)
            .step_by(usize::try_from(LANES).unwrap_or(usize::MAX))
            .map(operation)
            .collect();
        branch(format!("lane {lane}"), move |scope: Scope| async move {
            for operation in operations {
                scope.run(operation).await?;
            }
            Ok(())
        })
    });
    for result in scope.all(lanes.collect()).await {
        result?;
    }
    Ok(())
}

/// The requests that [`push`] makes, for a plan: name, length and digest of each slice.
pub(crate) fn slices(content: &[u8]) -> impl Iterator<Item = (String, &[u8])> {
    let length = usize::try_from(SLICE).unwrap_or(usize::MAX);
    content
        .chunks(length)
        .enumerate()
        .map(|(index, slice)| (slice_name(index as u64), slice))
}
